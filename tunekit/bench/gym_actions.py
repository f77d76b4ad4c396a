"""Action spaces of Gymnasium as search spaces, and points back as actions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tunekit.errors import InvalidArgument
from tunekit.spaces import Categorical, Float, Int, Params, Space
from tunekit.spaces.tree import Node

ROOT = "action"


def space_of(action_space: Any) -> Space:
    """Return the search space of an action space.

    A `Box` gives a number for each entry, `Discrete` a categorical (its numbers are names),
    `MultiDiscrete` an integer for each entry, `MultiBinary` a bool for each; `Dict` and `Tuple`
    are unfolded. A part is named by its key or position, joined with `_`.

    Raises:
        InvalidArgument: an unbounded box, or a kind of space without counterpart.
    """
    nodes: dict[str, Node] = {}
    for name, node in _nodes(action_space, ""):
        if name in nodes:
            raise InvalidArgument(f'gym: two parts of the action are both named "{name}".')
        nodes[name] = node
    return Space(nodes)


def action_of(action_space: Any, params: Params) -> Any:
    """Return the action of a point of `space_of(action_space)`."""
    return _action(action_space, "", params)


def _nodes(space: Any, prefix: str) -> Iterator[tuple[str, Node]]:
    kind = type(space).__name__
    if kind in ("Dict", "Tuple"):
        for key, part in _parts(space):
            yield from _nodes(part, _joined(prefix, key))
    elif kind == "Discrete":
        first, n = int(space.start), int(space.n)
        yield prefix or ROOT, Categorical(list(range(first, first + n)))
    elif kind == "Box":
        for name, i in _entries(space, prefix):
            yield name, _number(name, space.low[i], space.high[i], space.dtype)
    elif kind == "MultiDiscrete":
        for name, i in _entries(space, prefix):
            lo = int(space.start[i])
            yield name, Int(lo, lo + int(space.nvec[i]) - 1)
    elif kind == "MultiBinary":
        for name, _ in _entries(space, prefix):
            yield name, Categorical([False, True])
    else:
        raise InvalidArgument(
            f"gym: the action space {space} has no counterpart; expected Box, Discrete, "
            "MultiDiscrete, MultiBinary, Dict or Tuple. Wrap the environment."
        )


def _number(name: str, lo: Any, hi: Any, dtype: Any) -> Float | Int:
    if not (math.isfinite(lo) and math.isfinite(hi)):
        raise InvalidArgument(
            f'gym: the part "{name}" of the action lies in [{lo}, {hi}]; give it bounds with '
            "gymnasium.wrappers.RescaleAction or ClipAction."
        )
    if np.issubdtype(dtype, np.integer):
        return Int(int(lo), int(hi))
    return Float(float(lo), float(hi))


def _action(space: Any, prefix: str, params: Params) -> Any:
    kind = type(space).__name__
    if kind == "Dict":
        return {key: _action(part, _joined(prefix, key), params) for key, part in _parts(space)}
    if kind == "Tuple":
        return tuple(_action(part, _joined(prefix, key), params) for key, part in _parts(space))
    if kind == "Discrete":
        return params[prefix or ROOT]
    values = [params[name] for name, _ in _entries(space, prefix)]
    return np.array(values, dtype=space.dtype).reshape(space.shape)


def _parts(space: Any) -> Iterator[tuple[Any, Any]]:
    yield from (space.spaces.items() if hasattr(space.spaces, "items") else enumerate(space))


def _entries(space: Any, prefix: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the name and the index of each entry of an array."""
    base = prefix or ROOT
    for index in np.ndindex(*space.shape):
        yield "_".join([base, *map(str, index)]) if index else base, index


def _joined(prefix: str, key: Any) -> str:
    return f"{prefix}_{key}" if prefix else str(key)
