"""Tells whether the stopper saves anything, and whether its verdicts are right.

It reports wrong verdicts when the audited trials show a share of false ones above `FALSE` (or
above the share of trials on the Pareto front, which stopping at random would give), in a binomial
test at `LEVEL`; and no saving when, of trials that could have been stopped, hardly any were.
"""

from __future__ import annotations

from tunekit.analysis.audit import audit_of_steps
from tunekit.analysis.health.evidence import Evidence
from tunekit.analysis.health.findings import MAX_NUMBERS, Finding, healthy, line, unknown
from tunekit.analysis.health.tails import binomial_high, binomial_tail
from tunekit.records import TrialState

LEVEL = 0.01
FALSE = 0.05
"""Share of false verdicts that is acceptable."""
SAVED = 0.03
"""Share of the reports below which nothing is saved."""
STOPPED = 0.1
"""Share of stopped trials that has to be excluded before "saves nothing" is said."""
MIN_SILENT = 10
"""Complete trials without reports after which a stopper will have nothing to judge."""


def check(evidence: Evidence) -> Finding:
    """Return the finding."""
    history = evidence.history
    condemned = [t for t in evidence.ended if {"stopper", "audit"} & t.stop_evidence.keys()]
    if not evidence.spec.stopper and not condemned:
        return healthy("stopping", "the study has no stopper.")
    audit = audit_of_steps(history, evidence.steps)
    if (wrong := _wrong(evidence, audit.n_audited, audit.false_stops)) is not None:
        return wrong
    steps = evidence.steps
    complete = history.complete()
    judged = [t for t in complete if len(steps.get(t.number, ())) > 1]
    if not judged:
        if len(complete) >= MIN_SILENT and not condemned:
            return _silent(evidence, len(complete))
        return unknown("stopping", "no complete trial has reported twice.")
    paused = sum(t.state is TrialState.PAUSED for t in history)
    n_ended = len(condemned) + paused
    n = len(judged) + audit.n_stopped + paused
    saved = audit.saved or 0.0
    unit = "share of the reports saved"
    is_idle = binomial_high(min(n_ended, n), n, 0.95) < STOPPED
    is_late = n >= 29 and audit.n_stopped >= 10 and not paused
    if saved < SAVED and not paused and (is_idle or is_late):
        return _useless(evidence, audit.n_stopped, n, saved)
    text = f"{audit.n_stopped} trials were stopped, which saved {saved:.0%} of the reports."
    return healthy("stopping", text, saved, unit)


def _wrong(evidence: Evidence, n: int, false: tuple[int, ...]) -> Finding | None:
    complete = evidence.history.complete()
    by_chance = len(evidence.history.pareto()) / len(complete) if complete else 1.0
    if not n or binomial_tail(len(false), n, max(FALSE, by_chance)) >= LEVEL:
        return None
    name = evidence.spec.name
    return Finding(
        "stopping",
        "sick",
        round(len(false) / n, 4),
        "share of false verdicts",
        f"{len(false)} of {n} trials that the stopper condemned and the audit let run on turned "
        f"out best; the last one was trial {false[-1]}.",
        "Let trials run longer before the first verdict (for asha a larger min_resource), or use "
        "another stopper.",
        line("studies", "audit", name),
        false[-MAX_NUMBERS:],
    )


def _silent(evidence: Evidence, n: int) -> Finding:
    return Finding(
        "stopping",
        "sick",
        0.0,
        "share of the reports saved",
        f"none of {n} complete trials has reported, so that the stopper "
        f"{evidence.spec.stopper!r} has nothing to judge.",
        "Call trial.report(value, step) inside the training loop, or remove the stopper.",
    )


def _useless(evidence: Evidence, n_stopped: int, n: int, saved: float) -> Finding:
    return Finding(
        "stopping",
        "sick",
        round(saved, 4),
        "share of the reports saved",
        f"the stopper {evidence.spec.stopper!r} ended {n_stopped} of {n} trials and saved "
        f"{saved:.1%} of the reports.",
        "Let it judge earlier or more strictly (for asha a smaller min_resource or a larger eta).",
        line("studies", "audit", evidence.spec.name),
    )
