"""One trial in memory: its record, and what only the storage knows of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tunekit.records import Outcome, Report, TrialRecord
from tunekit.spaces import Params
from tunekit.storages.codec import normal


@dataclass(slots=True)
class MemoryTrial:
    """A trial; the fields beside the record are the columns that no reader sees."""

    record: TrialRecord
    is_partial: bool = False
    claim_key: str = ""
    tell_key: str = ""
    lapses: int = 0
    started_epoch: int = 0
    reports: dict[int, Report] = field(default_factory=dict)


def outcome_fields(t: MemoryTrial, outcome: Outcome) -> dict[str, Any]:
    """Return what an outcome changes in the record of its trial."""
    params = t.record.params
    if outcome.params is not None:
        params, t.is_partial = Params(outcome.params), False
    return {
        "params": params,
        "metrics": {k: float(v) for k, v in outcome.metrics.items()},
        "end_reason": outcome.reason,
        "error": outcome.error,
        "stop_evidence": normal(outcome.evidence),
        "domains": normal(outcome.domains),
        "user_attrs": {**t.record.user_attrs, **normal(outcome.user_attrs)},
    }
