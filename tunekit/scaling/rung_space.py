"""The search space of a rung: the first rung's, with moved bounds and the sizes as constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tunekit.errors import InvalidArgument
from tunekit.scaling.transfer_rules import TransferRule
from tunekit.spaces import Categorical, Float, Int, Scalar, Space, When


def check_rules(
    space: Space, rules: Mapping[str, TransferRule], sizes: Mapping[str, float]
) -> None:
    """Check that a space can be moved from rung to rung by rules.

    Raises:
        InvalidArgument: a rule moves what is not a number or has a fixed step, or a size has the
            name of a parameter.
    """
    if taken := [name for name in sizes if name in dict(space.nodes)]:
        raise InvalidArgument(
            f"rungs: the size {taken[0]!r} is a parameter of the space as well; rename one."
        )
    movable = set(_movable(space))
    for path, rule in rules.items():
        if rule.is_constant:
            continue
        domain = space.by_path[path].domain
        if not isinstance(domain, Float | Int) or path in space.target or path not in movable:
            raise InvalidArgument(
                f'transfer: "{path}" is not a number outside of a Repeat, so the rule '
                f'"{rule.text}" cannot move it; use "constant".'
            )
        if domain.step is not None:
            raise InvalidArgument(
                f'transfer: "{path}" has step={domain.step!r}, so the rule "{rule.text}" cannot '
                'move it; remove the step or use "constant".'
            )


def rung_space(space: Space, factors: Mapping[str, float], sizes: Mapping[str, float]) -> Space:
    """Return the space of a rung.

    Args:
        space: of the first rung, without sizes.
        factors: path -> what the bounds of a number are multiplied by.
        sizes: constants to add.
    """
    moved = _moved(space, "", factors)
    return Space({**dict(moved.nodes), **sizes}, when=moved.when, constraints=moved.constraints)


def rung_value(domain: Any, value: Scalar, factor: float) -> Scalar:
    """Return a value of the first rung multiplied by a factor, within a rung's domain."""
    if not isinstance(domain, Float | Int) or value in domain.special:
        return value
    assert isinstance(value, int | float)
    moved = min(max(value * factor, domain.lo), domain.hi)
    placed: Scalar = domain.validate(round(moved) if isinstance(domain, Int) else moved, "")
    return placed


def _movable(space: Space, prefix: str = "") -> list[str]:
    found = []
    for name, node in space.nodes:
        if isinstance(node, Float | Int):
            found.append(f"{prefix}{name}")
        elif isinstance(node, Categorical):
            for label, _, child in node.openings():
                found += _movable(child, f"{prefix}{name}.{label}.")
    return found + [path for w in space.when for path in _movable(w.space, prefix)]


def _moved(space: Space, prefix: str, factors: Mapping[str, float]) -> Space:
    nodes: dict[str, Any] = {}
    for name, node in space.nodes:
        path = f"{prefix}{name}"
        if isinstance(node, Float | Int) and factors.get(path, 1.0) != 1.0:
            nodes[name] = _scaled(node, factors[path])
        elif isinstance(node, Categorical):
            nodes[name] = _categorical(node, path, factors)
        else:
            nodes[name] = node
    when = [
        When(w.parent, list(w.values), _moved(w.space, prefix, factors), also=dict(w.also))
        for w in space.when
    ]
    return Space(nodes, when=when, constraints=space.constraints)


def _categorical(node: Categorical, path: str, factors: Mapping[str, float]) -> Categorical:
    if not node.branches:
        return node
    labels = {values: label for label, values, _ in node.openings()}
    choices = {
        group if len(group) > 1 else group[0]: None
        if child is None
        else _moved(child, f"{path}.{labels[group]}.", factors)
        for group, child in node.mapping().items()
    }
    return Categorical(choices, ordered=node.ordered, default=node.default)


def _scaled(node: Float | Int, factor: float) -> Float | Int:
    if isinstance(node, Float):
        default = None if node.default is None else node.default * factor
        return replace(node, lo=node.lo * factor, hi=node.hi * factor, default=default)
    least = 1 if node.log else 0 if node.lo >= 0 else -(2**31)
    lo, hi = max(least, round(node.lo * factor)), max(least, round(node.hi * factor))
    default = None if node.default is None else min(max(round(node.default * factor), lo), hi)
    return replace(node, lo=lo, hi=hi, default=default)
