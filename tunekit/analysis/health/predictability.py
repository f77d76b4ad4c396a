"""Tells whether the results depend on the parameters at all.

The predictions of kernel models for each trial from all others (leave-one-out) are compared with
those on shuffled results. The largest correlation over the models is the test statistic, and its
rank among `SHUFFLES` shuffles the p-value, which holds for any distribution of the results. A
study is reported when no sign of a dependence is seen (p above `NO_SIGN`) although there are
enough trials to see one.

Reference: Rasmussen and Williams, 2006, "Gaussian Processes for Machine Learning", eq. 5.12;
Phipson and Smyth, 2010, "Permutation p-values should never be zero".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from tunekit.analysis.health.evidence import EncodedTrials, Evidence
from tunekit.analysis.health.findings import Finding, healthy, unknown
from tunekit.analysis.health.response import basis, normal_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    _Floats = NDArray[np.float64]

MIN_TRIALS = 40
MAX_TRIALS = 200
MAX_COLUMNS = 40
SHUFFLES = 199
NO_SIGN = 0.01
"""p-value above which there is no evidence of a dependence; the share of sick studies missed."""
MAX_CORRELATION = 0.45
"""Correlation with the predictions that has to be excluded, one-sided at 99 %."""
RIDGES = (0.1, 1.0)
_OUTSIDE = 2.5  # distance of an inactive column from an active one, in standard deviations


def check(evidence: Evidence) -> Finding:
    """Return the finding."""
    points = evidence.measured
    finite = np.asarray(np.isfinite(points.losses).all(axis=1))
    points = points.where(finite)
    names = [o.metric for o in evidence.history.objectives]
    if len(points) >= 10:
        for k, name in enumerate(names):
            if np.ptp(points.losses[:, k]) == 0.0:
                return _constant(points, name, k)
    n_needed = max(MIN_TRIALS, 4 * min(points.units.shape[1], MAX_COLUMNS))
    if len(points) < n_needed:
        return unknown(
            "predictability", f"it needs {n_needed} results, and there are {len(points)}."
        )
    if not points.units.shape[1]:
        return unknown("predictability", "the space has no parameter that varies.")
    sample = _spread(points)
    worst = (0.0, 0.0, 0.0, "")
    for k, name in enumerate(names):
        r, p, chance = dependence(evidence, sample, k)
        worst = max(worst, (p, r, chance, name))
    p, r, chance, name = worst
    bound = r - chance + 2.33 / len(sample) ** 0.5
    unit = "correlation with predictions from the parameters"
    if p <= NO_SIGN or bound > MAX_CORRELATION:
        text = f"{name} depends on the parameters (correlation {r:.2f}, p = {p:.2g})."
        if p > NO_SIGN:
            return unknown("predictability", f"{len(sample)} results do not tell yet.")
        return healthy("predictability", text, r, unit)
    return Finding(
        "predictability",
        "sick",
        round(r, 4),
        unit,
        f"{name} does not depend on any parameter as far as {len(sample)} results show "
        f"(correlation {r:.2f} with predictions, p = {p:.2g}).",
        f"Check that the objective uses its params and returns {name}; if it does, run one point "
        "a few times to see its noise.",
    )


def _constant(points: EncodedTrials, name: str, k: int) -> Finding:
    value = abs(float(points.losses[0, k]))
    return Finding(
        "predictability",
        "sick",
        0.0,
        "correlation with predictions from the parameters",
        f"{name} is {value:g} in all {len(points)} results, whatever the params.",
        f"Check that the objective uses its params and returns {name}.",
        trials=tuple([t.number for t in points.trials[:5]]),
    )


def _spread(points: EncodedTrials) -> EncodedTrials:
    if len(points) <= MAX_TRIALS:
        return points
    mask = np.zeros(len(points), dtype=bool)
    mask[np.linspace(0, len(points) - 1, MAX_TRIALS).round().astype(np.int64)] = True
    return points.where(mask)


def dependence(evidence: Evidence, points: EncodedTrials, k: int) -> tuple[float, float, float]:
    """Return the largest leave-one-out correlation of objective `k`, its p-value, its median.

    The median is that of shuffled results.
    """
    rng = np.random.default_rng([len(points), k])
    y = normal_scores(points.losses[:, k])
    shuffled = np.stack([y, *(rng.permutation(y) for _ in range(SHUFFLES))], axis=1)
    best = np.full(shuffled.shape[1], -1.0)
    for gram in _grams(evidence, points):
        values, vectors = np.linalg.eigh(gram)
        turned = vectors.T @ shuffled
        for ridge in RIDGES:
            spread = np.maximum(values, 0.0) + ridge
            alpha = vectors @ (turned / spread[:, None])
            diagonal = (vectors**2) @ (1.0 / spread)
            best = np.maximum(best, _correlations(shuffled, shuffled - alpha / diagonal[:, None]))
    p = float((1 + np.sum(best[1:] >= best[0])) / (1 + SHUFFLES))
    return float(best[0]), p, float(np.median(best[1:]))


def _grams(evidence: Evidence, points: EncodedTrials) -> Iterator[_Floats]:
    """Yield `(n, n)` kernels: additive over the parameters, and of all of them together."""
    columns = evidence.encoder.columns
    kept = list(range(len(columns)))
    if len(columns) > MAX_COLUMNS:  # chosen without the results, so that shuffles are comparable
        order = np.argsort(np.isnan(points.units).sum(axis=0), kind="stable")
        kept = sorted(order[:MAX_COLUMNS].tolist())
    features = np.hstack([_standard(basis(columns[j], points.units[:, j])) for j in kept])
    additive = features @ features.T
    yield additive / max(float(np.trace(additive)) / len(points), 1e-12)
    wide = np.hstack([_coordinates(columns[j].kind, points.units[:, j]) for j in kept])
    squares = np.sum(wide**2, axis=1)
    distances = np.maximum(squares[:, None] + squares[None] - 2.0 * wide @ wide.T, 0.0)
    typical = float(np.median(distances[np.triu_indices(len(points), 1)])) or 1.0
    for scale in (0.3, 1.0):
        yield np.exp(-distances / (scale * typical))


def _standard(features: _Floats) -> _Floats:
    centred = features - features.mean(axis=0)
    sd = float(np.sqrt(np.sum(centred.var(axis=0))))
    return np.asarray(centred / (sd if sd > 0.0 else 1.0))


def _coordinates(kind: str, units: _Floats) -> _Floats:
    active = ~np.isnan(units)
    u = np.where(active, units, 0.0)
    if kind == "categorical":
        places, n = np.unique(u, return_inverse=True)[1], len(np.unique(u))
        out = np.eye(n)[places] * active[:, None]
        return np.asarray(out * 2.0)
    centred = np.where(active, (u - 0.5) * 12**0.5, 0.0)
    if active.all():
        return centred[:, None]
    return np.stack([centred, np.where(active, 0.0, _OUTSIDE)], axis=1)


def _correlations(a: _Floats, b: _Floats) -> _Floats:
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    size = np.sqrt(np.sum(a**2, axis=0) * np.sum(b**2, axis=0))
    return np.asarray(np.sum(a * b, axis=0) / np.maximum(size, 1e-12))
