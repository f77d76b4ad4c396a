"""Fits laws of the loss: over N and D, over one axis, over further axes, over steps and batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from tunekit_surrogates.scaling.arrays import Floats, as_floats
from tunekit_surrogates.scaling.cautions import Caution
from tunekit_surrogates.scaling.loss_descent import EXPONENTS, fit_all, fit_resamples
from tunekit_surrogates.scaling.loss_law import LossLaw

HUBER = 1e-3
"""Error of ln L beyond which it counts linearly."""

VAGUE = 0.5
"""Standard deviation of an exponent over its value beyond which it is not identified."""


def fit_loss(
    n: ArrayLike,
    d: ArrayLike,
    *,
    loss: ArrayLike,
    bs: ArrayLike | None = None,
    n_bootstraps: int = 0,
    delta: float = HUBER,
    rng: np.random.Generator | None = None,
) -> LossLaw:
    """Return `E + A / N^a + B / D^b` fitted to losses, with terms of steps and batch if asked.

    With `bs` there are two terms more, over the steps `D / bs` and over the batch size, so that
    losses from batches that are too small or too large can be fitted as well: the axes are then
    ("n", "d", "steps", "bs").

    Args:
        n: parameters.
        d: tokens.
        loss: losses above 0, such as the best of each cell; infinite and NaN are left out.
        bs: batch sizes in tokens, or None.
        n_bootstraps: resamples, for the spread of the coefficients and of predictions.
        delta: error of ln L beyond which it counts linearly.
        rng: where the resamples come from.

    Raises:
        ValueError: if losses are missing or not above 0, or if an axis has one value alone.

    Reference:
        J. Hoffmann et al., 2022, "Training compute-optimal large language models", equation 3;
        T. Besiroglu et al., 2024, "Chinchilla scaling: A replication attempt".
    """
    axes = {"n": n, "d": d}
    if bs is not None:
        batch, tokens = as_floats("bs", bs), as_floats("d", d)
        if len(batch) != len(tokens):
            raise ValueError(
                f"bs has {len(batch)} values and d has {len(tokens)}; give one for each loss."
            )
        axes |= {"steps": tokens / batch, "bs": batch}
    return fit_loss_over(axes, loss=loss, n_bootstraps=n_bootstraps, delta=delta, rng=rng)


def fit_loss_over(
    axes: Mapping[str, ArrayLike],
    *,
    loss: ArrayLike,
    n_bootstraps: int = 0,
    delta: float = HUBER,
    rng: np.random.Generator | None = None,
) -> LossLaw:
    """Return `E + sum_j A_j / x_j^k_j` over any axes.

    One axis gives a power law with an offset; a third, such as the size of a datastore, adds its
    own term to those of N and D.

    Args:
        axes: values above 0 by the name of their axis.
        loss: losses above 0; infinite and NaN are left out.
        n_bootstraps: resamples, for the spread of the coefficients and of predictions.
        delta: error of ln L beyond which it counts linearly.
        rng: where the resamples come from.

    Raises:
        ValueError: if losses are missing or not above 0, or if an axis has one value alone.
    """
    x, y, cautions = _checked(axes, loss)
    if not (delta > 0.0 and n_bootstraps >= 0):
        raise ValueError(
            f"delta is {delta:g} and n_bootstraps is {n_bootstraps}; give a delta above 0 and"
            " 0 bootstraps or more."
        )
    j = x.shape[1]
    center = x.mean(axis=0)
    p = fit_all(x - center, y, delta=delta)
    draws = np.empty((0, 1 + 2 * j))
    if n_bootstraps:
        rng = rng or np.random.default_rng(0)
        draws = fit_resamples(p, x - center, y=y, delta=delta, n_bootstraps=n_bootstraps, rng=rng)
    every = np.vstack([p, draws])
    every[:, 1 : 1 + j] += every[:, 1 + j :] * center
    law = LossLaw(
        axes=tuple(axes),
        e=float(np.exp(every[0, 0])),
        log_a=every[0, 1 : 1 + j],
        exponents=every[0, 1 + j :],
        draws=every[1:],
        noise=0.0,
    )
    residual = np.log(law.loss(*np.exp(x.T))) - y
    noise = float(np.sqrt(np.sum(residual**2) / max(len(y) - 1 - 2 * j, 1)))
    return replace(law, noise=noise, cautions=(*cautions, *_vague(law)))


def _checked(
    axes: Mapping[str, ArrayLike], loss: ArrayLike
) -> tuple[Floats, Floats, list[Caution]]:
    """Return logarithms of axes and losses after checks, without the diverged."""
    values = as_floats("loss", loss)
    columns = {name: as_floats(name, column) for name, column in axes.items()}
    if not columns:
        raise ValueError("a law of the loss needs one axis at least, such as n or d.")
    for name, column in columns.items():
        if len(column) != len(values):
            raise ValueError(
                f"{name} has {len(column)} values and there are {len(values)} losses; give one"
                " for each loss."
            )
        if not (np.isfinite(column) & (column > 0.0)).all():
            raise ValueError(f"{name} has values that are not finite and above 0.")
    if (values <= 0.0).any():
        raise ValueError(
            f"{(values <= 0.0).sum()} losses are not above 0, the first"
            f" {values[values <= 0.0][0]:g}; a law of ln L needs losses above 0."
        )
    finite = np.isfinite(values)
    x = np.log(np.column_stack(list(columns.values()))[finite])
    _check_enough(x, list(columns))
    cautions = []
    if not finite.all():
        cautions.append(
            Caution(
                "diverged_runs",
                f"{(~finite).sum()} of {len(finite)} losses are not finite and left out.",
            )
        )
    return x, np.log(values[finite]), cautions


def _check_enough(x: Floats, names: list[str]) -> None:
    needed = 1 + 2 * len(names)
    if len(x) < needed:
        raise ValueError(
            f"a law of {needed} coefficients was asked of {len(x)} finite losses; give at least"
            f" {needed}, or fewer axes."
        )
    for name, column in zip(names, x.T, strict=True):
        n_values = len(np.unique(np.round(column, 6)))
        if n_values < 2:
            raise ValueError(
                f"all losses have one {name}, so that its term cannot be told from E; leave"
                f" {name} out: fit_loss_over takes the axes that vary."
            )


def _vague(law: LossLaw) -> list[Caution]:
    """Return a caution for each exponent that the losses leave open."""
    cautions = []
    spreads = law.spreads
    for axis, exponent in zip(law.axes, law.exponents.tolist(), strict=True):
        at_bound = not EXPONENTS[0] * 1.01 < exponent < EXPONENTS[1] * 0.99
        if at_bound or spreads.get(f"k:{axis}", 0.0) > VAGUE * exponent:
            cautions.append(
                Caution(
                    "unidentified",
                    f"the exponent of {axis} ({exponent:.3g}) is not identified by these losses;"
                    f" add values of {axis} further apart.",
                )
            )
    return cautions
