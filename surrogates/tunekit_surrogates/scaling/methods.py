"""The ways to find laws of learning rate and batch size in runs, beside the joint surface."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tunekit_surrogates.scaling.arrays import Floats, Mask
from tunekit_surrogates.scaling.design import Design, Exponents
from tunekit_surrogates.scaling.optima import (
    BAND,
    NEAR,
    CellOptimum,
    OptimumMethod,
    cell_optima,
    cells_of,
)
from tunekit_surrogates.scaling.priors import Normal, Priors
from tunekit_surrogates.scaling.regression import PowerLaw, fit_power_law
from tunekit_surrogates.scaling.runs import Runs

FEWEST_CELLS = 3
"""With fewer cells there is no law of cells."""


@dataclass(frozen=True, slots=True)
class Laws:
    """The laws of learning rate, batch size and, where weight decay varied, its time scale."""

    lr: PowerLaw
    bs: PowerLaw
    tau: PowerLaw | None = None


def by_cells(
    runs: Runs,
    *,
    priors: Priors,
    exponents: Exponents = "shared",
    optimum: OptimumMethod = "plateau",
) -> Laws:
    """Return laws through the optimum of each cell, by Bayesian log-linear regression.

    Raises:
        ValueError: if fewer than three cells have an optimum.
    """
    optima = cell_optima(runs, method=optimum)
    if len(optima) < FEWEST_CELLS:
        raise ValueError(
            f"{len(optima)} cells have three finite runs or more, and laws through cells need"
            f" {FEWEST_CELLS}; add cells, or use method='surface', which fits all runs at once."
        )
    lr = _through(optima, "lr", exponents, n=priors.lr_n, d=priors.lr_d)
    bs = _through(optima, "bs", exponents, n=priors.bs_n, d=priors.bs_d)
    decayed = runs.wd is not None and np.ptp(np.log(runs.wd)) > 0.0
    return Laws(
        lr, bs, _through(optima, "tau", "shared", ratio=priors.tau_ratio) if decayed else None
    )


def _through(
    optima: Sequence[CellOptimum], output: str, exponents: Exponents, **axes: Normal
) -> PowerLaw:
    n, d = np.array([o.n for o in optima]), np.array([o.d for o in optima])
    label = np.array([o.factor for o in optima])
    labels = np.unique(label).tolist()
    design = Design.of(tuple(axes), n=n, d=d, labels=labels, exponents=exponents)
    sd = [getattr(o, f"{output}_sd", np.hypot(o.lr_sd, o.bs_sd)) for o in optima]
    return fit_power_law(
        design,
        design.rows(n, d, label),
        y=np.log([getattr(o, output) for o in optima]),
        priors=design.priors(**axes),
        sd=np.array(sd),
    )


def by_threshold(
    runs: Runs, *, n_bootstraps: int = 1000, rng: np.random.Generator | None = None
) -> Laws:
    """Return laws through all runs within 0.25 % of the best of their cell.

    They follow by ordinary least squares, lr over N and D and bs over D, with the spread of
    `n_bootstraps` resamples of those runs.

    Raises:
        ValueError: if the runs do not identify the exponents.

    Reference:
        H. Li et al., 2025, "Predictable Scale: Part I, Step Law".
    """
    near = np.zeros(len(runs), dtype=bool)
    for cell in cells_of(runs):
        near |= cell & (runs.loss <= runs.loss[cell].min() * (1.0 + BAND)) & ~runs.diverged
    chosen = runs.where(near)
    _refuse_one_scale(chosen)
    weights = _resamples(len(chosen), n_bootstraps, rng)
    lr = _least_squares(chosen, np.log(chosen.lr), ("n", "d"), weights)
    bs = _least_squares(chosen, np.log(chosen.bs), ("d",), weights)
    optima = cell_optima(runs)
    return Laws(lr=_as_coarse_as(optima, "lr_sd", lr), bs=_as_coarse_as(optima, "bs_sd", bs))


def _as_coarse_as(optima: Sequence[CellOptimum], error: str, law: PowerLaw) -> PowerLaw:
    """Return the law with the error to which the grid of runs shows the optimum of a cell.

    Resamples do not know it: where a plateau is one point of the grid, they all agree.
    """
    if not optima:
        return law
    sd = float(np.median([getattr(o, error) for o in optima]))
    n, d = np.array([o.n for o in optima]), np.array([o.d for o in optima])
    rows = law.design.rows(n, d, np.array([o.factor for o in optima]))
    cov = law.cov + sd**2 * np.linalg.pinv(rows.T @ rows)
    return replace(law, cov=cov, scatter=math.hypot(law.scatter, sd))


def _refuse_one_scale(runs: Runs) -> None:
    for name, values in (("N", runs.n), ("D", runs.d), ("D / N", runs.d / runs.n)):
        if np.ptp(np.log(values)) < 0.01:
            raise ValueError(
                f"all runs have one {name}, so that least squares cannot tell its exponent; add"
                " cells, or use method='surface' or 'cells', whose priors fill the gap."
            )


def _resamples(k: int, n_bootstraps: int, rng: np.random.Generator | None) -> Floats:
    """Return `(1 + b, k)` weights: all runs once, then resamples with replacement."""
    rng = rng or np.random.default_rng(0)
    drawn = rng.multinomial(k, np.full(k, 1.0 / k), size=n_bootstraps)
    return np.vstack([np.ones(k), drawn]).astype(float)


def _solutions(rows: Floats, y: Floats, weights: Floats) -> Floats:
    """Return `(b, p)` weighted least-squares solutions, one for each row of weights."""
    p = rows.shape[1]
    products = (rows[:, :, None] * rows[:, None, :]).reshape(len(rows), -1)
    normal = (weights @ products).reshape(-1, p, p)
    right = weights @ (rows * y[:, None])
    ridge = 1e-9 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(p)
    return np.asarray(np.linalg.solve(normal + ridge, right[..., None])[..., 0])


def _least_squares(runs: Runs, y: Floats, axes: tuple[str, ...], weights: Floats) -> PowerLaw:
    label = _labels(runs)
    design = Design.of(axes, n=runs.n, d=runs.d, labels=np.unique(label).tolist())
    rows = design.rows(runs.n, runs.d, label)
    solutions = _solutions(rows, y, weights)
    scatter = float(np.sqrt(np.mean((y - rows @ solutions[0]) ** 2)))
    return _law_of_draws(design, solutions[0], solutions[1:], scatter=scatter)


def _law_of_draws(design: Design, mean: Floats, draws: Floats, *, scatter: float) -> PowerLaw:
    cov = np.atleast_2d(np.cov(draws.T)) if len(draws) > 1 else np.zeros((len(mean), len(mean)))
    return PowerLaw(design, mean, cov, scatter, dof=30.0)


def _labels(runs: Runs) -> NDArray[np.str_]:
    return np.full(len(runs), "") if runs.factor is None else runs.factor


def by_quadratic(
    runs: Runs,
    *,
    excess: Floats,
    scatter: tuple[float, float],
    n_bootstraps: int = 1000,
    rng: np.random.Generator | None = None,
) -> Laws:
    """Return laws from one quadratic of ln L in ln lr, ln bs, ln N and ln D.

    Where the gradient by ln lr and ln bs is 0, both are linear in ln N and ln D.

    Args:
        runs: the runs.
        excess: `(k,)` excess of ln L over the optimum of each run's scale; runs beyond 2 % are
            left out, for a quadratic does not describe them.
        scatter: how far the optimum of a cell lies from a law of ln lr and of ln bs.
        n_bootstraps: resamples for the spread.
        rng: where the resamples come from.

    Raises:
        ValueError: if the runs do not identify the quadratic, or it has no minimum.
    """
    near: Mask = (excess <= NEAR) & ~runs.diverged
    chosen = runs.where(near)
    _refuse_one_scale(chosen)
    label = _labels(chosen)
    labels = np.unique(label).tolist()
    design = Design.of(("n", "d"), n=chosen.n, d=chosen.d, labels=labels)
    scale = design.rows(chosen.n, chosen.d, label)
    q = scale.shape[1]
    center = np.log([chosen.lr, chosen.bs]).mean(axis=1)
    x, y = np.log(chosen.lr) - center[0], np.log(chosen.bs) - center[1]
    n, d = scale[:, -2], scale[:, -1]
    bends = np.column_stack([x * x, x * y, y * y])
    slopes = np.hstack([x[:, None] * scale, y[:, None] * scale])
    rows = np.hstack([bends, slopes, scale, np.column_stack([n * n, n * d, d * d])])
    if len(chosen) < 2 * rows.shape[1]:
        raise ValueError(
            f"{len(chosen)} runs lie within {NEAR:.0%} of their optimum, and a joint quadratic of"
            f" {rows.shape[1]} coefficients needs twice as many; use method='surface'."
        )
    solutions = _solutions(rows, np.log(chosen.loss), _resamples(len(chosen), n_bootstraps, rng))
    lr, bs, bent = _vertices(solutions, q)
    if not bent[0]:
        raise ValueError(
            "the joint quadratic has no minimum in learning rate and batch size; add runs on both"
            " sides of the best, or use method='surface'."
        )
    lr[:, 0] += center[0]
    bs[:, 0] += center[1]
    drawn = np.flatnonzero(bent[1:]) + 1
    return Laws(
        lr=_law_of_draws(design, lr[0], lr[drawn], scatter=scatter[0]),
        bs=_law_of_draws(design, bs[0], bs[drawn], scatter=scatter[1]),
    )


def _vertices(solutions: Floats, q: int) -> tuple[Floats, Floats, Mask]:
    """Return the laws at which the quadratics are least, and which of them have a minimum."""
    xx, xy, yy = solutions[:, 0], solutions[:, 1], solutions[:, 2]
    by_x, by_y = solutions[:, 3 : 3 + q], solutions[:, 3 + q : 3 + 2 * q]
    det = 4.0 * xx * yy - xy**2
    bent = (det > 0.0) & (xx > 0.0)
    det = np.where(bent, det, 1.0)[:, None]
    lr = (xy[:, None] * by_y - 2.0 * yy[:, None] * by_x) / det
    bs = (xy[:, None] * by_x - 2.0 * xx[:, None] * by_y) / det
    return lr, bs, np.asarray(bent)
