"""The columns of a law: intercepts and exponents, shared or of one label."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tunekit_surrogates.scaling.arrays import Floats
from tunekit_surrogates.scaling.priors import Normal

Exponents = Literal["shared", "own"]
"""Whether all labels of a factor have the same exponents, or each its own."""

FLAT = 1e3
"""Standard deviation that stands for no prior, in natural logarithms."""

LABEL = "factor:"
"""Start of the name of a column that is the offset of a label."""

OFFSET = Normal(0.0, 1.5)
"""Prior on the offset of a label: a factor of about 4 either way."""


@dataclass(frozen=True, slots=True)
class Design:
    """Names of the columns of a law and the scale at which its intercept holds.

    The names are `1`; `factor:x`, the offset of label x; `n`, `d` and `ratio`, the exponents of
    N, D and D / N; and `n|x`, `d|x`, `ratio|x`, those of label x alone.

    Attributes:
        columns: the names.
        n: reference N, at which ln N counts as 0.
        d: reference D.
    """

    columns: tuple[str, ...]
    n: float
    d: float

    @classmethod
    def of(
        cls,
        axes: Sequence[str],
        *,
        n: Floats,
        d: Floats,
        labels: Sequence[str],
        exponents: Exponents = "shared",
    ) -> Design:
        """Return the design over the axes, centred on the geometric means of n and d."""
        own = exponents == "own" and len(labels) > 1
        slopes = [f"{axis}|{label}" for label in labels for axis in axes] if own else list(axes)
        return cls(
            columns=("1", *(f"{LABEL}{label}" for label in labels[1:]), *slopes),
            n=float(np.exp(np.log(n).mean())),
            d=float(np.exp(np.log(d).mean())),
        )

    def rows(self, n: Floats, d: Floats, label: NDArray[np.str_]) -> Floats:
        """Return the `(k, p)` rows for models, numbers of tokens and labels."""
        log_n, log_d = np.log(n / self.n), np.log(d / self.d)
        plain = {"1": np.ones_like(log_n), "n": log_n, "d": log_d, "ratio": log_d - log_n}
        columns = []
        for column in self.columns:
            if column.startswith(LABEL):  # a label may hold any sign, "|" too
                columns.append((label == column[len(LABEL) :]).astype(float))
            else:
                name, bar, own = column.partition("|")
                columns.append(plain[name] * ((label == own) if bar else 1.0))
        return np.column_stack(columns)

    def row(self, n: float, d: float, label: str) -> Floats:
        """Return the row for one model, number of tokens and label."""
        rows = self.rows(np.array([n]), np.array([d]), np.array([label]))
        return np.asarray(rows[0], dtype=float)

    def priors(self, **axes: Normal) -> list[Normal]:
        """Return a prior per column: flat on the intercept, as given on the axes."""
        listed = []
        for column in self.columns:
            if column == "1":
                listed.append(Normal(0.0, math.inf))
            elif column.startswith(LABEL):
                listed.append(OFFSET)
            else:
                listed.append(axes[column.partition("|")[0]])
        return listed


def moments(priors: Sequence[Normal]) -> tuple[Floats, Floats]:
    """Return means and standard deviations, with `FLAT` for an infinite one."""
    mean = np.array([prior.mean for prior in priors])
    sd = np.minimum([prior.sd for prior in priors], FLAT)
    return mean, np.asarray(sd, dtype=float)
