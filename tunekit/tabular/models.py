"""Models of a table: mean, uncertainty and slope of the loss at encoded rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

from tunekit.errors import MissingExtra
from tunekit.samplers.bayesian.fitting import fitted
from tunekit.samplers.bayesian.training_data import structure_of
from tunekit.spaces.encode import Encoder
from tunekit.tabular.features import Features

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tunekit_surrogates.ignite import Ensemble
    from tunekit_surrogates.tree_gp import TreeGP

    Floats = NDArray[np.float64]

FEW = 500
"""Number of rows below which a Gaussian process is the default."""


Look: TypeAlias = "Callable[[Floats], tuple[Floats, Floats]]"
"""Maps `(n, d)` rows to `(n,)` means plus `caution` standard deviations, and the `(n, d)` slopes
of these. Rows may move, but each must stay in its branch."""


class LossModel(Protocol):
    """A model of the loss; rows are `(n, d)` encoded points, NaN where inactive."""

    @property
    def name(self) -> str:
        """Return the name of the model, with its article."""
        ...

    def predict(self, x: Floats) -> tuple[Floats, Floats]:
        """Return `(n,)` means and `(n,)` standard deviations of the loss."""
        ...

    def cautious(self, x: Floats, *, caution: float) -> Look:
        """Return a cautious predictor for `(m, d)` rows that keep these branches; see `Look`."""
        ...


def gaussian_process(x: Floats, losses: Floats, encoder: Encoder) -> LossModel:
    """Return a Gaussian process over the tree, from `(n, d)` rows and `(n,)` losses."""
    centre, scale = float(np.mean(losses)), float(np.std(losses)) or 1.0
    gp = fitted(structure_of(encoder), x, (losses - centre) / scale)
    mean, var = gp.leave_one_out()
    errors = (gp.y - mean) ** 2 / var
    # Widens the uncertainty if the leave-one-out errors exceed it.
    return _Process(gp, centre, scale, max(1.0, float(np.sqrt(np.mean(errors)))))


def networks(x: Floats, losses: Floats, encoder: Encoder, *, seed: int) -> LossModel:
    """Return IGNITE's ensemble of networks, from `(n, d)` rows and `(n,)` losses.

    Raises:
        MissingExtra: PyTorch is not installed.
    """
    try:
        from tunekit_surrogates.ignite import fit
    except ImportError:
        raise MissingExtra("bayesian", "The model of a large table") from None
    features = Features(encoder)
    return _Networks(features, fit(features.of(x), losses, seed=seed))


@dataclass(frozen=True)
class _Process:
    gp: TreeGP
    centre: float
    scale: float
    spread: float
    name: str = "a Gaussian process"

    def predict(self, x: Floats) -> tuple[Floats, Floats]:
        mean, var = self.gp.predict(x)
        return self.centre + self.scale * mean, self.scale * self.spread * np.sqrt(var)

    def cautious(self, x: Floats, *, caution: float) -> Look:
        climber = self.gp.climber(x, self.gp.y[None, :])
        weight = caution * self.spread

        def look(at: Floats) -> tuple[Floats, Floats]:
            means, var, back = climber.predict(at)
            sd = np.sqrt(var)
            slope = back(np.ones((1, len(at))), weight * 0.5 / sd)
            return self.centre + self.scale * (means[0] + weight * sd), self.scale * slope

        return look


@dataclass(frozen=True)
class _Networks:
    features: Features
    ensemble: Ensemble
    name: str = "an ensemble of networks"

    def predict(self, x: Floats) -> tuple[Floats, Floats]:
        return self.ensemble.predict(self.features.of(x))

    def cautious(self, x: Floats, *, caution: float) -> Look:
        def look(at: Floats) -> tuple[Floats, Floats]:
            value, slope = self.ensemble.cautious(self.features.of(at), caution=caution)
            return value, self.features.slope(slope, at)

        return look
