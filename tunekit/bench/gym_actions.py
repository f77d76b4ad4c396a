"""Converts Gymnasium action spaces to search spaces, and points back to actions."""

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
    """Return the search space for an action space.

    `Box` becomes one number per entry, `Discrete` a categorical (its numbers are labels),
    `MultiDiscrete` one integer per entry, `MultiBinary` one bool per entry. `Dict` and `Tuple`
    are flattened; keys or positions, joined with `_`, name the parts.

    Raises:
        InvalidArgument: an unbounded box, an unsupported kind of space, or two equal names.
    """
    nodes: dict[str, Node] = {}
    for name, node in _nodes(action_space, ""):
        if name in nodes:
            raise InvalidArgument(
                f'gym: two parts of the action get the same name, "{name}"; rename a key of the '
                "action space."
            )
        nodes[name] = node
    return Space(nodes)


def action_of(action_space: Any, params: Params) -> Any:
    """Return the action for a point of `space_of(action_space)`."""
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
            f"gym: unsupported action space {space}; expected Box, Discrete, MultiDiscrete, "
            "MultiBinary, Dict or Tuple. Wrap the environment to convert its actions."
        )


def _number(name: str, lo: Any, hi: Any, dtype: Any) -> Float | Int:
    if not (math.isfinite(lo) and math.isfinite(hi)):
        raise InvalidArgument(
            f'gym: part "{name}" of the action has the range [{lo}, {hi}], expected finite '
            "bounds; set them with gymnasium.wrappers.RescaleAction or ClipAction."
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
