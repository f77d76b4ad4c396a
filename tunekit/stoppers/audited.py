"""Lets a share of condemned trials keep running, so that wrong verdicts can be counted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tunekit.identifiers import digest
from tunekit.records import Decision
from tunekit.stoppers.base import CurveView, Promoter, Stopper, checked_decision

STRETCH = 4
"""Factor between the reports at which an audited trial is drawn for the audit again."""


class AuditedStopper:
    """Forwards a stopper's decisions, except on trials drawn for the audit.

    An audited trial continues when the stopper would end it, with the verdict in the evidence
    under "audit". It ends where the stopper condemns it again, after at most `STRETCH` times the
    reports of its first verdict: what has caught up by then runs to its end, and what has not
    would cost most of what stopping saves. All decisions get the name of the stopper and the step
    of the report.

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
        n_reports = len(view.reports.get(number, ()))
        if decision.action == "stop" and is_drawn(self.seed, number, n_reports, self.share):
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


def is_drawn(seed: int, number: int, n_reports: int, share: float) -> bool:
    """Return whether a trial is audited if condemned, the same answer in every process.

    Reports are divided into stretches whose ends are `STRETCH` times as far as their beginnings,
    from a place of each trial's own; each stretch has its own draw, so that the answer needs no
    memory of an earlier verdict.
    """
    offset = _draw(f"audit {seed} {number}")
    stretch = math.floor(math.log(max(n_reports, 1), STRETCH) + offset)
    return _draw(f"audit {seed} {number} {stretch}") < share


def _draw(key: str) -> float:
    """Return a number in [0, 1) that depends on a key alone."""
    return int.from_bytes(digest(key.encode(), n_bytes=8), "big") / 2.0**64
