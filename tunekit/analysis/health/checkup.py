"""Runs all health checks on a study."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tunekit.analysis.health import (
    baseline,
    boundary,
    budget,
    duplicates,
    failures,
    noise,
    predictability,
    stopping,
)
from tunekit.analysis.health.evidence import Evidence, Steps
from tunekit.analysis.health.findings import CHECKS, CheckName, Finding, StudyHealth
from tunekit.history import History
from tunekit.records import StudySpec
from tunekit.spaces import Space

_RUN: dict[CheckName, Callable[[Evidence], Finding]] = {
    "boundary": boundary.check,
    "predictability": predictability.check,
    "noise": noise.check,
    "duplicates": duplicates.check,
    "failures": failures.check,
    "baseline": baseline.check,
    "stopping": stopping.check,
    "budget": budget.check,
}


def study_health(
    history: History,
    space: Space,
    spec: StudySpec,
    read_steps: Callable[[], Steps],
    *,
    max_trials: int | None = None,
) -> StudyHealth:
    """Return the findings on a study, one of each check.

    Args:
        history: its trials.
        space: its current space, of a define-by-run study the discovered part.
        spec: its settings.
        read_steps: gives the steps of the reports by trial; called only where a stopper judged.
        max_trials: budget; by default the one stored with the study.
    """
    evidence = Evidence(history, space, spec, read_steps, max_trials)
    found = {name: _RUN[name](evidence) for name in CHECKS}
    return StudyHealth(tuple(_without_consequences(found, evidence).values()))


def _without_consequences(
    found: dict[CheckName, Finding], evidence: Evidence
) -> dict[CheckName, Finding]:
    """Return the findings, leaving out mere consequences of others."""
    if found["predictability"].is_sick and not found["noise"].is_sick:
        # That no parameter predicts the metric speaks for noise as well, if repeats differ at all.
        found["noise"] = noise.check(evidence, level=0.5)
    if found["noise"].is_sick and found["predictability"].is_sick:
        follows = "the noise hides any dependence; see there."
        found["predictability"] = replace(
            found["predictability"], verdict="unknown", text=follows, advice=""
        )
    return found
