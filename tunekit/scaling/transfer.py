"""Carries the best point of the rungs that have been run to another size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunekit.checks import is_number, shown
from tunekit.errors import InvalidArgument
from tunekit.scaling.rungs import Rung
from tunekit.scaling.transfer_rules import M, TransferRule, role_of
from tunekit.spaces import Scalar
from tunekit_surrogates.scaling import Normal, Priors
from tunekit_surrogates.scaling.design import Design
from tunekit_surrogates.scaling.regression import PowerLaw, fit_power_law

LAW_SIZES = ("N", "D")
"""Sizes that a fitted rule is a law of, where the rungs have them; else the multiplier."""

LEVELS = (0.05, 0.25, 0.75, 0.95)

_AXES = {"N": "n", "D": "d", M: "n"}


@dataclass(frozen=True, slots=True)
class Point:
    """The best value of a parameter on one rung.

    Attributes:
        value: in the rung's own units.
        sd: standard error of its logarithm.
    """

    rung: Rung
    value: float
    sd: float


@dataclass(frozen=True, slots=True)
class Carried:
    """A value at another size.

    Attributes:
        value: the value; of a fitted rule the posterior median.
        exponents: of the law that carried it, size -> exponent.
        half, ninety: intervals of 50 and 90 % of a fitted rule; `None` for a given one.
    """

    value: Scalar
    exponents: Mapping[str, float]
    half: tuple[float, float] | None = None
    ninety: tuple[float, float] | None = None


def carried(
    rule: TransferRule,
    path: str,
    points: Sequence[Point],
    *,
    sizes: Mapping[str, float],
    m: float,
    priors: Mapping[str, Normal],
) -> Carried:
    """Return a number at other sizes.

    A given rule starts from the last of the points, a fitted one learns from all of them.

    Args:
        rule: how it depends on the sizes.
        path: the parameter.
        points: its best values so far, from small to large.
        sizes: the sizes to carry it to.
        m: the multiplier there, relative to the first rung.
        priors: size -> prior on the exponent of a fitted rule.
    """
    last = points[-1]
    base = last.rung.sizes
    if not rule.is_fitted:
        factor = rule.factor(sizes, base, m / last.rung.m)
        return Carried(_shown(last.value * factor), rule.exponents)
    law = fitted(path, points, priors)
    n, d = _axes(sizes, m)
    low, lower, upper, high = [_shown(q) for q in law.quantiles(n, d, levels=LEVELS).tolist()]
    exponents = dict(zip(law_sizes(list(base)), law.mean[1:].tolist(), strict=True))
    return Carried(_shown(math.exp(law.log_mean(n, d))), exponents, (lower, upper), (low, high))


def fitted(path: str, points: Sequence[Point], priors: Mapping[str, Normal]) -> PowerLaw:
    """Return the law of a parameter over the sizes of the rungs."""
    sizes = law_sizes(list(points[0].rung.sizes))
    by_axis = {_AXES[s]: priors.get(s) or usual_prior(path, s) for s in sizes}
    n, d = np.array([_axes(p.rung.sizes, p.rung.m) for p in points]).T
    design = Design.of(tuple(by_axis), n=n, d=d, labels=[""])
    return fit_power_law(
        design,
        design.rows(n, d, np.full(len(points), "")),
        y=np.log([p.value for p in points]),
        priors=design.priors(**by_axis),
        sd=np.array([p.sd for p in points]),
    )


def law_sizes(names: Sequence[str]) -> tuple[str, ...]:
    """Return the sizes that a fitted rule depends on."""
    return tuple([n for n in LAW_SIZES if n in names]) or (M,)


def usual_prior(path: str, size: str) -> Normal:
    """Return the default prior on the exponent of a size."""
    role = role_of(path)
    if role is not None and size in LAW_SIZES:
        found: Normal = getattr(Priors(), f"{role}_{size.lower()}")
        return found
    return Normal(0.0, 1.0)


def parse_priors(given: object, path: str, names: Sequence[str]) -> dict[str, Normal]:
    """Return size -> prior from size -> (mean, sd).

    Raises:
        InvalidArgument: another form, or a size that a law does not depend on.
    """
    known = law_sizes(names)
    if not isinstance(given, Mapping) or not set(given) <= set(known):
        raise InvalidArgument(
            f'priors: "{path}": {shown(given)}, expected a mapping of size to (mean, sd) of its '
            f"exponent, for the sizes {', '.join(known)}."
        )
    out = {}
    for size, pair in given.items():
        numbers = list(pair) if isinstance(pair, Sequence) and not isinstance(pair, str) else []
        if len(numbers) != 2 or not all(is_number(x) and math.isfinite(x) for x in numbers):
            raise InvalidArgument(
                f'priors: "{path}": the prior of "{size}" is {shown(pair)}, expected two numbers: '
                "the mean and the standard deviation of the exponent."
            )
        if not numbers[1] > 0.0:
            raise InvalidArgument(
                f'priors: "{path}": the standard deviation of "{size}" is {numbers[1]!r}, '
                "expected a number above 0."
            )
        out[size] = Normal(float(numbers[0]), float(numbers[1]))
    return out


def priors_to_dict(priors: Mapping[str, Mapping[str, Normal]]) -> dict[str, Any]:
    """Return priors by parameter and size as plain JSON."""
    return {p: {s: [n.mean, n.sd] for s, n in by.items()} for p, by in priors.items()}


def _axes(sizes: Mapping[str, float], m: float) -> tuple[float, float]:
    """Return what stands for N and D in a law; one over the multiplier has it in place of N."""
    if law_sizes(list(sizes)) == (M,):
        return m, 1.0
    return sizes.get("N", 1.0), sizes.get("D", 1.0)


def _shown(value: float) -> float:
    """Return a number without digits that rounding made."""
    return float(f"{value:.9g}")
