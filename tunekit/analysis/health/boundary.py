"""Tells whether the best trials press against a bound of their space.

A bound of a range is suspected when the best trials lie near it. It is reported when, in addition,
an additive model says that the loss still falls on the last stretch towards it, all other
parameters held fixed. Each active parameter has two bounds: the levels are divided by their
number (Bonferroni), so that a sound study has a wrong report with probability at most `LEVEL`.
An optimum just inside a bound falls towards it on the whole as well: unless the best trials hug
the bound, a second model has to say the same of the trials around the best one alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tunekit.analysis.health.evidence import Evidence
from tunekit.analysis.health.falls import (
    MIN_TRIALS,
    fall,
    falls_locally,
    hugs,
    inner,
    model_sample,
    places_of,
    top_trials,
)
from tunekit.analysis.health.findings import Finding, healthy, line, unknown
from tunekit.analysis.health.response import Response, normal_scores
from tunekit.spaces import Float, Int, Parameter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    _Floats = NDArray[np.float64]

LEVEL = 0.01
EDGE = 0.3
"""Share of a range, next to a bound, in which the best trials are suspicious."""
MIN_VALUES = 5
"""Minimum number of values of a grid: of fewer, one is often the best by chance."""


@dataclass(frozen=True, slots=True)
class _Bound:
    parameter: Parameter
    column: int
    is_upper: bool
    z: float


def check(evidence: Evidence) -> Finding:
    """Return the finding."""
    points = evidence.measured
    if len(points) < MIN_TRIALS:
        return unknown("boundary", f"it needs {MIN_TRIALS} results, and there are {len(points)}.")
    suspects = list(_suspects(evidence))
    n_tests = 2 * sum(1 for _ in _ranges(evidence))
    if not n_tests:
        return healthy("boundary", "no parameter has enough values for a bound to matter.")
    found = _confirmed(evidence, suspects, n_tests)
    if not found:
        return healthy(
            "boundary", "the best trials lie inside the bounds.", 0.0, "bounds pressed against"
        )
    return _finding(evidence, found)


def _ranges(evidence: Evidence) -> Iterator[tuple[int, Parameter]]:
    """Yield the columns whose bounds can be moved."""
    for j, column in enumerate(evidence.encoder.columns):
        p = evidence.space.by_path[column.path]
        if isinstance(p.domain, Float | Int) and not p.domain.fidelity:
            if column.size >= MIN_VALUES:
                yield j, p


def _suspects(evidence: Evidence) -> Iterator[tuple[int, Parameter, bool]]:
    able = evidence.able
    for j, p in _ranges(evidence):
        assert isinstance(p.domain, Float | Int)
        places = inner(p.domain, able.units[:, j])
        active = ~np.isnan(places)
        if active.sum() < MIN_TRIALS:
            continue
        top = top_trials(able, active)
        for is_upper in (False, True):
            near = places[top] if is_upper else 1.0 - places[top]
            if near[0] >= 1.0 - EDGE and np.median(near) >= 1.0 - EDGE:
                yield j, p, is_upper


def _confirmed(
    evidence: Evidence, suspects: list[tuple[int, Parameter, bool]], n_tests: int
) -> list[_Bound]:
    from scipy.special import ndtri

    if not suspects:
        return []
    critical = -float(ndtri(LEVEL / n_tests))
    sample, columns = model_sample(evidence.measured, [j for j, _, _ in suspects])
    kept = [evidence.encoder.columns[j] for j in columns]
    places = places_of(evidence, sample, columns)
    models = [
        Response(kept, places, normal_scores(sample.losses[:, k]))
        for k in range(sample.losses.shape[1])
    ]
    found = []
    for j, p, is_upper in suspects:
        z = [fall(m, columns.index(j), is_upper=is_upper) for m in models]
        if max(z) < critical or min(z) < 0.0:
            continue
        if hugs(evidence, j, p, is_upper=is_upper) or falls_locally(
            evidence, columns, j, p, is_upper=is_upper
        ):
            found.append(_Bound(p, j, is_upper, max(z)))
    return sorted(found, key=lambda b: -b.z)


def _finding(evidence: Evidence, found: list[_Bound]) -> Finding:
    first = found[0]
    p, domain = first.parameter, first.parameter.domain
    assert isinstance(domain, Float | Int)
    side = "upper" if first.is_upper else "lower"
    bound = domain.hi if first.is_upper else domain.lo
    moved = wider(domain, is_upper=first.is_upper)
    others = "".join(f", and at a bound of {b.parameter.path}" for b in found[1:4])
    where = f" (active when {p.requirement()})" if p.conditions else ""
    key = "hi" if first.is_upper else "lo"
    name = evidence.spec.name
    best = top_trials(evidence.able, ~np.isnan(evidence.able.units[:, first.column]))
    return Finding(
        "boundary",
        "sick",
        float(len(found)),
        "bounds pressed against",
        f"the best trials lie near the {side} bound of {p.path}{where}, {bound:g}, and the loss "
        f"still falls towards it ({first.z:.1f} standard errors){others}.",
        f"Widen {p.path} to {key}={moved:g}; old trials stay valid.",
        line("studies", "widen", name, p.path, f"--{key}", f"{moved:g}"),
        tuple(evidence.able.trials[i].number for i in best[:5].tolist()),
        tuple(dict.fromkeys(b.parameter.path for b in found)),
        {"do": "widen", "path": p.path, key: moved},
    )


def wider(domain: Float | Int, *, is_upper: bool) -> float:
    """Return the bound moved outwards by half of the range, on its own scale."""
    lo, hi = float(domain.lo), float(domain.hi)
    if domain.log:
        factor = (hi / lo) ** 0.5
        moved = hi * factor if is_upper else lo / factor
    else:
        moved = hi + (hi - lo) / 2 if is_upper else lo - (hi - lo) / 2
        if not is_upper and lo > 0.0 >= moved:
            moved = lo / 2
    if isinstance(domain, Int):
        whole = round(moved)
        if domain.step:
            whole = round(lo + round((moved - lo) / domain.step) * domain.step)
        return float(max(1, whole) if domain.log else whole)
    return float(f"{moved:.3g}")
