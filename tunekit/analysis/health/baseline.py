"""Tells whether the search has found anything better than where it started.

The baseline is the trial with the user attribute `baseline`, else the default point if somebody
declared a default or enqueued it, else the first enqueued point. If it were just another point,
the best of `n` others would fail to beat it with probability `1 / (n + 1)`: `MIN_OTHERS` trials
keep a chance report below 4 %.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tunekit.analysis.health.evidence import EncodedTrials, Evidence
from tunekit.analysis.health.findings import Finding, healthy, line, unknown
from tunekit.records import TrialRecord
from tunekit.spaces import Float, Int, Space

MIN_OTHERS = 25

UNIT = "improvement over the baseline"


def check(evidence: Evidence) -> Finding:
    """Return the finding."""
    points = evidence.able
    at = _baseline(evidence, points)
    if at is None:
        return unknown("baseline", "no trial ran a baseline; enqueue the default point.")
    trial = points.trials[at]
    others = points.keys != points.keys[at]
    n = int(others.sum())
    if n < MIN_OTHERS:
        return unknown("baseline", f"it needs {MIN_OTHERS} results beside the baseline; {n} are.")
    gains = points.losses[at] - points.losses[others]
    gain = float(gains[:, 0].max())
    if np.any(gains >= 0.0):
        text = f"the search improved on the baseline, trial {trial.number}, by {gain:.3g}."
        return healthy("baseline", text, gain, UNIT)
    first = evidence.history.objectives[0].metric
    return Finding(
        "baseline",
        "sick",
        gain,
        UNIT,
        f"none of {n} results beats the baseline, trial {trial.number} ({first} = "
        f"{trial.metrics[first]:.6g}); the best of them is {-gain:.3g} worse.",
        "Narrow the space around the baseline, or enqueue points near it.",
        line("trials", "show", evidence.spec.name, str(trial.number)),
        (trial.number,),
        action={"do": "enqueue", "near": trial.number},
    )


def _baseline(evidence: Evidence, points: EncodedTrials) -> int | None:
    named = _first(points, lambda t: bool(t.user_attrs.get("baseline")))
    if named is not None:
        return named
    default = dict(evidence.space.default())
    # The middle of all ranges, which nobody has chosen, is no baseline.
    is_meant = _declares_defaults(evidence.space)
    at = _first(
        points,
        lambda t: (is_meant or t.sampler == "user") and dict(t.params or {}) == default,
    )
    return _first(points, lambda t: t.sampler == "user") if at is None else at


def _declares_defaults(space: Space) -> bool:
    return any(isinstance(p.domain, Float | Int) and p.domain.default is not None for p in space)


def _first(points: EncodedTrials, holds: Callable[[TrialRecord], bool]) -> int | None:
    return next((i for i, t in enumerate(points.trials) if holds(t)), None)
