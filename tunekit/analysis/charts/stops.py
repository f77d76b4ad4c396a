"""The chart of early stopping: its audit and its verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from tunekit.analysis.audit import StopAudit, stop_audit
from tunekit.analysis.charts.curve_store import CurveStore
from tunekit.analysis.charts.records import StopsChart, StopVerdict
from tunekit.analysis.charts.samples import cut, number, predicted
from tunekit.history import History
from tunekit.records import ObjectiveSpec, TrialRecord


def stops_chart(
    history: History, store: CurveStore, objective: ObjectiveSpec, *, seq: int, most: int
) -> StopsChart:
    """Return the audit of all trials, and the newest verdicts, the last one first."""
    condemned = [t for t in history.finished() if "stopper" in t.stop_evidence or _is_audited(t)]
    verdicts = tuple(
        StopVerdict(
            t.number, str(t.state), cut(_reason(t), 300), _is_audited(t),
            predicted(t, objective.metric),
            number(t.metrics.get(objective.metric)),
        )
        for t in condemned[: -most - 1 : -1]
    )  # fmt: skip
    audit = stop_audit(history, store)
    return StopsChart(
        seq, len(verdicts), len(condemned), audit, verdicts, objective.metric,
        objective.direction, _saved_s(history, audit),
    )  # fmt: skip


def _saved_s(history: History, audit: StopAudit) -> float | None:
    """Return the time that the reports would have taken which stopped trials did not make."""
    spans = [t.duration_s for t in history.complete() if t.duration_s is not None]
    if not spans or not audit.horizon:
        return None
    return median(spans) * audit.n_saved / audit.horizon


def _reason(trial: TrialRecord) -> str:
    """Return why a trial was condemned; an audited one ran on and ended for another reason."""
    audit = trial.stop_evidence.get("audit")
    said = audit.get("reason") if isinstance(audit, Mapping) else None
    return said if isinstance(said, str) and said else trial.end_reason


def _is_audited(trial: TrialRecord) -> bool:
    return "audit" in trial.stop_evidence
