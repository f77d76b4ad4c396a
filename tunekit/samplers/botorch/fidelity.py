"""The model as the choice of a fidelity asks for it: processes over rows of the space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tunekit.samplers.bayesian.training_data import Observed
from tunekit.samplers.botorch.embedding import UnionEmbedding
from tunekit.samplers.botorch.processes import TorchProcess
from tunekit.spaces.encode import Encoder
from tunekit_surrogates.non_domination import layers


@dataclass(frozen=True, slots=True)
class LogNoise:
    """The noise of a process.

    Attributes:
        noise: logarithm of its variance.
    """

    noise: float


@dataclass(frozen=True, slots=True, eq=False)
class RowProcess:
    """A process of embedded rows as one of `(n, d)` rows.

    It is what `tunekit.samplers.bayesian.fidelity_choice` takes; of the sign of the values, which
    are here the better the larger they are, nothing depends.
    """

    process: TorchProcess
    embedding: UnionEmbedding

    @property
    def parameters(self) -> LogNoise:
        """Return the noise."""
        return LogNoise(log(self.process.noise))

    def predict(self, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return `(m,)` means and `(m,)` variances at `(m, d)` rows."""
        mean, covariance = self.joint(x)
        return mean, np.diag(covariance)

    def joint(self, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return `(m,)` means and `(m, m)` covariances at `(m, d)` rows."""
        mean, covariance = self.process.joint(self._embedded(x))
        return mean.cpu().numpy(), covariance.cpu().numpy()

    def with_data(
        self, x: NDArray[np.float64], y: NDArray[np.float64], noise: float
    ) -> RowProcess:
        """Return the process given further `(m, d)` rows and `(m,)` values, with its own noise."""
        values = self.embedding.tensor(y)
        return RowProcess(self.process.with_data(self._embedded(x), values), self.embedding)

    def _embedded(self, x: NDArray[np.float64]) -> Tensor:
        return self.embedding(self.embedding.tensor(x))


@dataclass(frozen=True, slots=True, eq=False)
class FidelityModel:
    """What is known of a space with a fidelity.

    Attributes:
        encoder: of the space.
        data: trials with a result.
        gps: processes of the objectives.
    """

    encoder: Encoder
    data: Observed
    gps: Sequence[RowProcess]

    def good(self) -> NDArray[np.float64]:
        """Return `(n, d)` rows of all trials, moved to the target, the best predicted first."""
        assert self.data.fidelity is not None
        raised = self.data.fidelity.raised(self.data.x)
        losses = np.stack([-gp.predict(raised)[0] for gp in self.gps], axis=1)
        rank = layers(losses) if len(self.gps) > 1 else losses[:, 0]
        return raised[np.lexsort((rank, self.data.violation))]
