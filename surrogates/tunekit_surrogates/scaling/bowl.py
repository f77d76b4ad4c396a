"""How fast the loss grows beside the optimum, in learning rate and batch size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tunekit_surrogates.scaling.arrays import Floats


@dataclass(frozen=True, slots=True)
class Bowl:
    """The loss around the optimum, relative to it, from u = ln lr / lr* and v = ln bs / bs*.

    Attributes:
        low: curvature of ln L along u below the best rate for the batch size.
        high: curvature above it.
        bs: curvature along v at the best rate for each batch size.
        lr_bs: slope of the best ln lr over ln bs.
    """

    low: float
    high: float
    bs: float
    lr_bs: float

    def excess(self, u: Floats | float, v: Floats | float) -> Floats:
        """Return the relative loss excess at distances from the optimum."""
        off = np.asarray(u, dtype=float) - self.lr_bs * np.asarray(v, dtype=float)
        bent = np.where(off < 0.0, self.low, self.high)
        return np.asarray(np.expm1(0.5 * (bent * off**2 + self.bs * np.asarray(v) ** 2)))

    def to_dict(self) -> dict[str, Any]:
        """Return the shape as plain numbers for JSON."""
        return {"low": self.low, "high": self.high, "bs": self.bs, "lr_bs": self.lr_bs}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Bowl:
        """Return the shape that `to_dict` wrote."""
        return cls(**{name: float(value) for name, value in values.items()})
