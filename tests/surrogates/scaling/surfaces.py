"""Synthetic runs with a known law, for tests of what a fit finds."""

from __future__ import annotations

import numpy as np

from tunekit_surrogates.scaling import Runs

LR = (-6.0, -0.6, 0.25)
"""ln lr at N = 1e8 and D = 1e9, exponents of N and D."""

BS = (12.0, 0.05, 0.5)

CELLS = [(n, n * r) for n in (1e8, 2e8, 4e8) for r in (20, 80)]


def best(n, d, *, lr=LR, bs=BS):
    """Return the true optimum `(lr, bs)` of a cell."""
    log_n, log_d = np.log(n / 1e8), np.log(d / 1e9)
    return tuple(np.exp(law[0] + law[1] * log_n + law[2] * log_d) for law in (lr, bs))


def losses(lr, bs, *, n, d, true_lr=LR, true_bs=BS):
    """Return noiseless losses."""
    rate, batch = best(n, d, lr=true_lr, bs=true_bs)
    u, v = np.log(lr / rate), np.log(bs / batch)
    off = u - 0.4 * v
    bowl = np.where(off < 0, 0.006, 0.012) * off**2 + 0.004 * v**2
    return (1.7 + 400.0 / n**0.34 + 410.0 / d**0.28) * np.exp(bowl)


def grid(cells, *, noise=3e-4, seed=0, step=2**0.5, centre_lr=LR, **law):
    """Return a grid of 10 x 7 runs around the optimum of every cell."""
    rng = np.random.default_rng(seed)
    columns = []
    for n, d in cells:
        rate, batch = best(n, d, lr=centre_lr)
        lr = 10 ** np.round(np.log10(rate), 1) * step ** np.arange(-5, 5)
        bs = 2.0 ** (np.round(np.log2(batch)) + np.arange(-3, 4))
        a, b = (axis.ravel() for axis in np.meshgrid(lr, bs))
        loss = losses(a, b, n=n, d=d, **law) * np.exp(rng.normal(0, noise, len(a)))
        columns.append(np.column_stack([a, b, np.full(len(a), n), np.full(len(a), d), loss]))
    a, b, n, d, loss = np.vstack(columns).T
    return Runs.checked(a, b, n=n, d=d, loss=loss)


def scattered(k, *, noise=1e-3, seed=0):
    """Return runs of which no two share N, D, lr or bs."""
    rng = np.random.default_rng(seed)
    n = np.exp(rng.uniform(np.log(5e7), np.log(5e8), k))
    d = n * np.exp(rng.uniform(np.log(15), np.log(150), k))
    rate, batch = best(n, d)
    lr, bs = rate * np.exp(rng.normal(0, 0.9, k)), batch * np.exp(rng.normal(0, 0.9, k))
    loss = losses(lr, bs, n=n, d=d) * np.exp(rng.normal(0, noise, k))
    return Runs.checked(lr, bs, n=n, d=d, loss=loss)
