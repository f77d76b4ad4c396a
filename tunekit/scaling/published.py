"""Published laws as they are: to predict and plan before the first run, and to compare with."""

from __future__ import annotations

import math

import numpy as np

from tunekit.errors import InvalidArgument, did_you_mean
from tunekit.scaling.law import Law
from tunekit.scaling.options import FitOptions
from tunekit.scaling.roles import Roles
from tunekit_surrogates.scaling import PRESETS, Caution, Preset, Priors, Runs, ScalingLaw


def preset_named(name: str) -> Preset:
    """Return a published law.

    Raises:
        InvalidArgument: no law has this name.
    """
    if name not in PRESETS:
        raise InvalidArgument(
            f'scaling: there is no published law "{name}"{did_you_mean(name, list(PRESETS))}; '
            f"expected one of {', '.join(PRESETS)}."
        )
    return PRESETS[name]


def published(
    name: str, N: float, D: float, *, lr: str = "lr", bs: str = "bs", n: str = "N", d: str = "D"
) -> Law:
    """Return a published law, to predict and to plan from before the first run of your own.

    Laws differ between data, architectures, optimisers and schedules, so its intervals hold the
    spread between families of models; runs of your own narrow them with `fit(priors=name)`.

    Args:
        name: "step_law", "deepseek" and others; see `tunekit_surrogates.scaling.PRESETS`.
        N: parameters in the middle of what will be run.
        D: training tokens there.
        lr: name of the parameter that plays the learning rate, for `plan` and `as_prior`.
        bs: of the batch size in tokens.
        n: of the number of parameters.
        d: of the number of training tokens.

    Raises:
        InvalidArgument: there is no such law, or it says nothing of learning rate or batch size.
    """
    fitted = law_of(name, N, D)
    none = np.empty(0)
    runs = Runs(none, none, none, none, none, counting=fitted.counting)
    return Law(fitted, runs, Roles(lr=lr, bs=bs, n=n, d=d), FitOptions())


def law_of(name: str, n: float, d: float) -> ScalingLaw:
    """Return a published law near N and D.

    Raises:
        InvalidArgument: as `published`.
    """
    for axis, value in (("N", n), ("D", d)):
        if not (isinstance(value, int | float) and 0 < value < math.inf):
            raise InvalidArgument(f"scaling: {axis}={value!r}, expected a number above 0.")
    try:
        return preset_named(name).law(float(n), float(d))
    except ValueError as error:
        raise InvalidArgument(f"scaling: {error}") from None


def priors_from(name: str, runs: Runs) -> Priors:
    """Return priors with the exponents that a published law has in the middle of the runs.

    Raises:
        InvalidArgument: there is no such law, or it says nothing of learning rate or batch size.
    """
    middle = [float(np.exp(np.log(axis).mean())) for axis in (runs.n, runs.d)]
    try:
        return preset_named(name).priors(*middle)
    except ValueError as error:
        raise InvalidArgument(f"scaling: {error}") from None


def counting_doubts(name: str, runs: Runs) -> list[Caution]:
    """Return a caution where a published law counts parameters in another way than the runs."""
    counting = preset_named(name).counting
    if counting == runs.counting:
        return []
    return [
        Caution(
            "counting",
            f"the published law {name} counts {counting} parameters and the runs count "
            f"{runs.counting} ones; small models differ most: give N as {name} counts it.",
        )
    ]
