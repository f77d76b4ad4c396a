"""Embeds the union of all branches of a space as tensors for BoTorch's flat kernels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunekit.samplers.bayesian.fidelity import STRETCH
from tunekit.spaces.encode import Encoder


class UnionEmbedding:
    """Maps `(n, d)` rows, NaN where inactive, to `(n, e)` tensors without NaN.

    An unconditional number keeps its coordinate. A number that is active only in some branches
    lies on a quarter of a circle, and its inactive value in the centre, equally far from all
    others; so a stationary kernel knows that two points without it agree in it. A categorical
    becomes one coordinate per choice.

    Args:
        encoder: of the space.
        device: of the tensors.
        stretched: columns whose length scale is `STRETCH` times as long a priori, the fidelity.

    Reference: Swersky, Duvenaud, Snoek, Hutter and Osborne, 2013, "Raiders of the lost
    architecture: kernels for Bayesian optimization in conditional parameter spaces", eq. 3.
    """

    def __init__(
        self, encoder: Encoder, device: torch.device, *, stretched: Sequence[int] = ()
    ) -> None:
        self.device = device
        self._columns = encoder.columns
        self._stretch = [STRETCH if j in stretched else 1.0 for j in range(len(encoder))]

    def __call__(self, rows: Tensor) -> Tensor:
        """Return the float64 tensor of rows; differentiable in the active numbers."""
        parts: list[Tensor] = []
        for j, column in enumerate(self._columns):
            value = rows[:, j : j + 1]
            active = ~torch.isnan(value)
            place = torch.nan_to_num(value, nan=0.5)
            if column.kind == "categorical":
                n = int(column.size)
                index = torch.clamp((place.detach() * n).long(), max=n - 1)[:, 0]
                choice = torch.nn.functional.one_hot(index, n).to(rows)
                parts.append(choice * active * math.sqrt(0.5))
            elif column.conditions:
                angle = place * (math.pi / 2.0)
                circle = torch.cat([torch.cos(angle), torch.sin(angle)], dim=1)
                parts.append(circle * active)
            else:
                parts.append(place / self._stretch[j])
        return torch.cat(parts, dim=1)

    def tensor(self, rows: NDArray[np.float64]) -> Tensor:
        """Return the rows as a float64 tensor on the device, not embedded."""
        return torch.as_tensor(np.ascontiguousarray(rows), dtype=torch.float64, device=self.device)

    def column_lengths(self, lengths: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the `(d,)` log length scale of each column, given `(e,)` of the coordinates."""
        found, start = np.zeros(len(self._columns)), 0
        for j, column in enumerate(self._columns):
            if column.kind == "categorical":
                width = int(column.size)
            else:
                width = 2 if column.conditions else 1
            found[j] = lengths[start : start + width].mean() + math.log(self._stretch[j])
            start += width
        return found
