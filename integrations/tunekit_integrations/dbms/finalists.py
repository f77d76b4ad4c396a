"""Chooses the finalists, measures them again and judges them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunekit.records import TrialRecord, TrialState
from tunekit.studies.study import Study
from tunekit_integrations.dbms.candidates import touches_recovery
from tunekit_integrations.dbms.protocol import Protocol, Recheck
from tunekit_integrations.dbms.records import Settings, TargetFailure
from tunekit_integrations.dbms.target import Workload
from tunekit_integrations.dbms.trials import NOTE, OBJECTIVE


@dataclass(frozen=True, slots=True)
class Judged:
    """A finalist with its repeated measurements.

    Attributes:
        number: of its trial.
        settings: its changes.
        screened: its factor of speed in the trial that chose it.
        confirmation: the fresh comparisons; `None` where it failed in them.
        failure: why it did.
        recovery_s: seconds of recovery after a crash with the default and with the candidate, on
            a private server where knobs of the log were moved.
    """

    number: int
    settings: Settings
    screened: float
    confirmation: Recheck | None = None
    failure: dict[str, Any] = field(default_factory=dict)
    recovery_s: tuple[float, float] | None = None

    @property
    def is_accepted(self) -> bool:
        """Return whether it is faster than the default."""
        return self.confirmation is not None and self.confirmation.verdict.is_accepted


def best_first(study: Study, protocol: Protocol) -> list[TrialRecord]:
    """Return the trials worth measuring again; of equally fast ones, the least intrusive first.

    Results within two standard errors of the best one count as equal to it; among them one
    without a restart comes first, then one with fewer changes. The best one is always there.
    """
    error = protocol.calibration.block_sd / math.sqrt(protocol.options.n_blocks)
    found = [t for t in study.refresh().complete() if _is_faster(t)]
    if not found:
        return []
    limit = min(t.metrics[OBJECTIVE] for t in found) * math.exp(2.0 * error)

    def order(trial: TrialRecord) -> tuple[bool, bool, int, float]:
        note, ratio = trial.user_attrs[NOTE], trial.metrics[OBJECTIVE]
        if ratio > limit:
            return True, False, 0, ratio
        return False, bool(note["restart"]), len(note["settings"]), ratio

    chosen = _different(sorted(found, key=order))[: protocol.options.n_finalists]
    best = min(found, key=lambda t: t.metrics[OBJECTIVE])
    if len(chosen) > 1 and best not in chosen:
        chosen[-1] = best
    return chosen


def judge_finalists(
    protocol: Protocol,
    trials: Sequence[TrialRecord],
    workload: Workload,
    said: Callable[[str], None],
) -> tuple[Judged, ...]:
    """Measure candidates again, one after the other, until one is accepted."""
    out: list[Judged] = []
    for trial in trials:
        settings: Settings = trial.user_attrs[NOTE]["settings"]
        said(f"measuring trial {trial.number} again")
        screened = 1.0 / trial.metrics[OBJECTIVE]
        try:
            confirmed = protocol.confirm(settings)
            recovery = _recovery(protocol, settings, workload)
            out.append(Judged(trial.number, settings, screened, confirmed, {}, recovery))
        except TargetFailure as failure:
            note = {"kind": str(failure.kind), "message": failure.message}
            out.append(Judged(trial.number, settings, screened, None, note))
        finally:
            protocol.recover()
        if out[-1].is_accepted:
            break
    return tuple(out)


def _recovery(
    protocol: Protocol, settings: Settings, workload: Workload
) -> tuple[float, float] | None:
    """Return the seconds of recovery after a crash in the middle of equal work."""
    side = protocol.candidate
    if not side.target.instance.is_private or not touches_recovery(settings):
        return None
    seconds = []
    for chosen in ({}, settings):
        side.begin_anew(chosen)
        options = protocol.options
        side.measure(workload, seconds=options.slice_s, deadline_s=options.first_s, seed=0)
        seconds.append(side.target.crash())
        side.forget()
    return seconds[0], seconds[1]


def _is_faster(trial: TrialRecord) -> bool:
    note = trial.user_attrs.get(NOTE, {})
    is_measured = trial.state is TrialState.COMPLETE and not note.get("skipped")
    return is_measured and bool(note.get("settings")) and trial.metrics[OBJECTIVE] < 1.0


def _different(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the first trial of each configuration."""
    seen: dict[str, TrialRecord] = {}
    for trial in trials:
        seen.setdefault(repr(sorted(trial.user_attrs[NOTE]["settings"].items())), trial)
    return list(seen.values())
