"""Tells whether the best trials press against a bound of their space.

A bound of a range is suspected when the best trials lie at it. It is reported when, in addition,
an additive model says that the loss still falls on the last stretch towards it, all other
parameters held fixed. Each active parameter has two bounds: the levels are divided by their
number (Bonferroni), so that a sound study has a wrong report with probability at most `LEVEL`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tunekit.analysis.health.evidence import Evidence, Points
from tunekit.analysis.health.findings import Finding, healthy, unknown
from tunekit.analysis.health.response import Response, normal_scores
from tunekit.spaces import Float, Int, Parameter
from tunekit.spaces.domains import SPECIAL_SHARE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    _Floats = NDArray[np.float64]

LEVEL = 0.01
MIN_TRIALS = 15
"""Minimum number of trials with the parameter active."""
MAX_TRIALS = 240
"""Trials that the model is fitted to."""
MAX_COLUMNS = 40
"""Parameters in the model, those most related to the loss."""
EDGE = 0.2
"""Share of a range, next to a bound, in which the best trials are suspicious."""
STRETCH = 0.2
"""Share of a range, next to a bound, on which the loss has to fall."""
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


def inner(domain: Float | Int, units: _Floats) -> _Floats:
    """Return the places within the range alone, NaN for special values."""
    if not domain.special:
        return units
    return np.where(units < SPECIAL_SHARE, np.nan, (units - SPECIAL_SHARE) / (1 - SPECIAL_SHARE))


def _suspects(evidence: Evidence) -> Iterator[tuple[int, Parameter, bool]]:
    able = evidence.able
    for j, p in _ranges(evidence):
        assert isinstance(p.domain, Float | Int)
        places = inner(p.domain, able.units[:, j])
        active = ~np.isnan(places)
        if active.sum() < MIN_TRIALS:
            continue
        top = _top(able, active)
        for is_upper in (False, True):
            near = places[top] if is_upper else 1.0 - places[top]
            if near[0] >= 1.0 - EDGE and np.median(near) >= 1.0 - EDGE:
                yield j, p, is_upper


def _top(points: Points, active: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the best active trials, the very best first; of several objectives the front."""
    from tunekit_surrogates.non_domination import non_dominated

    at = np.flatnonzero(active)
    losses = points.losses[at]
    if losses.shape[1] > 1:
        return np.asarray(at[non_dominated(losses)])
    n = max(3, len(at) // 20)
    return np.asarray(at[np.argsort(losses[:, 0], kind="stable")[:n]])


def _confirmed(
    evidence: Evidence, suspects: list[tuple[int, Parameter, bool]], n_tests: int
) -> list[_Bound]:
    from scipy.special import ndtri

    if not suspects:
        return []
    critical = -float(ndtri(LEVEL / n_tests))
    sample, columns = _sample(evidence.measured, [j for j, _, _ in suspects])
    kept = [evidence.encoder.columns[j] for j in columns]
    models = [
        Response(kept, sample.units[:, columns], normal_scores(sample.losses[:, k]))
        for k in range(sample.losses.shape[1])
    ]
    found = []
    for j, p, is_upper in suspects:
        z = [_fall(m, columns.index(j), p, is_upper=is_upper) for m in models]
        if max(z) >= critical and min(z) >= 0.0:
            found.append(_Bound(p, j, is_upper, max(z)))
    return sorted(found, key=lambda b: -b.z)


def _fall(model: Response, column: int, p: Parameter, *, is_upper: bool) -> float:
    """Return how many standard errors the loss falls on the last stretch to a bound."""
    special = bool(getattr(p.domain, "special", ()))
    low = SPECIAL_SHARE if special else 0.0
    start, end = (1.0 - STRETCH, 1.0) if is_upper else (STRETCH, 0.0)
    step = model.step(column, low + start * (1.0 - low), low + end * (1.0 - low))
    return -step.mean / step.sd


def _sample(points: Points, needed: list[int]) -> tuple[Points, list[int]]:
    """Return at most `MAX_TRIALS` trials, a quarter of them the best, and the columns to use."""
    if len(points) > MAX_TRIALS:
        order = np.argsort(normal_scores(points.losses[:, 0]), kind="stable")
        n_best = MAX_TRIALS // 4
        rest = np.sort(order[n_best:])
        spread = np.linspace(0, len(rest) - 1, MAX_TRIALS - n_best).round().astype(np.int64)
        mask = np.zeros(len(points), dtype=bool)
        mask[order[:n_best]] = True
        mask[rest[spread]] = True
        points = points.where(mask)
    columns = list(range(points.units.shape[1]))
    if len(columns) > MAX_COLUMNS:
        columns = sorted({*related(points, MAX_COLUMNS), *needed})
    return points, columns


def related(points: Points, n: int) -> list[int]:
    """Return the `n` columns most correlated with the first objective, in their order."""
    y = normal_scores(points.losses[:, 0])
    x = np.where(np.isnan(points.units), 0.5, points.units)
    x = x - x.mean(axis=0)
    both = np.abs(np.stack([y @ x, y @ (x**2 - (x**2).mean(axis=0))]))
    strength = (both / np.maximum(x.std(axis=0), 1e-9)).max(axis=0)
    return sorted(np.argsort(-strength, kind="stable")[:n].tolist())


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
    best = _top(evidence.able, ~np.isnan(evidence.able.units[:, first.column]))
    return Finding(
        "boundary",
        "sick",
        float(len(found)),
        "bounds pressed against",
        f"the best trials lie at the {side} bound of {p.path}{where}, {bound:g}, and the loss "
        f"still falls towards it ({first.z:.1f} standard errors){others}.",
        f"Widen {p.path} to {key}={moved:g}; old trials stay valid.",
        f"tunekit studies widen {name} {p.path} --{key} {moved:g}",
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
