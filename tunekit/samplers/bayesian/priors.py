"""User priors over single parameters: densities that guide the search and fade with trials."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from tunekit.checks import is_number
from tunekit.errors import InvalidArgument, did_you_mean
from tunekit.spaces import Categorical, Constant, Domain, Float, Int, Space
from tunekit.spaces.scalars import MAX_ABS

if TYPE_CHECKING:
    from tunekit.samplers.bayesian.densities import PriorDensity

STRENGTH = 10.0
"""Number of trials after which the model and the priors have equal weight."""


@dataclass(frozen=True, slots=True)
class Around:
    """Belief that a value is normal, or log-normal with its median at `middle`.

    Attributes:
        sd: standard deviation of the value, or of its natural logarithm.
    """

    kind: str
    middle: float
    sd: float

    def on(self, domain: Domain, path: str) -> PriorDensity:
        """Return the density over the range of a number."""
        if not isinstance(domain, Float | Int):
            raise InvalidArgument(
                f'priors: got "{self.kind}" for "{path}", which has choices; give '
                '{"weights": {choice: weight, ...}}.'
            )
        if not domain.lo <= self.middle <= domain.hi:
            raise InvalidArgument(
                f'priors: the "{self.kind}" of "{path}" is centred at {self.middle:g}, outside '
                f"[{domain.lo:g}, {domain.hi:g}]; move it into the range."
            )
        if self.kind == "lognormal" and domain.lo <= 0:
            raise InvalidArgument(
                f'priors: "{path}" ranges from {domain.lo:g}, but a "lognormal" needs positive '
                'values; give a "normal".'
            )
        from tunekit.samplers.bayesian.densities import Bell, Cells  # loads SciPy

        if domain.lo == domain.hi:
            return Cells.of([1.0])
        return Bell.over(domain, self.middle, self.sd, is_log=self.kind == "lognormal")


@dataclass(frozen=True, slots=True)
class Weights:
    """Belief that some choices are likelier than others; unnamed choices weigh 0.

    Attributes:
        weights: (text of the choice, or its JSON; weight) pairs.
    """

    weights: tuple[tuple[str, float], ...]

    def on(self, domain: Domain, path: str) -> PriorDensity:
        """Return the density over the choices."""
        if not isinstance(domain, Categorical):
            raise InvalidArgument(
                f'priors: got "weights" for "{path}", which has no choices; give '
                '{"normal": [mean, sd]} or {"lognormal": [median, sd]}.'
            )
        found = [0.0] * len(domain.choices)
        for text, weight in self.weights:
            named = [i for i, c in enumerate(domain.choices) if text in (str(c), json.dumps(c))]
            if len(named) != 1:
                what = "matches several choices" if named else "is not a choice"
                hint = "" if named else did_you_mean(text, [str(c) for c in domain.choices])
                raise InvalidArgument(
                    f'priors: "{text}" {what} of "{path}"{hint}; expected one of '
                    f"{list(domain.choices)}."
                )
            found[named[0]] = weight
        if not any(found):
            raise InvalidArgument(f'priors: all weights of "{path}" are 0; raise at least one.')
        from tunekit.samplers.bayesian.densities import Cells  # loads SciPy

        return Cells.of(found)


Belief: TypeAlias = Around | Weights


class UserPriors:
    """A user's beliefs by parameter, in the plain form stored with a study.

    Args:
        given: path or short name -> `{"normal": [mean, sd]}`, `{"lognormal": [median, sd of the
            natural logarithm]}` or `{"weights": {choice: weight}}`.

    Raises:
        InvalidArgument: the form of a belief is not valid, an sd is not above 0, or no weight is.
    """

    def __init__(self, given: Mapping[str, Mapping[str, Any]]) -> None:
        if not isinstance(given, Mapping):
            raise InvalidArgument(
                f"priors={given!r}, expected a mapping parameter -> belief, such as "
                '{"lr": {"lognormal": [3e-4, 1.0]}}.'
            )
        self._beliefs = {str(name): _belief(str(name), text) for name, text in given.items()}

    def __bool__(self) -> bool:
        return bool(self._beliefs)

    def on(self, space: Space, *, is_open: bool) -> dict[str, PriorDensity]:
        """Return path -> density.

        Args:
            space: space whose parameters are named.
            is_open: whether the space is still being discovered, so a name may appear later.

        Raises:
            UnknownParameter: a name matches no parameter of the space, or several.
            InvalidArgument: a belief does not suit its parameter's domain.
        """
        found: dict[str, PriorDensity] = {}
        for name, belief in self._beliefs.items():
            if is_open and not any(p == name or p.endswith(f".{name}") for p in space.by_path):
                continue
            path = space.resolve(name)
            domain = space.by_path[path].domain
            if path in found:
                raise InvalidArgument(f'priors: "{path}" is given twice; drop one.')
            if isinstance(domain, Constant):
                raise InvalidArgument(f'priors: "{path}" is fixed at {domain.value!r}; drop it.')
            found[path] = belief.on(domain, path)
        return found


def _belief(name: str, given: object) -> Belief:
    if isinstance(given, Mapping) and len(given) == 1:
        kind, value = next(iter(given.items()))
        if kind == "weights":
            return _weights(name, value)
        if kind in ("normal", "lognormal"):
            return _around(name, str(kind), value)
    raise InvalidArgument(
        f'priors["{name}"]={given!r}, expected one of {{"normal": [mean, sd]}}, '
        '{"lognormal": [median, sd]} and {"weights": {choice: weight}}.'
    )


def _around(name: str, kind: str, value: object) -> Around:
    if (
        not isinstance(value, list | tuple)
        or len(value) != 2
        or not all(_is_number(v) for v in value)
        or value[1] <= 0
        or (kind == "lognormal" and value[0] <= 0)
    ):
        middle = "a median above 0" if kind == "lognormal" else "a mean"
        raise InvalidArgument(
            f'priors["{name}"]: {kind}={value!r}, expected two finite numbers, {middle} and a '
            "standard deviation above 0."
        )
    return Around(kind, float(value[0]), float(value[1]))


def _weights(name: str, value: object) -> Weights:
    if not isinstance(value, Mapping) or not all(_is_number(w) and w >= 0 for w in value.values()):
        raise InvalidArgument(
            f'priors["{name}"]: weights={value!r}, expected choice -> finite number of 0 or more.'
        )
    if not any(w > 0 for w in value.values()):
        raise InvalidArgument(f'priors["{name}"]: all weights are 0; raise at least one.')
    largest = max(value.values())  # their sum might overflow
    texts = [(k if isinstance(k, str) else json.dumps(k), w / largest) for k, w in value.items()]
    return Weights(tuple(texts))


def _is_number(value: object) -> bool:
    return is_number(value) and -MAX_ABS <= value <= MAX_ABS
