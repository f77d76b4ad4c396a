"""Flattens the tree of a space into parameters with paths and conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tunekit.errors import InvalidParams, InvalidSpace, did_you_mean
from tunekit.spaces.domains import Domain, Float, Int, Scalar
from tunekit.spaces.parameters import Condition, Parameter

if TYPE_CHECKING:
    from tunekit.spaces.constraints import Constraint
    from tunekit.spaces.tree import Space

MAX_PARAMETERS = 20_000
MAX_LEVELS = 64
"""Maximum nesting of spaces; each level costs several frames of Python's stack."""


def collect_parameters(space: Space) -> dict[str, Parameter]:
    """Return all parameters by path, a parent before its children.

    Raises:
        InvalidSpace: a path appears twice, a `when` is impossible, or there are more than
            `MAX_PARAMETERS`.
    """
    found: dict[str, Parameter] = {}
    _collect(space, "", (), found)
    return found


def collect_constraints(space: Space, known: Mapping[str, Parameter]) -> tuple[Constraint, ...]:
    """Return the constraints of a space and of all child spaces, with resolved names."""
    found: list[Constraint] = []
    _collect_constraints(space, "", known, found)
    return tuple(found)


def fidelity_of(parameters: Sequence[Parameter]) -> str | None:
    """Return the path of the fidelity parameter, `None` without one.

    Raises:
        InvalidSpace: there are several, or it is a switch, or not active in every point.
    """
    found = [p for p in parameters if isinstance(p.domain, Float | Int) and p.domain.fidelity]
    if not found:
        return None
    if len(found) > 1:
        raise InvalidSpace(
            f'both "{found[0].path}" and "{found[1].path}" have fidelity=True, expected at most '
            'one; make the other an ordinary parameter, or name the role of each: scale="N", '
            'scale="D".'
        )
    _check_amount(found[0], "fidelity", parameters)
    return found[0].path


def scales_of(parameters: Sequence[Parameter]) -> dict[str, str]:
    """Return the paths of the scale axes by their role, in the order of the space.

    Raises:
        InvalidSpace: two have the same role, or one is a switch, or not active in every point.
    """
    found: dict[str, str] = {}
    for p in parameters:
        role = p.domain.scale if isinstance(p.domain, Float | Int) else None
        if role is None:
            continue
        if role in found:
            raise InvalidSpace(
                f'both "{found[role]}" and "{p.path}" have scale="{role}", expected one parameter '
                "a role; give one of them another."
            )
        _check_amount(p, "scale axis", parameters)
        found[role] = p.path
    return found


def _check_amount(found: Parameter, what: str, parameters: Sequence[Parameter]) -> None:
    if found.conditions:
        raise InvalidSpace(
            f'the {what} "{found.path}" is active only when {found.requirement()}, but every '
            "trial needs it; declare it at the root of the space."
        )
    if any(c.parent == found.path for p in parameters for c in p.conditions):
        raise InvalidSpace(
            f'the {what} "{found.path}" opens a child space, but it must only set how thoroughly '
            "a trial runs; attach the child to another parameter."
        )


def _collect(
    space: Space,
    prefix: str,
    conditions: tuple[Condition, ...],
    found: dict[str, Parameter],
    level: int = 1,
) -> None:
    if level > MAX_LEVELS:
        raise InvalidSpace(f"spaces are nested more than {MAX_LEVELS} levels deep; flatten them.")
    for name, node in space.nodes:
        path = prefix + name
        _add(found, path, node.domain, conditions)
        for label, values, child in node.openings():
            _collect(
                child, f"{path}.{label}.", (Condition(path, frozenset(values)),), found, level + 1
            )
    for when in space.when:
        own = [_condition(name, values, prefix, found) for name, values in when.conditions]
        _collect(when.space, prefix, (*conditions, *own), found, level + 1)


def _add(
    found: dict[str, Parameter], path: str, domain: Domain, conditions: tuple[Condition, ...]
) -> None:
    if path in found:
        raise InvalidSpace(
            f'two parameters have the path "{path}"; rename one, or attach both to branches of a '
            "Categorical, which have their own paths."
        )
    if len(found) >= MAX_PARAMETERS:
        raise InvalidSpace(
            f"the space has more than {MAX_PARAMETERS} parameters; reduce the count of a Repeat."
        )
    depth = 1 + found[conditions[-1].parent].depth if conditions else 0
    found[path] = Parameter(path, domain, conditions, depth)


def _condition(
    parent: str, values: tuple[Scalar, ...], prefix: str, found: Mapping[str, Parameter]
) -> Condition:
    path = prefix + parent
    if path not in found:
        level = [p.removeprefix(prefix) for p in found if p.startswith(prefix)]
        raise InvalidSpace(
            f'when: no parameter "{parent}" on this level{did_you_mean(parent, level)}; '
            "declare it before the children that need it."
        )
    domain = found[path].domain
    if not isinstance(domain, Int) and not hasattr(domain, "choices"):
        raise InvalidSpace(f'when: the parent "{path}" must be a Categorical, a bool or an Int.')
    try:
        return Condition(path, frozenset(domain.validate(v, path) for v in values))
    except InvalidParams as error:
        raise InvalidSpace(f"when: {error.message}") from None


def _collect_constraints(
    space: Space, prefix: str, known: Mapping[str, Parameter], found: list[Constraint]
) -> None:
    if space.constraints:
        from tunekit.spaces.constraints import Constraint  # the whole language of constraints

        parsed = (Constraint.parse(c, prefix=prefix, paths=known) for c in space.constraints)
        found.extend(parsed)
    for name, node in space.nodes:
        for label, _, child in node.openings():
            _collect_constraints(child, f"{prefix}{name}.{label}.", known, found)
    for when in space.when:
        _collect_constraints(when.space, prefix, known, found)
