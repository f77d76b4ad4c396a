"""Measures the cost and savings of early stopping by audited trials that ran on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from tunekit.checks import is_number
from tunekit.errors import InvalidArgument
from tunekit.history import History
from tunekit.records import Report, TrialRecord, TrialState
from tunekit_surrogates.non_domination import non_dominated

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class StopAudit:
    """The measured quality of a study's verdicts.

    Attributes:
        n_stopped: number of trials that the stopper ended.
        n_audited: number of condemned trials that continued to a result (or to NaN), or until
            they were condemned again.
        false_stops: numbers of the audited trials that turned out best.
        false_stop_rate: their share of the audited trials; `None` without audited trials.
        interval: 95 % Clopper-Pearson interval of that rate; (0, 1) without audited trials.
        horizon: reports of a full run, the median of complete trials; `None` without reports.
        n_reports: number of reports of all trials.
        n_saved: number of reports that stopped trials did not make, up to the horizon.
        n_audit_reports: number of reports of audited trials after their verdict, the cost of
            the audit.
        tolerance: relative difference up to which a value counts as equal to the best.
    """

    n_stopped: int
    n_audited: int
    false_stops: tuple[int, ...]
    false_stop_rate: float | None
    interval: tuple[float, float]
    horizon: float | None
    n_reports: int
    n_saved: float
    n_audit_reports: int
    tolerance: float

    @property
    def saved(self) -> float | None:
        """Return the share of all reports that were saved; `None` without a horizon."""
        whole = self.n_reports + self.n_saved
        return None if self.horizon is None or not whole else self.n_saved / whole

    def __str__(self) -> str:
        if self.false_stop_rate is None:
            rate = "unknown: no audited trial has ended yet"
        else:
            low, high = self.interval
            numbers = ", ".join(map(str, self.false_stops))
            which = f" (trials {numbers})" if numbers else ""
            rate = f"{self.false_stop_rate:.1%}, 95 % interval {low:.1%} to {high:.1%}{which}"
        if self.saved is None:
            spent = "unknown: no complete trial has reported"
        else:
            spent = (
                f"{self.saved:.1%} of {self.n_reports + self.n_saved:.0f} reports "
                f"({self.horizon:g} per full run); the audit took {self.n_audit_reports}"
            )
        return (
            f"stopped          {self.n_stopped}\n"
            f"audited          {self.n_audited}\n"
            f"false stop rate  {rate}\n"
            f"compute saved    {spent}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the audit as plain JSON."""
        return {
            "stopped": self.n_stopped,
            "audited": self.n_audited,
            "false_stops": list(self.false_stops),
            "false_stop_rate": self.false_stop_rate,
            "interval": list(self.interval),
            "saved": self.saved,
            "horizon": self.horizon,
            "reports": self.n_reports,
            "audit_reports": self.n_audit_reports,
            "tolerance": self.tolerance,
        }


def stop_audit(
    history: History, reports: Mapping[int, Sequence[Report]], *, tolerance: float = 0.0
) -> StopAudit:
    """Return the audit of a study.

    A false stop is an audited trial that ended feasible and no worse than the best trial that was
    not condemned; with several objectives, none of those dominates it. An audited trial that was
    condemned again later is a right stop. Audited trials that failed for another reason are not
    counted.

    Raises:
        InvalidArgument: `tolerance` is not a finite number of 0 or more.

    Reference:
        C. J. Clopper and E. S. Pearson, 1934, "The Use of Confidence or Fiducial Limits".
    """
    steps = {number: sorted({r.step for r in found}) for number, found in reports.items()}
    return audit_of_steps(history, steps, tolerance=tolerance)


def audit_of_steps(
    history: History, reported: Mapping[int, Sequence[int]], *, tolerance: float = 0.0
) -> StopAudit:
    """Return the audit of a study from the steps of its reports, each once; see `stop_audit`."""
    if not is_number(tolerance) or not 0 <= tolerance < math.inf:
        raise InvalidArgument(f"tolerance={tolerance!r}, expected a finite number of 0 or more.")
    ended = history.finished()
    condemned = [t for t in ended if "audit" in t.stop_evidence]
    judged = (TrialState.COMPLETE, TrialState.DIVERGED, TrialState.STOPPED)
    audited = [t for t in condemned if t.state in judged]
    stopped = [t for t in ended if _is_stopped(t)]
    false = _false_stops(history, audited, tolerance)
    steps = {t.number: len(reported.get(t.number, ())) for t in history}
    whole = [steps[t.number] for t in history.complete() if steps[t.number]]
    horizon = float(median(whole)) if whole else None
    saved = sum(max(0.0, horizon - steps[t.number]) for t in stopped) if horizon else 0.0
    rate, interval = _rate(len(false), len(audited))
    return StopAudit(
        n_stopped=len(stopped),
        n_audited=len(audited),
        false_stops=tuple(false),
        false_stop_rate=rate,
        interval=interval,
        horizon=horizon,
        n_reports=sum(steps.values()),
        n_saved=saved,
        n_audit_reports=sum(_after(t, reported.get(t.number, ())) for t in condemned),
        tolerance=tolerance,
    )


def _is_stopped(trial: TrialRecord) -> bool:
    """Return whether a stopper ended a trial: STOPPED, or DIVERGED at the judged report."""
    ends = (TrialState.STOPPED, TrialState.DIVERGED)
    return trial.state in ends and "stopper" in trial.stop_evidence


def _after(trial: TrialRecord, steps: Sequence[int]) -> int:
    step = trial.stop_evidence["audit"].get("step", math.inf)
    return sum(s > step for s in steps)


def _false_stops(history: History, audited: Sequence[TrialRecord], tolerance: float) -> list[int]:
    spared = [t for t in history.complete() if "audit" not in t.stop_evidence]
    rivals = history.losses([t for t in spared if history.violation(t) == 0.0])
    rivals = rivals[non_dominated(rivals)]  # what another beats, one of these beats
    able = [t for t in audited if t.state is TrialState.COMPLETE and history.violation(t) == 0.0]
    losses = history.losses(able)
    eased = losses - tolerance * np.abs(losses)
    return [t.number for t, row in zip(able, eased, strict=True) if not _is_beaten(row, rivals)]


def _is_beaten(row: NDArray[np.float64], rivals: NDArray[np.float64]) -> bool:
    better = np.all(rivals <= row, axis=1) & np.any(rivals < row, axis=1)
    return bool(better.any())


def _rate(k: int, n: int) -> tuple[float | None, tuple[float, float]]:
    if n == 0:
        return None, (0.0, 1.0)
    from scipy.stats import binomtest  # takes a second to import, so only on demand

    found = binomtest(k, n).proportion_ci(CONFIDENCE, method="exact")
    return k / n, (float(found.low), float(found.high))
