"""Trains an ensemble of small neural networks that stays flat where it has no data.

The networks train side by side as one batch of matrices. Each sees its own four fifths of the
rows, and the held-out rows measure the error of the ensemble.

Reference: Dao, Nguyen, Doppa and Hoang, 2024, "Incorporating surrogate gradient norm to improve
offline optimization techniques", arXiv 2503.04242 (IGNITE).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import leaky_relu

Floats: TypeAlias = NDArray[np.float64]
Weights: TypeAlias = list[Tensor]
"""Alternating matrices `(m, in, out)` and offsets `(m, 1, out)` of `m` networks, by layer."""

SEEN = 0.8
"""Share of the rows that each network trains on."""

TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Ignite:
    """Sets how the networks are trained.

    Attributes:
        sizes: widths of the hidden layers.
        n_networks: networks in the ensemble; 2 or more.
        epochs: passes over the rows; raised on small data to reach `steps` steps.
        steps: minimum number of optimiser steps.
        batch: rows per step.
        rate: learning rate of the optimiser (Adam).
        rho: weight of the gradient norm; `radius` is the distance of the finite difference
            that gives its slope.
        threshold: largest allowed value of `rho` times the norm.
        multiplier: initial Lagrange multiplier; 0 with `is_fixed` disables the constraint.
        is_fixed: keep the multiplier constant (IGNITE-2).
        multiplier_rate: growth of the multiplier per unit of violation.
    """

    sizes: tuple[int, ...] = (64, 64)
    n_networks: int = 5
    epochs: int = 100
    steps: int = 800
    batch: int = 128
    rate: float = 5e-3
    rho: float = 0.05
    radius: float = 0.05
    threshold: float = 1e-3
    multiplier: float = 1e-3
    is_fixed: bool = False
    multiplier_rate: float = 1e-3


@dataclass(frozen=True)
class Ensemble:
    """Predicts with the trained networks.

    Attributes:
        weights: see `Weights`.
        centre, scale: mean and standard deviation of the training values.
        spread: factor of 1 or more on the networks' disagreement that matches it to their
            error on held-out rows.
        multipliers: `(m,)` final Lagrange multipliers.
    """

    weights: Weights
    centre: float
    scale: float
    spread: float
    multipliers: Floats

    def predict(self, x: Floats) -> tuple[Floats, Floats]:
        """Return `(n,)` means and standard deviations at `(n, d)` rows."""
        with torch.no_grad():
            mean, sd = self._predict(torch.as_tensor(x, dtype=torch.float32))
        return mean.double().numpy(), sd.double().numpy()

    def cautious(self, x: Floats, *, caution: float) -> tuple[Floats, Floats]:
        """Return `(n,)` means plus `caution` standard deviations, and their slopes `(n, d)`."""
        rows = torch.tensor(x, dtype=torch.float32, requires_grad=True)
        mean, sd = self._predict(rows)
        value = mean + caution * sd
        (slope,) = torch.autograd.grad(value.sum(), rows)
        return value.detach().double().numpy(), slope.double().numpy()

    def _predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = forward(self.weights, x.expand(len(self.weights[0]), *x.shape))
        mean, sd = y.mean(dim=0), (y.var(dim=0) + TINY).sqrt()
        return self.centre + self.scale * mean, self.scale * self.spread * sd


def fit(x: Floats, y: Floats, *, settings: Ignite | None = None, seed: int = 0) -> Ensemble:
    """Return the ensemble for `(n, d)` rows without NaN and their `(n,)` values.

    Equal arguments give an equal ensemble on the same machine.
    """
    rules = settings or Ignite()
    rng = torch.Generator().manual_seed(seed % 2**63)
    centre, scale = float(np.mean(y)), float(np.std(y)) or 1.0
    rows = torch.as_tensor(x, dtype=torch.float32)
    values = torch.as_tensor((y - centre) / scale, dtype=torch.float32)
    seen = torch.rand(rules.n_networks, len(y), generator=rng) < SEEN
    seen[:, 0] = True  # every network needs a row
    weights = initial(x.shape[1], rules, rng)
    optimiser = torch.optim.Adam(weights, lr=rules.rate)
    lambdas = torch.full((rules.n_networks,), rules.multiplier)
    size = min(rules.batch, len(y))
    n_steps = max(rules.steps, rules.epochs * (len(y) // size))
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, n_steps)
    for _ in range(n_steps):
        picked = torch.randint(len(y), (size,), generator=rng)
        batch = rows[picked].expand(rules.n_networks, -1, -1)
        gradients = _loss_gradient(weights, batch, values[picked], seen[:, picked])
        sharp, norms = sharpness_gradient(weights, batch, rho=rules.rho, radius=rules.radius)
        for w, of_loss, of_norm in zip(weights, gradients, sharp, strict=True):
            w.grad = of_loss + lambdas[:, None, None] * of_norm
        optimiser.step()
        decay.step()
        if not rules.is_fixed:  # the paper's code lets it fall below 0, which rewards sharpness
            lambdas = lambdas + rules.multiplier_rate * (rules.rho * norms - rules.threshold)
            lambdas = lambdas.clamp(min=0.0)
    trained = [w.detach() for w in weights]
    spread = _spread(trained, rows, values, seen)
    return Ensemble(trained, centre, scale, spread, lambdas.double().numpy())


def initial(n_columns: int, settings: Ignite, rng: torch.Generator) -> Weights:
    """Return uniform random weights that preserve the signal's scale (Kaiming)."""
    sizes = (n_columns, *settings.sizes, 1)
    weights = []
    for fan_in, fan_out in pairwise(sizes):
        for rows in (fan_in, 1):
            shape = (settings.n_networks, rows, fan_out)
            unit = torch.rand(shape, generator=rng) * 2.0 - 1.0
            weights.append((unit / max(fan_in, 1) ** 0.5).requires_grad_(True))
    return weights


def forward(weights: Sequence[Tensor], x: Tensor) -> Tensor:
    """Return `(m, n)` predictions of `m` networks for `(m, n, d)` rows."""
    last = len(weights) - 2
    for i in range(0, len(weights), 2):
        x = x @ weights[i] + weights[i + 1]
        x = leaky_relu(x) if i < last else x
    return x.squeeze(-1)


def sharpness_gradient(
    weights: Weights, x: Tensor, *, rho: float, radius: float
) -> tuple[list[Tensor], Tensor]:
    """Return each network's gradient of `rho * ||dh/dw||`, and the `(m,)` norms.

    `h` is the mean prediction over the batch `x`, `(m, n, d)`. With `g = dh/dw`, the gradient of
    `||g||` is `H g / ||g||`; the Hessian product is approximated by the finite difference
    `(g(w + r g / ||g||) - g(w)) / r` with `r` the `radius` (section 4.2).
    """
    own = _mean_gradient(weights, x)
    squares = torch.stack([(g * g).sum(dim=(1, 2)) for g in own])
    norms = torch.sqrt(squares.sum(dim=0) + TINY)
    ahead = [
        (w + radius * g / norms[:, None, None]).detach().requires_grad_(True)
        for w, g in zip(weights, own, strict=True)
    ]
    there = _mean_gradient(ahead, x)
    return [rho / radius * (a - g) for a, g in zip(there, own, strict=True)], norms


def _mean_gradient(weights: Weights, x: Tensor) -> tuple[Tensor, ...]:
    """Return gradients of the mean predictions for `(m, n, d)` rows, by the weights."""
    # The networks share no weights, so the gradient of the sum holds each network's own.
    return torch.autograd.grad(forward(weights, x).mean(dim=1).sum(), weights)


def _loss_gradient(weights: Weights, x: Tensor, y: Tensor, seen: Tensor) -> tuple[Tensor, ...]:
    """Return gradients of the mean squared error over the seen rows, by the weights."""
    errors = (forward(weights, x) - y) ** 2 * seen
    losses = errors.sum(dim=1) / seen.sum(dim=1).clamp(min=1)
    return torch.autograd.grad(losses.sum(), weights)


def _spread(weights: Weights, x: Tensor, y: Tensor, seen: Tensor) -> float:
    """Return the held-out error as a multiple of the networks' disagreement there."""
    with torch.no_grad():
        predicted = forward(weights, x.expand(len(weights[0]), *x.shape))
    unseen = (~seen).to(torch.float32)
    held_out = unseen.sum(dim=0) > 0
    if not bool(held_out.any()):
        return 1.0
    mean = (predicted * unseen).sum(dim=0) / unseen.sum(dim=0).clamp(min=1)
    errors = (mean - y)[held_out]
    ratio = torch.sqrt((errors**2).mean() / (predicted.var(dim=0)[held_out].mean() + TINY))
    return max(1.0, float(ratio))
