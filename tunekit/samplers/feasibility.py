"""The chance that a point is feasible: learnt from metric constraints, crashes and divergences."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from tunekit.samplers.base import StudyView
from tunekit.samplers.candidates import Climb
from tunekit.samplers.fitting import fitted
from tunekit.samplers.tree_model import Observed, TrialRows
from tunekit.trial import TrialState
from tunekit_surrogates.blocks import Structure
from tunekit_surrogates.tree_gp import Climber, TreeGP

FAR = 3.0
"""Margins of a constraint are cut at so many times their typical size."""


@dataclass(frozen=True, slots=True)
class Feasible:
    """One condition: `f <= 0` for a process that is shifted by `offset`."""

    name: str
    gp: TreeGP
    offset: float

    def log_probability(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(m,)` logarithms of the chance that it holds."""
        mean, var = self.gp.predict(x)
        return np.asarray(log_ndtr(-(mean + self.offset) / np.sqrt(var + self._noise)))

    def climber(self, rows: NDArray[np.float64]) -> Climb:
        """Return what gives the same with gradients, for rows in the branches of these."""
        model = self.gp.climber(rows, self.gp.y[None, :])
        return lambda x: self._with_gradient(model, x)

    def _with_gradient(
        self, model: Climber, x: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        mean, var, back = model.predict(x)
        sd = np.sqrt(var + self._noise)
        z = -(mean + self.offset) / sd
        value = log_ndtr(z)
        # The ratio of density and distribution function, in logarithms: both may vanish.
        hazard = np.exp(-0.5 * z * z - 0.5 * math.log(2 * math.pi) - value)
        return value[0], back(-hazard / sd, (hazard * -z / (2.0 * sd * sd))[0])

    @property
    def _noise(self) -> float:
        return math.exp(self.gp.parameters.noise)


def conditions(
    view: StudyView, structure: Structure, data: Observed, rows: TrialRows
) -> list[Feasible]:
    """Return what a point has to satisfy to count, as far as anything has ever violated it."""
    found = [_of_metric(view, k, structure, data) for k in range(len(view.constraints))]
    return [f for f in [*found, _of_failures(view, structure, data, rows)] if f is not None]


def _of_metric(view: StudyView, k: int, structure: Structure, data: Observed) -> Feasible | None:
    constraint = view.constraints[k]
    sign = 1.0 if constraint.op == "<=" else -1.0
    values = [t.metrics.get(constraint.metric, math.nan) for t in data.trials]
    margin = sign * (np.array(values) - constraint.bound)
    known = np.isfinite(margin)
    if not known.any():
        return None
    margin, x = margin[known], data.x[known]
    size = float(np.median(np.abs(margin))) or 1.0
    margin = np.clip(margin / size, -FAR, FAR)
    # Centred, because the process tends to 0 far from the data and 0 is the bound itself.
    offset = float(margin.mean())
    return Feasible(str(constraint), fitted(structure, x, margin - offset)[0], offset)


def _of_failures(
    view: StudyView, structure: Structure, data: Observed, rows: TrialRows
) -> Feasible | None:
    """Return a classifier of what fails or diverges: least squares on labels, -1 for a result."""
    bad_states = (TrialState.FAILED, TrialState.DIVERGED)
    ended = [t for t in view.history if t.state in bad_states]
    bad = [x for x in rows.of(ended) if x is not None]
    if not bad:
        return None
    x = np.concatenate([data.x, np.array(bad)])
    labels = np.concatenate([np.full(len(data.x), -1.0), np.ones(len(bad))])
    # Where nothing is known a trial is expected to work.
    return Feasible("no failure", fitted(structure, x, labels + 1.0)[0], -1.0)
