"""The fitted law, and what it predicts for a model and a number of tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunekit_surrogates.scaling.arrays import Floats
from tunekit_surrogates.scaling.bowl import Bowl
from tunekit_surrogates.scaling.cautions import Caution, merged
from tunekit_surrogates.scaling.loss_law import LossLaw
from tunekit_surrogates.scaling.regression import PowerLaw
from tunekit_surrogates.scaling.runs import Counting

FAR = 10.0
"""Ratio to the largest training compute beyond which a prediction carries a warning."""

LOG2 = math.log(2.0)

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True)
class Interval:
    """A median with its central 50 % and 90 % intervals."""

    median: float
    low50: float
    high50: float
    low90: float
    high90: float

    @classmethod
    def of(cls, quantiles: Floats) -> Interval:
        """Return the interval of the quantiles 5, 25, 50, 75 and 95 %."""
        low90, low50, median, high50, high90 = (float(q) for q in quantiles)
        return cls(median=median, low50=low50, high50=high50, low90=low90, high90=high90)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the law says about one model and number of tokens.

    Attributes:
        n: parameters.
        d: tokens.
        lr: peak learning rate.
        bs: batch size in tokens.
        wd: weight decay, or None where the runs did not vary it.
        loss: loss at this rate and batch, or None where the runs did not suffice for a law of it.
        extrapolation: compute asked about over the largest compute of the runs, or None for a
            published law, which has no runs.
        excess_low: relative loss excess expected at half the predicted rate, were it right.
        excess_high: relative loss excess expected at twice the predicted rate, were it right.
        cautions: the doubts about this prediction.
    """

    n: float
    d: float
    lr: Interval
    bs: Interval
    wd: Interval | None
    loss: Interval | None
    extrapolation: float | None
    excess_low: float
    excess_high: float
    cautions: tuple[Caution, ...]

    def __str__(self) -> str:
        """Return it as text of a few lines, with its warnings."""
        from tunekit_surrogates.scaling.words import prediction_text

        return prediction_text(self)


@dataclass(frozen=True, slots=True)
class ScalingLaw:
    """Power laws of learning rate, batch size and weight decay with their uncertainty.

    Attributes:
        lr: law of the best learning rate over N and D.
        bs: law of the best batch size over N and D.
        tau: law of the time scale `bs / (lr wd D)` over D / N, or None.
        bowl: how the loss grows beside the optimum.
        loss: law of the loss at the optimum, or None.
        loss_offsets: offset of ln L by label of the factor.
        noise: standard deviation of ln L between runs near the optimum.
        method: how the laws were found.
        factors: labels of the optimiser or schedule; () where there was one.
        n_range: smallest and largest N of the runs.
        d_range: smallest and largest D of the runs.
        compute: largest `N D` of the runs.
        counting: how N counts the parameters.
        cautions: doubts about the law as a whole.
    """

    lr: PowerLaw
    bs: PowerLaw
    tau: PowerLaw | None
    bowl: Bowl
    loss: LossLaw | None
    loss_offsets: dict[str, float]
    noise: float
    method: str
    factors: tuple[str, ...]
    n_range: tuple[float, float]
    d_range: tuple[float, float]
    compute: float
    counting: Counting
    cautions: tuple[Caution, ...]

    @property
    def has_runs(self) -> bool:
        """Whether the law was fitted, to runs of two scales or more, and not published."""
        return self.n_range[0] < self.n_range[1] or self.d_range[0] < self.d_range[1]

    def predict(
        self, n: float, d: float, *, bs: float | None = None, factor: str | None = None
    ) -> Prediction:
        """Return learning rate, batch size and loss for a model and a number of tokens.

        Args:
            n: parameters, counted as in the runs.
            d: training tokens.
            bs: a batch size in tokens that is already decided; the rate is the best for it.
            factor: label of the optimiser or schedule, needed where the runs had several.

        Raises:
            ValueError: if n, d or bs is not above 0, or the factor is not among the runs'.
        """
        given = {"n": n, "d": d} | ({} if bs is None else {"bs": bs})
        for name, value in given.items():
            if not (math.isfinite(value) and value > 0.0):
                raise ValueError(f"{name} is {value:g}; give a finite number above 0.")
        label = self.label(factor)
        lr = self.lr.quantiles(n, d, label, levels=LEVELS)
        batch = self.bs.quantiles(n, d, label, levels=LEVELS)
        u, v = 0.0, 0.0
        if bs is not None:
            v = math.log(bs / batch[2])
            u = self.bowl.best_u(v)
            lr = lr * math.exp(u)
            batch = np.full(len(LEVELS), float(bs))
        beside, low, high = self.bowl.log_excess(np.array([u, u - LOG2, u + LOG2]), np.array(v))[0]
        return Prediction(
            n=float(n),
            d=float(d),
            lr=Interval.of(lr),
            bs=Interval.of(batch),
            wd=self._weight_decay(n, d, label, lr=lr[2], bs=batch[2]),
            loss=None if self.loss is None else self._loss(n, d, label, float(beside)),
            extrapolation=float(n * d / self.compute) if self.has_runs else None,
            excess_low=math.expm1(low - beside),
            excess_high=math.expm1(high - beside),
            cautions=merged(self.cautions, _too_far(n, d, self)),
        )

    def label(self, factor: str | None) -> str:
        """Return the label to predict for: the given one, or the only one.

        Raises:
            ValueError: if the label is not among the runs', or is missing among several.
        """
        if not self.factors:
            if factor:
                raise ValueError(
                    f"factor '{factor}' was asked about, and the runs had no factor; leave it out."
                )
            return ""
        if factor is None and len(self.factors) == 1:
            return self.factors[0]
        if factor not in self.factors:
            raise ValueError(
                f"factor {factor!r} was asked about, and the runs had {', '.join(self.factors)};"
                " choose one of them."
            )
        return factor

    def _weight_decay(
        self, n: float, d: float, label: str, *, lr: float, bs: float
    ) -> Interval | None:
        if self.tau is None:
            return None
        tau = self.tau.quantiles(n, d, label, levels=LEVELS)
        return Interval.of(bs / (lr * d * tau[::-1]))

    def _loss(self, n: float, d: float, label: str, beside: float) -> Interval:
        """Return the loss, `beside` in ln L above that of the optimal batch."""
        assert self.loss is not None
        offset = self.loss_offsets.get(label, 0.0) + beside
        return Interval.of(self.loss.quantiles(n, d, levels=LEVELS) * math.exp(offset))

    def to_dict(self) -> dict[str, Any]:
        """Return the law as plain lists and numbers for JSON."""
        return {
            "lr": self.lr.to_dict(),
            "bs": self.bs.to_dict(),
            "tau": None if self.tau is None else self.tau.to_dict(),
            "bowl": self.bowl.to_dict(),
            "loss": None if self.loss is None else self.loss.to_dict(),
            "loss_offsets": dict(self.loss_offsets),
            "noise": self.noise,
            "method": self.method,
            "factors": list(self.factors),
            "n_range": list(self.n_range),
            "d_range": list(self.d_range),
            "compute": self.compute,
            "counting": self.counting,
            "cautions": [
                {"name": caution.name, "sentence": caution.sentence} for caution in self.cautions
            ],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ScalingLaw:
        """Return the law that `to_dict` wrote."""
        return cls(
            lr=PowerLaw.from_dict(values["lr"]),
            bs=PowerLaw.from_dict(values["bs"]),
            tau=None if values["tau"] is None else PowerLaw.from_dict(values["tau"]),
            bowl=Bowl.from_dict(values["bowl"]),
            loss=None if values["loss"] is None else LossLaw.from_dict(values["loss"]),
            loss_offsets={str(k): float(v) for k, v in values["loss_offsets"].items()},
            noise=float(values["noise"]),
            method=str(values["method"]),
            factors=tuple(values["factors"]),
            n_range=(float(values["n_range"][0]), float(values["n_range"][1])),
            d_range=(float(values["d_range"][0]), float(values["d_range"][1])),
            compute=float(values["compute"]),
            counting=values["counting"],
            cautions=tuple(Caution(**caution) for caution in values["cautions"]),
        )


def _too_far(n: float, d: float, law: ScalingLaw) -> list[Caution]:
    ratio = n * d / law.compute
    if ratio <= FAR:
        return []
    if not law.has_runs:
        return [
            Caution(
                "extrapolation",
                f"n={n:g} with d={d:g} is {ratio:.0f} times the compute that the published law was"
                " opened for; open it at this n and d.",
            )
        ]
    return [
        Caution(
            "extrapolation",
            f"n={n:g} with d={d:g} is {ratio:.0f} times the largest compute of the runs; the"
            " interval holds only if the law does: add a larger cell, which plan proposes.",
        )
    ]
