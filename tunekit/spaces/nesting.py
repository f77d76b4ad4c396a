"""Converts a point to nested dicts, following the tree of its space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tunekit.spaces.domains import Scalar

if TYPE_CHECKING:
    from tunekit.spaces.tree import Node, Space


def nested(space: Space, params: Mapping[str, Scalar]) -> dict[str, Any]:
    """Return a point as nested dicts; see `Params.nested`."""
    return _level(space, dict(params), "")  # a plain dict: no name is short for another here


def _level(space: Space, values: dict[str, Scalar], prefix: str) -> dict[str, Any]:
    out = {
        name: _entry(node, values, f"{prefix}{name}")
        for name, node in space.nodes
        if f"{prefix}{name}" in values
    }
    for when in space.when:  # its parameters are on the level of their parents
        out |= _level(when.space, values, prefix)
    return out


def _entry(node: Node, values: dict[str, Scalar], path: str) -> Any:
    value = values[path]
    opened = [(label, child) for label, opening, child in node.openings() if value in opening]
    levels = [_level(child, values, f"{path}.{label}.") for label, child in opened]
    if hasattr(node, "block"):  # a Repeat: the stack of its blocks
        return levels
    return {str(value): levels[0]} if levels else value
