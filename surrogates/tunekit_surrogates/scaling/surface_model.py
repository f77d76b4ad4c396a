"""The joint surface of ln L over learning rate, batch size, weight decay, N and D.

The model of one run is `ln L = ln base(N, D) + bowl(ln lr / lr*, ln bs / bs*) + decay`, where
`lr*` and `bs*` follow power laws of N and D. A cell with several runs has an offset of its own
from each of the three, drawn towards 0; a run that shares its cell with no other has none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunekit_surrogates.scaling.arrays import Floats, Mask
from tunekit_surrogates.scaling.bowl import Bowl
from tunekit_surrogates.scaling.design import Design, Exponents, moments
from tunekit_surrogates.scaling.priors import Priors
from tunekit_surrogates.scaling.runs import Runs

Positions = NDArray[np.int_]

BOWL = np.array([[-4.8, 1.0, 0.4], [-3.3, 0.5, -0.6], [-4.3, 0.0, 0.5]])
"""Usual terms of the bowl: too hot, too noisy, too few steps. A rate twice too high or too low
costs a few tenths of a percent of the loss."""

BOWL_SD = np.array([[1.0, 0.4, 0.3], [1.0, 0.3, 0.3], [1.0, 0.3, 0.3]])

DECAY = (-5.5, 1.0)
"""Usual logarithm of the curvature of ln L over ln tau, and its spread."""

CELL_SD = 0.08
"""Standard deviation of a cell's optimum around the law, in natural logarithms."""

BASE_SD = 0.01
"""Standard deviation of a cell's best ln L around the law of the loss."""

INTERCEPT_SD = 2.0
"""Standard deviation of the intercepts around their starts, in natural logarithms."""

LOSS_SHARES = (0.65, 0.175, 0.175)
"""Usual shares of the irreducible loss and of the terms of N and D at the middle of the runs."""

LOSS_EXPONENT = (0.35, 0.15)
"""Usual exponent of N and of D in the loss, and its spread."""

LOW_SD = 0.02
"""Spread of ln L of low runs around the law of the loss, before the surface is fitted."""

MOST_CELLS = 150
"""With more cells than this, they have no offsets of their own."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the model says about each run, with derivatives by all parameters.

    Attributes:
        excess: `(k,)` excess of ln L over the optimum.
        base: `(k,)` ln L at the optimum.
        by_excess: `(k, p)` derivatives of the excess.
        by_base: `(k, p)` derivatives of the base.
    """

    excess: Floats
    base: Floats
    by_excess: Floats
    by_base: Floats


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """Where the descent starts.

    Attributes:
        lr: ln lr of low runs less the slopes of the prior.
        bs: ln bs of low runs less the slopes of the prior.
        tau: ln tau of low runs less the slope of the prior.
        loss: ln L of low runs.
        low: `(k,)` the runs that are low for their scale.
    """

    lr: float
    bs: float
    tau: float
    loss: float
    low: Mask


class SurfaceModel:
    """Maps a vector of parameters to the excess and base of every run.

    Attributes:
        y: `(k,)` ln L, `inf` where the run diverged.
        labels: labels of the factor, or one empty label.
        lr: design of the laws of the learning rate and of the batch size.
        tau: design of the law of weight decay's time scale, or None.
        rows: `(k, q)` rows of `lr`.
        x: `(k, 2)` ln lr and ln bs.
        log_tau: `(k,)` logarithm of the time scale, or zeros.
        cell: `(k,)` position of each run's cell.
        own: `(k,)` position of the cell among those with offsets, or -1.
        slices: where each block of parameters lies.
        start: `(p,)` where a descent starts.
        prior_mean: `(p,)` prior means.
        prior_sd: `(p,)` prior standard deviations.
    """

    def __init__(self, runs: Runs, *, exponents: Exponents) -> None:
        """Lay out the designs for the runs."""
        label = np.full(len(runs), "") if runs.factor is None else runs.factor
        self.labels: list[str] = np.unique(label).tolist()
        self.y = np.log(runs.loss)
        self.lr = Design.of(
            ("n", "d"), n=runs.n, d=runs.d, labels=self.labels, exponents=exponents
        )
        self.rows = self.lr.rows(runs.n, runs.d, label)
        self.x = np.log(np.column_stack([runs.lr, runs.bs]))
        self.tau: Design | None = None
        self.log_tau, self.tau_rows = np.zeros(len(runs)), np.zeros((len(runs), 1))
        if runs.wd is not None and np.ptp(np.log(runs.wd)) > 0.0:
            self.tau = Design.of(("ratio",), n=runs.n, d=runs.d, labels=self.labels)
            self.log_tau = np.log(runs.bs / (runs.lr * runs.wd * runs.d))
            self.tau_rows = self.tau.rows(runs.n, runs.d, label)
        self.scale = np.log(np.column_stack([runs.n / self.lr.n, runs.d / self.lr.d]))
        self.offsets = (label[:, None] == np.array(self.labels[1:], dtype=str)).astype(float)
        keys = np.column_stack([self.scale, np.unique(label, return_inverse=True)[1]])
        self.cell = np.unique(keys, axis=0, return_inverse=True)[1].ravel()
        self.own = self._chosen_cells(4)
        self.own_base = self._chosen_cells(2)

    def _chosen_cells(self, least: int) -> Positions:
        """Return each run's position among the cells with enough finite runs, or -1."""
        counts = np.bincount(self.cell[np.isfinite(self.y)], minlength=self.cell.max() + 1)
        chosen = np.flatnonzero(counts >= least)
        position = np.full(len(counts), -1)
        if len(chosen) <= MOST_CELLS:
            position[chosen] = np.arange(len(chosen))
        return np.asarray(position[self.cell])

    def lay_out(self, priors: Priors, start: StartingPoint) -> None:
        """Give each block of parameters its place and prior."""
        lr_mean, lr_sd = moments(self.lr.priors(n=priors.lr_n, d=priors.lr_d))
        bs_mean, bs_sd = moments(self.lr.priors(n=priors.bs_n, d=priors.bs_d))
        lr_mean[0], bs_mean[0], lr_sd[0], bs_sd[0] = start.lr, start.bs, INTERCEPT_SD, INTERCEPT_SD
        base = np.log(LOSS_SHARES) + start.loss
        exponent, spread = LOSS_EXPONENT
        n_own, n_base = int(self.own.max()) + 1, int(self.own_base.max()) + 1
        n_offsets = self.offsets.shape[1]
        blocks = {
            "bowl": (BOWL.ravel(), BOWL_SD.ravel()),
            "lr": (lr_mean, lr_sd),
            "bs": (bs_mean, bs_sd),
            "base": (np.array([*base, exponent, exponent]), np.array([0.5, 1, 1, spread, spread])),
            "base_offset": (np.zeros(n_offsets), np.full(n_offsets, 0.1)),
            "cell_lr": (np.zeros(n_own), np.full(n_own, CELL_SD)),
            "cell_bs": (np.zeros(n_own), np.full(n_own, CELL_SD)),
            "cell_base": (np.zeros(n_base), np.full(n_base, BASE_SD)),
        }
        if self.tau is not None:
            tau_mean, tau_sd = moments(self.tau.priors(ratio=priors.tau_ratio))
            tau_mean[0], tau_sd[0] = start.tau, INTERCEPT_SD
            blocks["tau"] = (tau_mean, tau_sd)
            blocks["decay"] = (np.array([DECAY[0]]), np.array([DECAY[1]]))
        self.slices: dict[str, slice] = {}
        at = 0
        for name, (mean, _) in blocks.items():
            self.slices[name] = slice(at, at + len(mean))
            at += len(mean)
        self.prior_mean = np.concatenate([mean for mean, _ in blocks.values()])
        self.prior_sd = np.concatenate([sd for _, sd in blocks.values()])
        self.start = self.prior_mean.copy()
        self.start[self.slices["base"]] = self._base_through(start.low)

    def _base_through(self, low: Mask) -> Floats:
        """Return the law of the loss through the low runs, with the help of its prior."""
        at = self.slices["base"]
        mean, sd = self.prior_mean[at], self.prior_sd[at]
        p = mean.copy()
        scale, y = self.scale[low], self.y[low]
        for _ in range(20):
            law, by = log_law(p, scale)
            gradient = by.T @ (y - law) / LOW_SD**2 - (p - mean) / sd**2
            move = np.linalg.solve(by.T @ by / LOW_SD**2 + np.diag(sd**-2.0), gradient)
            p = p + np.clip(move, -0.3, 0.3)
        return p

    def bowl(self, p: Floats) -> Bowl:
        """Return the shape of the bowl at parameters `p`."""
        return Bowl(p[self.slices["bowl"]].reshape(-1, 3))

    def parts(self, p: Floats) -> Parts:
        """Return excess and base of every run, with derivatives by the parameters."""
        by_excess, by_base = np.zeros((2, len(self.y), len(p)))
        u = self.x[:, 0] - self.rows @ p[self.slices["lr"]] - self._own(p, "cell_lr", self.own)
        v = self.x[:, 1] - self.rows @ p[self.slices["bs"]] - self._own(p, "cell_bs", self.own)
        excess, by_u, by_v, by_terms = self.bowl(p).log_excess(u, v)
        by_excess[:, self.slices["bowl"]] = by_terms
        by_excess[:, self.slices["lr"]] = -by_u[:, None] * self.rows
        by_excess[:, self.slices["bs"]] = -by_v[:, None] * self.rows
        self._fill(by_excess, "cell_lr", self.own, -by_u)
        self._fill(by_excess, "cell_bs", self.own, -by_v)
        if self.tau is not None:
            off = self.log_tau - self.tau_rows @ p[self.slices["tau"]]
            curved = np.exp(p[self.slices["decay"]][0])
            excess = excess + 0.5 * curved * off**2
            by_excess[:, self.slices["tau"]] = -curved * off[:, None] * self.tau_rows
            by_excess[:, self.slices["decay"]] = 0.5 * curved * off[:, None] ** 2
        law, by_law = log_law(p[self.slices["base"]], self.scale)
        by_base[:, self.slices["base"]] = by_law
        by_base[:, self.slices["base_offset"]] = self.offsets
        self._fill(by_base, "cell_base", self.own_base, np.ones(len(u)))
        base = law + self.offsets @ p[self.slices["base_offset"]]
        base = base + self._own(p, "cell_base", self.own_base)
        return Parts(excess, base, by_excess, by_base)

    def _own(self, p: Floats, block: str, position: Positions) -> Floats:
        """Return each run's offset of its cell, 0 where the cell has none."""
        return np.append(p[self.slices[block]], 0.0)[position]

    def _fill(self, by: Floats, block: str, position: Positions, values: Floats) -> None:
        """Write the derivatives by the offsets of the cells."""
        has = np.flatnonzero(position >= 0)
        by[has, self.slices[block].start + position[has]] = values[has]


def log_law(p: Floats, scale: Floats) -> tuple[Floats, Floats]:
    """Return `ln(E + A / N^a + B / D^b)` and its derivatives.

    Args:
        p: ln E, ln A, ln B, a and b.
        scale: `(k, 2)` ln N and ln D.
    """
    terms = np.column_stack([np.full(len(scale), p[0]), p[1:3] - p[3:5] * scale])
    law = np.logaddexp.reduce(terms, axis=1)
    share = np.exp(terms - law[:, None])
    return law, np.column_stack([share, -share[:, 1:] * scale])
