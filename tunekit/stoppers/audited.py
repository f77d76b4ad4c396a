"""Lets a share of condemned trials keep running, so that wrong verdicts can be counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.identifiers import digest
from tunekit.records import Decision
from tunekit.stoppers.base import CurveView, Promoter, Stopper, checked_decision


class AuditedStopper:
    """Forwards a stopper's decisions, except on trials drawn for the audit.

    An audited trial continues when the stopper would end it, with the verdict in the evidence
    under "audit". All decisions get the name of the stopper and the step of the report.

    Args:
        stopper: stopper to audit.
        seed: seed of the study, which with a trial's number keys the draw.
        share: share of the condemned trials to audit, in [0, 1].
    """

    def __init__(self, stopper: Stopper, *, seed: int, share: float) -> None:
        self.stopper = stopper
        self.name = stopper.name
        self.seed = seed
        self.share = share

    def decide(self, number: int, view: CurveView) -> Decision:
        """Return the decision on trial `number` after its latest report."""
        decision = checked_decision(self.stopper.decide(number, view), self.name)
        if decision.action == "continue":
            return decision
        facts: dict[str, Any] = {"stopper": self.name}
        if reports := view.reports.get(number):
            facts["step"] = reports[-1].step
        evidence = {**facts, **decision.evidence}
        if decision.action == "stop" and is_drawn(self.seed, number, self.share):
            verdict = {**facts, "reason": decision.reason, "evidence": dict(decision.evidence)}
            return Decision(
                "continue", f"runs on for the audit: {decision.reason}", {"audit": verdict}
            )
        return Decision(decision.action, decision.reason, evidence)


class AuditedPromoter(AuditedStopper):
    """An `AuditedStopper` for a stopper that pauses and promotes trials."""

    stopper: Promoter

    def promote(self, view: CurveView) -> Mapping[int, str]:
        """Return the paused trials to resume now, with the reason for each."""
        return self.stopper.promote(view)


def audited(stopper: Stopper, *, seed: int, share: float) -> Stopper:
    """Return the stopper with an audit of its verdicts; promotion is kept."""
    kind = AuditedPromoter if callable(getattr(stopper, "promote", None)) else AuditedStopper
    return kind(stopper, seed=seed, share=share)


def is_drawn(seed: int, number: int, share: float) -> bool:
    """Return whether a trial is audited if condemned, the same answer in every process."""
    key = digest(f"audit {seed} {number}".encode(), n_bytes=8)
    return int.from_bytes(key, "big") < share * 2.0**64
