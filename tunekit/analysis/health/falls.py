"""Whether the best trials lie at a bound, and whether the loss falls towards it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tunekit.analysis.health.evidence import EncodedTrials, Evidence
from tunekit.analysis.health.response import Response, normal_scores
from tunekit.spaces import Float, Int, Parameter
from tunekit.spaces.domains import SPECIAL_SHARE
from tunekit.spaces.encode import Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    _Floats = NDArray[np.float64]

MIN_TRIALS = 15
"""Minimum number of trials with the parameter active."""
MAX_TRIALS = 240
"""Trials that a model is fitted to."""
MAX_COLUMNS = 40
"""Parameters in a model, those most related to the loss."""
STRETCH = 0.4
"""Share of a range, next to a bound, on which the loss has to fall."""
HUG = 0.015
"""Share of a range, next to a bound, in which the best trials lie at the bound itself."""
LOCAL_STRETCH = 0.35
"""Share of what the nearest trials fill, next to a bound, on which the loss has to fall."""
NEAREST = 4
"""The inverse share of the trials, those nearest to the best, that show the loss around it."""
LOCAL_Z = 1.0
"""Standard errors by which the loss has to fall there."""


def inner(domain: Float | Int, units: _Floats) -> _Floats:
    """Return the places within the range alone, NaN for special values."""
    if not domain.special:
        return units
    return np.where(units < SPECIAL_SHARE, np.nan, (units - SPECIAL_SHARE) / (1 - SPECIAL_SHARE))


def places_of(evidence: Evidence, points: EncodedTrials, columns: Sequence[int]) -> _Floats:
    """Return `(n, k)` places of some columns within their ranges, NaN for special values."""
    found = points.units[:, list(columns)].copy()
    for i, j in enumerate(columns):
        domain = evidence.space.by_path[evidence.encoder.columns[j].path].domain
        if isinstance(domain, Float | Int):
            found[:, i] = inner(domain, found[:, i])
    return found


def top_trials(points: EncodedTrials, active: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the best active trials, the very best first; of several objectives the front."""
    from tunekit_surrogates.non_domination import non_dominated

    at = np.flatnonzero(active)
    losses = points.losses[at]
    if losses.shape[1] > 1:
        return np.asarray(at[non_dominated(losses)])
    n = max(3, len(at) // 20)
    return np.asarray(at[np.argsort(losses[:, 0], kind="stable")[:n]])


def model_sample(points: EncodedTrials, needed: list[int]) -> tuple[EncodedTrials, list[int]]:
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


def related(points: EncodedTrials, n: int) -> list[int]:
    """Return the `n` columns most correlated with the first objective, in their order."""
    y = normal_scores(points.losses[:, 0])
    x = np.where(np.isnan(points.units), 0.5, points.units)
    x = x - x.mean(axis=0)
    both = np.abs(np.stack([y @ x, y @ (x**2 - (x**2).mean(axis=0))]))
    strength = (both / np.maximum(x.std(axis=0), 1e-9)).max(axis=0)
    return sorted(np.argsort(-strength, kind="stable")[:n].tolist())


def fall(model: Response, column: int, *, is_upper: bool) -> float:
    """Return how many standard errors the loss falls on the last stretch to a bound."""
    start, end = (1.0 - STRETCH, 1.0) if is_upper else (STRETCH, 0.0)
    step = model.step(column, start, end)
    return -step.mean / step.sd


def hugs(evidence: Evidence, j: int, p: Parameter, *, is_upper: bool) -> bool:
    """Return whether most of the best trials lie at the bound itself, or in its last cell."""
    assert isinstance(p.domain, Float | Int)
    places = inner(p.domain, evidence.able.units[:, j])
    top = places[top_trials(evidence.able, ~np.isnan(places))]
    gaps = 1.0 - top if is_upper else top
    cell = 1.0 / evidence.encoder.columns[j].size
    return float(np.median(gaps)) <= max(HUG, cell if math.isfinite(cell) else 0.0)


def falls_locally(
    evidence: Evidence, columns: list[int], j: int, p: Parameter, *, is_upper: bool
) -> bool:
    """Return whether the loss falls to the bound among the trials around the best."""
    assert isinstance(p.domain, Float | Int)
    able = evidence.able
    active = ~np.isnan(inner(p.domain, able.units[:, j]))
    near = _nearest(able.where(active), evidence.encoder.columns)
    units, at = places_of(evidence, near, columns), columns.index(j)
    known = np.where(np.isnan(units), 0.5, units)
    low, high = known.min(axis=0), known.max(axis=0)
    low[at], high[at] = (low[at], 1.0) if is_upper else (0.0, high[at])
    kept = [evidence.encoder.columns[c] for c in columns]
    is_number = np.array([c.kind != "categorical" for c in kept]) & (high > low)
    scale = np.where(is_number, high - low, 1.0)
    units = (units - np.where(is_number, low, 0.0)) / scale
    start, end = (1.0 - LOCAL_STRETCH, 1.0) if is_upper else (LOCAL_STRETCH, 0.0)
    for k in range(near.losses.shape[1]):
        step = Response(kept, units, normal_scores(near.losses[:, k])).step(at, start, end)
        if -step.mean >= LOCAL_Z * step.sd:
            return True
    return False


def _nearest(points: EncodedTrials, columns: Sequence[Column]) -> EncodedTrials:
    """Return the part of the trials that is nearest to the best one, at least `MIN_TRIALS`."""
    scores = np.mean([normal_scores(column) for column in points.losses.T], axis=0)
    best = points.units[int(np.argmin(scores))]
    is_label = np.array([c.kind == "categorical" for c in columns], dtype=bool)
    gaps = np.abs(points.units - best)
    gaps = np.where(np.isnan(gaps), np.isnan(points.units) != np.isnan(best), gaps)
    gaps = np.where(is_label, gaps > 0.0, gaps)
    n = min(max(MIN_TRIALS, len(points) // NEAREST), MAX_TRIALS)
    mask = np.zeros(len(points), dtype=bool)
    mask[np.argsort(np.sum(gaps**2, axis=1), kind="stable")[:n]] = True
    return points.where(mask)
