"""Converts a user's prior beliefs about values to shares of the edges of a node."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tunekit.errors import InvalidArgument, UnknownParameter, did_you_mean
from tunekit.samplers.mcts.decisions import ChoiceAxis, Edge
from tunekit.spaces import Categorical, Space

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLOOR = 0.1
"""Uniform share of every prior, so that no belief closes a branch for ever."""

Weights: TypeAlias = Mapping[str, Mapping[Any, float]]


@dataclass(frozen=True, slots=True)
class Prior:
    """Weights of places; unnamed places have weight 1.

    Attributes:
        weights: path -> place -> weight.
        unused: names missing from the space (an open space may still discover them).
    """

    weights: Mapping[str, Mapping[int, float]]
    unused: tuple[str, ...] = ()

    def shares(self, edges: Sequence[Edge]) -> NDArray[np.float64] | None:
        """Return `(k,)` shares that sum to 1, `None` without a belief about the parameter."""
        named = self.weights.get(edges[0].path)
        if named is None:
            return None
        raw = np.array([float(e.hi - e.lo) for e in edges])
        uniform: NDArray[np.float64] = raw / raw.sum()
        for place, weight in named.items():
            for i, e in enumerate(edges):
                if e.lo <= place < e.hi:
                    raw[i] += weight - 1.0
        if raw.sum() <= 0:
            return uniform
        return np.asarray((1.0 - FLOOR) * raw / raw.sum() + FLOOR * uniform)


def checked_weights(prior: object) -> Weights:
    """Return a prior of the form `{path: {value: weight}}`.

    Raises:
        InvalidArgument: the form of the prior is not valid, or a weight is not a finite number
            of 0 or more.
    """
    is_nested = isinstance(prior, Mapping) and all(isinstance(w, Mapping) for w in prior.values())
    if not isinstance(prior, Mapping) or not is_nested:
        raise InvalidArgument(
            f"mcts: prior={prior!r}, expected {{path: {{value: weight}}}}, "
            'such as {"optimizer": {"adam": 3}}.'
        )
    for path, weights in prior.items():
        for value, weight in weights.items():
            is_number = isinstance(weight, Real) and not isinstance(weight, bool)
            if not is_number or not 0 <= weight < math.inf:
                raise InvalidArgument(
                    f'mcts: the prior weight of {value!r} for "{path}" is {weight!r}, expected '
                    "a finite number of 0 or more (unnamed values have 1)."
                )
    return prior


def prior_for(space: Space, axes: Mapping[str, ChoiceAxis], *, weights: Weights) -> Prior:
    """Return the prior with its paths and values resolved in the space.

    Raises:
        InvalidArgument: the tree does not decide a named parameter, or it lacks a named value.
    """
    found: dict[str, dict[int, float]] = {}
    unused = []
    for name, wanted in weights.items():
        try:
            path = space.resolve(name)
        except UnknownParameter:
            unused.append(name)
            continue
        if path not in axes:
            raise InvalidArgument(
                f'mcts: the prior names "{path}", which is a plain number, but the tree decides '
                "only choices and numbers that open children; remove it."
            )
        axis = axes[path]
        found[path] = {_place(axis, v): float(w) for v, w in wanted.items()}
    return Prior(found, tuple(unused))


def _place(axis: ChoiceAxis, given: object) -> int:
    """Return the place of a value, or of the value that a JSON key represents."""
    domain, path = axis.parameter.domain, axis.parameter.path
    if not isinstance(domain, Categorical):
        try:
            return axis.place(domain.validate(int(str(given)), path))
        except ValueError as error:
            raise InvalidArgument(f"mcts: in the prior, {error}") from None
    place = domain.index(given)
    words = [json.dumps(c) if not isinstance(c, str) else c for c in domain.choices]
    if place < 0 and given in words:
        place = words.index(str(given))
    if place < 0:
        raise InvalidArgument(
            f'mcts: the prior of "{path}" names {given!r}, expected one of '
            f"{list(domain.choices)}{did_you_mean(str(given), words)}."
        )
    return place
