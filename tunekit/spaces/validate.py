"""Converts caller input to a point: resolves names, checks values and activity, adds defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tunekit.checks import shown
from tunekit.errors import InvalidParams, UnknownParameter, did_you_mean
from tunekit.spaces.constant import Constant
from tunekit.spaces.domains import Scalar
from tunekit.spaces.parameters import Parameter
from tunekit.spaces.point import Params


def resolved_name(name: str, known: Mapping[str, Parameter]) -> str:
    """Return the path for a path or a unique short name, or raise `UnknownParameter`."""
    if name in known:
        return name
    paths = [p for p in known if p.endswith(f".{name}")] if isinstance(name, str) else []
    if len(paths) == 1:
        return paths[0]
    if paths:
        raise UnknownParameter(
            f'"{name}" is short for several parameters: {", ".join(paths)}; give a full path.'
        )
    short = [p.rsplit(".", 1)[-1] for p in known]
    said = name[:200] if isinstance(name, str) else shown(name)
    raise UnknownParameter(
        f'unknown parameter "{said}"{did_you_mean(said, [*known, *short])}; '
        "give one that the space has."
    )


def resolved(params: Mapping[str, object], known: Mapping[str, Parameter]) -> dict[str, object]:
    """Return path -> value for given params, or raise for a wrong name."""
    if not isinstance(params, Mapping):
        raise InvalidParams(f"got {shown(params)}, expected a mapping of parameter to value.")
    out: dict[str, object] = {}
    for name, value in params.items():
        path = resolved_name(name, known)
        if path in out:
            raise InvalidParams(f'parameter "{path}" is given twice; remove one.')
        out[path] = value
    return out


def validated(given: Mapping[str, object], parameters: Iterable[Parameter]) -> Params:
    """Return the point in canonical form, or raise `InvalidParams`; constants are optional."""
    point: dict[str, Scalar] = {}
    for p in parameters:
        active = p.is_active(point)
        if p.path not in given:
            if active and not isinstance(p.domain, Constant):
                raise InvalidParams(f'no value for the active parameter "{p.path}"; give one.')
            if active:
                point[p.path] = p.domain.default_value()
        elif not active:
            raise InvalidParams(
                f'parameter "{p.path}" has a value but is inactive: it needs '
                f"{p.requirement()}; omit it."
            )
        else:
            point[p.path] = p.domain.validate(given[p.path], p.path)
    return Params(point)


def with_defaults(given: Mapping[str, object], parameters: Iterable[Parameter]) -> Params:
    """Return the point of the given active values, with defaults for the rest."""
    point: dict[str, Scalar] = {}
    for p in parameters:
        if p.is_active(point):
            default = p.domain.default_value()
            point[p.path] = p.domain.validate(given.get(p.path, default), p.path)
    return Params(point)
