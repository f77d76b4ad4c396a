"""Reads a reply's JSON and values: dotted paths, flat or nested, and numbers written as texts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tunekit.checks import shown
from tunekit.errors import TunekitError
from tunekit.spaces import Categorical, Float, Int, Scalar, Space

MAX_DEPTH = 40
MAX_OBJECTS = 20


def json_objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a text; models like to wrap one in prose or a code fence."""
    decoder = json.JSONDecoder()
    at = text.find("{")
    for _ in range(MAX_OBJECTS):
        if at < 0:
            return
        try:
            found, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at = text.find("{", at + 1)
            continue
        yield found
        at = text.find("{", end)


def flat_values(
    given: Mapping[str, Any], space: Space, prefix: str = "", depth: int = 0
) -> Iterator[tuple[str, object]]:
    """Yield (dotted path, value), whether the point is flat or nested.

    Raises:
        TunekitError: it is nested deeper than any space.
    """
    if depth > MAX_DEPTH:
        raise TunekitError(f"it is nested deeper than {MAX_DEPTH} levels.")
    for name, value in given.items():
        path = f"{prefix}{name}"
        if not isinstance(value, Mapping):
            yield path, value
            continue
        opened = _opened(space, path, value)
        if opened is not None:  # {"model": {"svm": {"C": 1.0}}} also says which model
            yield path, opened
        yield from flat_values(value, space, f"{path}.", depth + 1)


def _opened(space: Space, path: str, value: Mapping[str, Any]) -> Scalar | None:
    """Return the choice that is the only key of the object given for a categorical."""
    parameter = space.by_path.get(path)
    if parameter is None or len(value) != 1 or not isinstance(parameter.domain, Categorical):
        return None
    (name,) = value
    return next((c for c in parameter.domain.choices if str(c) == name), None)


def read_value(value: object, space: Space, path: str) -> object:
    """Return a value with a number read from its text, where a number is expected.

    Args:
        value: of the reply.
        space: of the study.
        path: of the parameter.

    Raises:
        TunekitError: the text is not a plain number.
    """
    domain = space.by_path[path].domain
    number = read_number(value) if isinstance(domain, Float | Int) else value
    if isinstance(domain, Float | Int) and isinstance(number, str):
        raise TunekitError(
            f'parameter "{path}": got {shown(value)}, expected a plain number without a unit.'
        )
    if isinstance(value, str) and isinstance(domain, Int) and isinstance(number, float):
        return int(number) if number.is_integer() else number
    return number


def read_number(value: object) -> object:
    """Return the number that a text is, and everything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value
