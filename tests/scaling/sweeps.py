"""Sweeps of learning rate and batch size whose law is known."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

CELLS = [(n, d) for n in (1e6, 4e6, 16e6) for d in (1e8, 4e8, 16e8)]


def best_lr(n: float, d: float) -> float:
    """Return the best learning rate of a cell."""
    return 3e-3 * (n / 1e6) ** -0.5 * (d / 1e8) ** 0.2


def best_bs(d: float) -> float:
    """Return the best batch size of a cell, in tokens."""
    return 65536 * (d / 1e8) ** 0.5


def loss_of(lr: float, bs: float, n: float, d: float) -> float:
    """Return the final loss of a run; far too large a rate diverges."""
    u = math.log(lr / best_lr(n, d)) - 0.4 * math.log(bs / best_bs(d))
    v = math.log(bs / best_bs(d))
    if u > 3:
        return math.nan
    best = 1.7 + 400 / n**0.34 + 400 / d**0.28
    return best * (1 + 0.01 * (u * u if u < 0 else 2 * u * u) + 0.005 * v * v)


def rows(
    cells: Iterable[tuple[float, float]] = CELLS, *, noise: float = 1e-4, seed: int = 0
) -> list[dict[str, Any]]:
    """Return one row for each run of a grid in every cell, with a little noise."""
    rng = np.random.default_rng(seed)
    found = []
    for n, d in cells:
        for i in range(-3, 4):
            for j in range(-2, 3):
                lr = round(3e-3 * (n / 1e6) ** -0.5 * 2.0**i, 9)
                bs = 65536 * (d / 1e8) ** 0.5 * 2.0**j
                loss = loss_of(lr, bs, n, d) * math.exp(noise * rng.normal())
                found.append({"lr": lr, "bs": bs, "N": n, "D": d, "loss": loss})
    return found
