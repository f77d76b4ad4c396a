"""The audit share: some condemned trials run on, so that wrong verdicts can be counted."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from tunekit.records import Decision
from tunekit.stoppers.base import CurveView, Promoter, Stopper, checked_decision


class AuditedStopper:
    """Passes on what a stopper decides, but for the trials that are drawn for the audit.

    Such a trial goes on when the stopper would end it; the decision then is to continue, with
    the verdict in the evidence under "audit". All decisions get the name of the stopper and
    the step of the report.

    Args:
        stopper: whose verdicts are audited.
        seed: of the study; with the number of a trial it keys the draw.
        share: of all condemned trials that run on, in [0, 1].
    """

    def __init__(self, stopper: Stopper, *, seed: int, share: float) -> None:
        self.stopper = stopper
        self.name = stopper.name
        self.seed = seed
        self.share = share

    def decide(self, number: int, view: CurveView) -> Decision:
        """Return what becomes of trial `number` after its latest report."""
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
    """The same for a stopper that pauses and promotes trials."""

    stopper: Promoter

    def promote(self, view: CurveView) -> Mapping[int, str]:
        """Return the paused trials that go on now, with the reason for each."""
        return self.stopper.promote(view)


def audited(stopper: Stopper, *, seed: int, share: float) -> Stopper:
    """Return the stopper with an audit of its verdicts; it promotes if the stopper does."""
    kind = AuditedPromoter if callable(getattr(stopper, "promote", None)) else AuditedStopper
    return kind(stopper, seed=seed, share=share)


def is_drawn(seed: int, number: int, share: float) -> bool:
    """Return whether a trial runs on should it be condemned: the same answer in every process."""
    digest = blake2b(f"audit {seed} {number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2.0**64
