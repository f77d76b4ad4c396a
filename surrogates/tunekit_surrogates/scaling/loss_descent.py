"""Fits sums of powers to losses: many starts, then resamples all at once."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.optimize import minimize, nnls

from tunekit_surrogates.scaling.arrays import Floats

EXPONENTS = (0.005, 4.0)
"""Bounds of an exponent."""

GRID = (0.12, 0.25, 0.4, 0.6, 0.9, 1.4)
"""Exponents to start from."""

N_DESCENTS = 8
"""Starts that are followed to the end, the best of the grid."""

CHUNK = 8
"""Resamples that are fitted at once."""

N_STEPS = 15
"""Most steps of a resample; each starts where all losses end."""

ENOUGH = 3e-6
"""Relative gain of a step below which a resample is done."""


def sum_of_powers(p: Floats, x: Floats) -> tuple[Floats, Floats]:
    """Return `ln(exp(e) + sum_j exp(a_j - k_j x_j))` and the share of each term.

    Args:
        p: `(..., 1 + 2 j)` e, then all a, then all k.
        x: `(m, j)` logarithms.

    Returns:
        `(..., m)` logarithms and `(..., m, 1 + j)` shares, which add up to 1.
    """
    j = x.shape[1]
    powers = p[..., None, 1 : 1 + j] - p[..., None, 1 + j :] * x
    constant = np.broadcast_to(p[..., :1], powers.shape[:-1])
    terms = np.concatenate([constant[..., None], powers], axis=-1)
    top = terms.max(axis=-1, keepdims=True)
    shares = np.exp(terms - top)
    total = shares.sum(axis=-1, keepdims=True)
    shares /= total
    return (top + np.log(total))[..., 0], shares


def fit_all(x: Floats, y: Floats, *, delta: float) -> Floats:
    """Return the coefficients with the least Huber error of ln L, the best of many starts.

    Args:
        x: `(m, j)` logarithms of the axes, centred.
        y: `(m,)` logarithms of the losses.
        delta: error of ln L beyond which it counts linearly.
    """
    j = x.shape[1]
    limits = [(None, float(y.min()) + 1.0), *[(None, None)] * j, *[EXPONENTS] * j]

    def error(p: Floats) -> tuple[float, Floats]:
        law, shares = sum_of_powers(p, x)
        r = law - y
        pull = np.clip(r, -delta, delta)
        gradient = pull @ np.hstack([shares, -shares[:, 1:] * x])
        return float(pull @ r - 0.5 * pull @ pull) / delta, gradient / delta

    found = [
        minimize(
            error,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=limits,
            options={"maxiter": 2000, "maxfun": 4000, "ftol": 1e-13, "gtol": 1e-9},
        )
        for start in _starts(x, y)
    ]
    return np.asarray(min(found, key=lambda one: float(one.fun)).x, dtype=float)


def _starts(x: Floats, y: Floats) -> list[Floats]:
    """Return starts from a grid of exponents, with the best coefficients for each."""
    weight = np.exp(-y)
    scored = []
    for exponents in itertools.product(GRID, repeat=x.shape[1]):
        columns = np.hstack([np.ones((len(x), 1)), np.exp(-x * np.array(exponents))])
        coefficients, misfit = nnls(columns * weight[:, None], np.ones(len(x)))
        floor = 1e-4 * float(np.exp(y.mean()))
        logs = np.log(np.maximum(coefficients, floor))
        scored.append((misfit, np.concatenate([logs, exponents])))
    scored.sort(key=lambda one: one[0])
    return [start for _, start in scored[:N_DESCENTS]]


def fit_resamples(
    p: Floats, x: Floats, *, y: Floats, delta: float, n_bootstraps: int, rng: np.random.Generator
) -> Floats:
    """Return `(b, 1 + 2 j)` coefficients fitted to resamples of the losses with replacement.

    All resamples of a chunk take damped Gauss-Newton steps together, with Huber's weights.
    """
    m = len(x)
    drawn = rng.multinomial(m, np.full(m, 1.0 / m), size=n_bootstraps).astype(float)
    chunks = [drawn[i : i + CHUNK] for i in range(0, n_bootstraps, CHUNK)]
    return np.vstack([_descend(p, x, y, counts, delta) for counts in chunks])


def _descend(p: Floats, x: Floats, y: Floats, counts: Floats, delta: float) -> Floats:
    """Return coefficients of each resample; arrays are (resample, coefficient, loss)."""
    j = x.shape[1]
    b = len(counts)
    at = np.tile(p, (b, 1))
    damping = np.full(b, 1e-6)
    by = np.empty((b, 1 + 2 * j, len(x)))
    law = _terms(at, x, out=by)
    error = _errors(law - y, counts, delta)
    for _ in range(N_STEPS):
        r = law - y
        weight = counts / np.maximum(1.0, np.abs(r) / delta)
        by[:, 1 + j :] = -by[:, 1 : 1 + j] * x.T
        weighted = by * weight[:, None, :]
        curved = np.matmul(weighted, by.transpose(0, 2, 1))
        gradient = np.matmul(weighted, r[..., None])[..., 0]
        diagonal = np.einsum("bpp->bp", curved)
        diagonal += damping[:, None] * diagonal + 1e-12
        move = -np.linalg.solve(curved, gradient[..., None])[..., 0]
        trial = at + move
        trial[:, 1 + j :] = np.clip(trial[:, 1 + j :], *EXPONENTS)
        law = _terms(trial, x, out=by)
        there = _errors(law - y, counts, delta)
        better = there <= error
        at = np.where(better[:, None], trial, at)
        damping = np.where(better, damping / 5.0, np.maximum(damping, 1e-6) * 30.0)
        if not better.all():
            law = _terms(at, x, out=by)
        gained = np.where(better, error - there, np.inf)
        error = np.where(better, there, error)
        if (gained < ENOUGH * error).all():
            break
    return at


def _terms(p: Floats, x: Floats, *, out: Floats) -> Floats:
    """Return the logarithms of the law, and write the shares of its terms to `out`."""
    j = x.shape[1]
    np.multiply(-p[:, 1 + j :, None], x.T, out=out[:, 1 : 1 + j])
    out[:, 1 : 1 + j] += p[:, 1 : 1 + j, None]
    out[:, 0] = p[:, :1]
    np.exp(out[:, : 1 + j], out=out[:, : 1 + j])
    total = out[:, : 1 + j].sum(axis=1)
    out[:, : 1 + j] /= total[:, None, :]
    return np.asarray(np.log(total), dtype=float)


def _errors(r: Floats, counts: Floats, delta: float) -> Floats:
    pull = np.clip(r, -delta, delta)
    return np.asarray(np.einsum("bm,bm->b", counts, pull * (r - 0.5 * pull)), dtype=float)
