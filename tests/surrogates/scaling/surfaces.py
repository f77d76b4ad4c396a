"""Synthetic runs with a known law, for tests of what a fit finds."""

from __future__ import annotations

import numpy as np

from tunekit_surrogates.scaling import Runs

LR = (-2.0, -0.6, 0.25)
BS = (0.5, 0.05, 0.5)


def best(n, d, *, lr=LR, bs=BS):
    """Return the true optimum `(lr, bs)` of a cell."""
    rate = np.exp(lr[0] + lr[1] * np.log(n / 1e8) + lr[2] * np.log(d / 1e9) - 4.0)
    batch = np.exp(bs[0] + bs[1] * np.log(n / 1e8) + bs[2] * np.log(d / 1e9) + 11.5)
    return rate, batch


def losses(lr, bs, *, n, d, true_lr=LR, true_bs=BS, divergence=np.inf):
    """Return noiseless losses; runs above `divergence` times the best rate are NaN."""
    rate, batch = best(n, d, lr=true_lr, bs=true_bs)
    u, v = np.log(lr / rate), np.log(bs / batch)
    off = u - 0.4 * v
    bowl = np.where(off < 0, 0.006, 0.012) * off**2 + 0.004 * v**2
    base = 1.7 + 400.0 / n**0.34 + 410.0 / d**0.28
    return np.where(off > np.log(divergence), np.nan, base * np.exp(bowl))


def grid(cells, *, noise=3e-4, seed=0, step=2**0.5, **law):
    """Return a grid of 8 x 6 runs around a constant position in every cell."""
    rng = np.random.default_rng(seed)
    columns = []
    for n, d in cells:
        rate, batch = best(n, d)
        lr = 10 ** np.round(np.log10(rate), 1) * step ** np.arange(-5, 5)
        bs = 2.0 ** (np.round(np.log2(batch)) + np.arange(-3, 4))
        a, b = (axis.ravel() for axis in np.meshgrid(lr, bs))
        loss = losses(a, b, n=n, d=d, **law) * np.exp(rng.normal(0, noise, len(a)))
        columns.append(np.column_stack([a, b, np.full(len(a), n), np.full(len(a), d), loss]))
    a, b, n, d, loss = np.vstack(columns).T
    return Runs.checked(a, b, n=n, d=d, loss=loss)


CELLS = [(n, n * r) for n in (1e8, 2e8, 4e8) for r in (20, 80)]
