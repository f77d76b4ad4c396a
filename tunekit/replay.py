"""Replay: ask the sampler again what it was asked, and compare with what it proposed.

A proposal is a pure function of what its process had read of the study (`seen`), the numbers
that it was asked for together (`batch`) and the seed. So a study that many processes ran at
once can be checked, proposal by proposal, in one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunekit.history import History
from tunekit.samplers.base import Sampler, StudyView
from tunekit.spaces import Params
from tunekit.storages.base import Event, Storage
from tunekit.trial import StudyRecord, TrialRecord, TrialState


@dataclass(frozen=True, slots=True)
class Difference:
    """A trial whose proposal does not come out again."""

    number: int
    stored: Mapping[str, Any]
    replayed: Mapping[str, Any]


def replay(storage: Storage, study: StudyRecord, sampler: Sampler) -> list[Difference]:
    """Return the trials for which a fresh sampler answers otherwise; empty if it is pure.

    Trials that the user enqueued complete, and those of a study whose space was edited or is
    discovered, are left out: what the sampler saw is not in the log then.
    """
    if study.spec.space is None or study.space_version != 1:
        return []
    trials = {t.number: t for t in storage.changes(study.id).trials}
    started, ended = _moments(_all_events(storage, study.id))
    differences = []
    for trial in sorted(trials.values(), key=lambda t: t.number):
        if trial.params is None or trial.sampler in ("", "user"):
            continue
        numbers = trial.batch or (trial.number,)
        view = StudyView(
            study.spec.space,
            study.spec.objectives,
            study.spec.constraints,
            study.spec.seed,
            _history_at(study, trials, started, ended, trial.seen),
            {n: p for n in numbers if (p := _fixed(trials.get(n)))},
        )
        proposal = sampler.suggest(view, numbers)[numbers.index(trial.number)]
        if proposal.params != trial.params:
            differences.append(Difference(trial.number, trial.params, proposal.params))
    return differences


def _fixed(trial: TrialRecord | None) -> Params | None:
    return trial.params if trial is not None and trial.sampler == "user" else None


def _all_events(storage: Storage, study_id: int) -> list[Event]:
    events: list[Event] = []
    while page := storage.events(study_id, events[-1].seq if events else 0):
        events += page
    return events


def _moments(events: Sequence[Event]) -> tuple[dict[int, int], dict[int, int]]:
    """Return when each trial (last) started and ended, as event numbers."""
    started: dict[int, int] = {}
    ended: dict[int, int] = {}
    for event in events:
        if event.number is None:
            continue
        if event.kind == "started":
            started.setdefault(event.number, event.seq)
        elif event.kind in ("told", "lost"):
            ended[event.number] = event.seq
    return started, ended


def _history_at(
    study: StudyRecord,
    trials: Mapping[int, TrialRecord],
    started: Mapping[int, int],
    ended: Mapping[int, int],
    cursor: int,
) -> History:
    """Return the history as a reader saw it that had read the log up to `cursor`."""
    history = History(study.spec.objectives, study.spec.constraints)
    known = []
    for number, trial in trials.items():
        if ended.get(number, cursor + 1) <= cursor:
            known.append(replace(trial, seq=ended[number]))
        elif started.get(number, cursor + 1) <= cursor:
            known.append(
                replace(trial, seq=started[number], state=TrialState.RUNNING, metrics={})
            )
    history.update(sorted(known, key=lambda t: t.seq), cursor)
    return history
