"""Weakly informative priors on the exponents of the laws."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Normal:
    """A normal prior on one exponent; an infinite `sd` leaves the exponent to the runs."""

    mean: float
    sd: float

    def __post_init__(self) -> None:
        """Check the width.

        Raises:
            ValueError: if `sd` is not above 0, or `mean` is not finite.
        """
        if not (self.sd > 0.0 and math.isfinite(self.mean)):
            raise ValueError(
                f"a prior of mean {self.mean:g} and sd {self.sd:g} is not a distribution; give a"
                " finite mean and an sd above 0 (math.inf for no prior)."
            )


@dataclass(frozen=True, slots=True)
class Priors:
    """Priors on the exponents, per output and scale axis.

    Change one with `dataclasses.replace(Priors(), lr_n=Normal(-0.7, 0.1))`, and remove it with
    `Normal(0, math.inf)`; `Priors.none()` removes all.

    Attributes:
        lr_n: exponent of N in the law of the learning rate.
        lr_d: exponent of D in the law of the learning rate.
        lr_bs: exponent of the batch size in the best learning rate for a given batch size.
        bs_n: exponent of N in the law of the batch size.
        bs_d: exponent of D in the law of the batch size.
        tau_ratio: exponent of D / N in the time scale `bs / (lr wd D)` of weight decay.
    """

    lr_n: Normal = Normal(-0.5, 0.25)
    lr_d: Normal = Normal(0.15, 0.2)
    lr_bs: Normal = Normal(0.4, 0.3)
    bs_n: Normal = Normal(0.0, 0.15)
    bs_d: Normal = Normal(0.5, 0.15)
    tau_ratio: Normal = Normal(-0.5, 0.25)

    @classmethod
    def none(cls) -> Priors:
        """Return priors that leave every exponent to the runs."""
        flat = Normal(0.0, math.inf)
        return cls(**{field.name: flat for field in fields(cls)})

    def widened(self, factor: float) -> Priors:
        """Return the same priors with every sd multiplied by `factor`."""
        return replace(
            self,
            **{
                field.name: Normal(prior.mean, prior.sd * factor)
                for field in fields(self)
                if isinstance(prior := getattr(self, field.name), Normal)
            },
        )
