"""Replays a study: asks the sampler for every proposal again and compares the answers.

A proposal is a pure function of what its process had read of the study (`seen`), the numbers
that it was asked for together (`batch`) and the seed. So a study that many processes ran at
once can be checked, proposal by proposal, in one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tunekit.history import History
from tunekit.records import Checkpoint, StudyRecord, TrialRecord, TrialState
from tunekit.samplers.base import PLANNED, Sampler, StudyView, replaying, suggested
from tunekit.spaces import Params
from tunekit.storages.base import Event, Storage
from tunekit.storages.rows import checkpoints_of
from tunekit.storages.stored_shapes import shaped_as_written

FALLBACK = "fallback"
"""Key in the evidence of a proposal for why another sampler than the study's made it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A trial whose proposal a replay does not reproduce."""

    number: int
    stored: Mapping[str, Any]
    replayed: Mapping[str, Any]


def replay(storage: Storage, study: StudyRecord, sampler: Sampler) -> list[Difference]:
    """Return the trials for which a fresh sampler proposes otherwise; empty if it is pure.

    Skipped are complete points enqueued by the user, added trials, points of a fallback, and
    studies with an edited or discovered space, for which the log does not contain everything that
    the sampler saw.
    """
    if study.spec.space is None or study.space_version != 1:
        return []
    trials = {t.number: t for t in storage.changes(study.id).trials}
    sampler = replaying(sampler, trials)
    log = _all_events(storage, study.id)
    added = {e.number for e in log if e.kind == "added"}
    events = iter(log)
    history = History(study.spec.objectives, study.spec.constraints, study.spec.space.target)
    pending_event = next(events, None)
    kept: dict[int, tuple[Checkpoint, ...]] = {}
    differences = []
    for trial in sorted(trials.values(), key=lambda t: (t.seen, t.number)):
        if trial.params is None or trial.sampler in ("", "user") or trial.number in added:
            continue
        if FALLBACK in trial.evidence:
            continue
        while pending_event is not None and pending_event.seq <= trial.seen:
            history.update(_as_of(pending_event, trials, kept), pending_event.seq)
            pending_event = next(events, None)
        numbers = trial.batch or (trial.number,)
        view = StudyView(
            study.spec.space,
            study.spec.objectives,
            study.spec.constraints,
            study.spec.seed,
            history,
            {n: p for n in numbers if (p := _fixed(trials.get(n)))},
            trial.evidence.get(PLANNED),
        )
        proposal = suggested(sampler, view, numbers)[numbers.index(trial.number)]
        if proposal.params != trial.params:
            differences.append(Difference(trial.number, trial.params, proposal.params))
    return differences


def _as_of(
    event: Event, trials: Mapping[int, TrialRecord], kept: dict[int, tuple[Checkpoint, ...]]
) -> list[TrialRecord]:
    """Return the trial that an event changed as it was after the event, if a sampler sees it."""
    trial = trials.get(-1 if event.number is None else event.number)
    if trial is None:
        return []
    checkpoints = kept.get(trial.number, ())
    if event.kind == "checkpoint":
        with shaped_as_written(f"event {event.seq}"):
            checkpoints = kept[trial.number] = checkpoints_of(event.data["checkpoints"])
    trial = replace(trial, seq=event.seq, checkpoints=checkpoints)
    if event.kind in ("told", "lost") or (event.kind == "added" and trial.state.is_finished):
        return [trial]
    open_states = {
        "started": TrialState.RUNNING,
        "checkpoint": TrialState.RUNNING,
        "released": TrialState.WAITING,
        "preempted": TrialState.PREEMPTED,
        "paused": TrialState.PAUSED,
        "promoted": TrialState.WAITING,
    }
    if event.kind == "claimed" and trial.epoch > 1:
        return [replace(trial, state=TrialState.RUNNING, metrics={})]
    if event.kind in open_states:
        return [replace(trial, state=open_states[event.kind], metrics={})]
    return []


def _fixed(trial: TrialRecord | None) -> Params | None:
    return trial.params if trial is not None and trial.sampler == "user" else None


def _all_events(storage: Storage, study_id: int) -> list[Event]:
    events: list[Event] = []
    while page := storage.events(study_id, events[-1].seq if events else 0):
        events += page
    return events
