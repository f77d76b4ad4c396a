"""Converts records and operations to plain JSON values and back, for transfer over a network.

The form follows the fields of the dataclasses. Fields with default values are omitted. RFC 8259
has no NaN or infinities, so a non-finite float is written as `{"$float": "nan"}`; a mapping with
a key `$float` or `$map` of its own is written as `{"$map": [[key, value], ...]}`.

Input is untrusted: each value is checked against the type of its field, and a mismatch is refused
with its location.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from tunekit.checks import is_number, is_whole
from tunekit.errors import InvalidArgument
from tunekit.spaces import Params, Space
from tunekit.spaces.domains import plain
from tunekit.spaces.serialize import space_from_dict, space_to_dict
from tunekit.storages.base import Operation
from tunekit.storages.stored_shapes import is_scalar

R = TypeVar("R")

OPERATIONS: dict[str, type] = {cls.__name__.lower(): cls for cls in get_args(Operation)}
"""Operations by the value of their field `operation`."""

MAX_DEPTH = 64
_FLOAT, _MAP = "$float", "$map"
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def to_dict(value: Any) -> dict[str, Any]:
    """Return a record or an operation as plain JSON values.

    Raises:
        InvalidArgument: it holds a value without a JSON form.
    """
    cls: Any = type(value)
    doc = {}
    name = cls.__name__.lower()
    if OPERATIONS.get(name) is cls:
        doc["operation"] = name
    for field in fields(value):
        if not field.compare:  # not part of the value: attached by a reader
            continue
        content = getattr(value, field.name)
        if not _is_default(content, _default(cls, field.name)):
            doc[field.name] = _written(content, f"{cls.__name__}.{field.name}")
    return doc


def from_dict(cls: Callable[..., R], doc: object) -> R:
    """Return the record of class `cls` that `to_dict` wrote.

    Raises:
        InvalidArgument: a field is missing, unknown or of another type; the message names it.
    """
    name = cls.__name__
    secret = _secret(cls)
    if not isinstance(doc, Mapping):
        got = type(doc).__name__ if secret else _short(doc)
        raise InvalidArgument(f"{name}: got {got}, expected a mapping of its fields.")
    hints = _hints(cls)
    unknown = [key for key in doc if key not in hints and key != "operation"]
    if unknown:
        raise InvalidArgument(
            f"{name}: unknown field {_short(unknown[0])}, expected one of {', '.join(hints)}."
        )
    wrong = next((key for key in doc if key in secret and not isinstance(doc[key], str)), None)
    if wrong is not None:
        raise InvalidArgument(f"{name}.{wrong}: expected a text; what was given is not shown.")
    found = {
        key: _read(hints[key], doc[key], f"{name}.{key}") for key in doc if key != "operation"
    }
    missing = [f for f in hints if f not in found and _default(cls, f) is MISSING]
    if missing:
        raise InvalidArgument(f"{name}: the field {missing[0]} is missing; give it.")
    return cls(**found)


def operation_from_dict(doc: object) -> Operation:
    """Return the operation named by the field `operation`.

    Raises:
        InvalidArgument: the operation is unknown, or one of its fields does not fit.
    """
    kind = doc.get("operation") if isinstance(doc, Mapping) else None
    if not isinstance(kind, str) or kind not in OPERATIONS:
        raise InvalidArgument(
            f"operation {_short(doc)}: expected a mapping whose operation is one of "
            f"{', '.join(OPERATIONS)}."
        )
    operation: Operation = from_dict(OPERATIONS[kind], doc)
    return operation


@cache
def _hints(cls: Any) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {f.name: hints[f.name] for f in fields(cls) if f.compare}


@cache
def _secret(cls: Any) -> frozenset[str]:
    """Return the names of text fields that no `repr` and no error shows."""
    return frozenset(f.name for f in fields(cls) if f.compare and not f.repr)


@cache
def _default(cls: Any, name: str) -> Any:
    field = next(f for f in fields(cls) if f.name == name)
    return field.default if field.default_factory is MISSING else field.default_factory()


def _is_default(content: object, default: object) -> bool:
    # 0 does not equal a default of False, nor 1.0 one of 1: values must keep their type.
    return default is not MISSING and type(content) is type(default) and content == default


def _written(value: Any, where: str, depth: int = 0) -> Any:
    if depth > MAX_DEPTH:
        raise InvalidArgument(f"{where}: nested deeper than {MAX_DEPTH} levels; flatten it.")
    if value is None or (isinstance(value, bool | str) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Space):
        return space_to_dict(value)
    if is_dataclass(value):
        return to_dict(value)
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise InvalidArgument(
                f"{where}: {_short(value)} has keys that are not text; use text keys."
            )
        pairs = [(key, _written(v, where, depth + 1)) for key, v in value.items()]
        is_plain = _FLOAT not in value and _MAP not in value
        return dict(pairs) if is_plain else {_MAP: [[key, v] for key, v in pairs]}
    if isinstance(value, list | tuple):
        return [_written(v, where, depth + 1) for v in value]
    return _number(value, where)


def _number(value: Any, where: str) -> Any:
    try:
        number = plain(value)
    except TypeError:
        raise InvalidArgument(
            f"{where}: {_short(value)} is not plain JSON; convert it to a number or a text."
        ) from None
    if isinstance(number, float) and not math.isfinite(number):
        return {_FLOAT: str(number)}
    return number


def _restored(value: Any, where: str, depth: int = 0) -> Any:
    """Return a value of any JSON type, with non-finite floats restored."""
    if depth > MAX_DEPTH:
        raise InvalidArgument(f"{where}: nested deeper than {MAX_DEPTH} levels; flatten it.")
    if isinstance(value, list):
        return [_restored(v, where, depth + 1) for v in value]
    if not isinstance(value, Mapping):
        return value
    if set(value) == {_FLOAT} and str(value[_FLOAT]) in _NOT_FINITE:
        return _NOT_FINITE[str(value[_FLOAT])]
    return {key: _restored(v, where, depth + 1) for key, v in _pairs(value, where)}


def _pairs(value: Mapping[str, Any], where: str) -> list[tuple[str, Any]]:
    """Return the keys and values of a mapping in either form."""
    if set(value) != {_MAP}:
        return list(value.items())
    try:
        return [(str(key), content) for key, content in value[_MAP]]
    except (TypeError, ValueError):
        raise InvalidArgument(
            f"{where}: {_short(value)}, expected a list of pairs in {_MAP}."
        ) from None


def _read(hint: Any, value: Any, where: str) -> Any:
    """Return a value checked against the type of its field."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return _restored(value, where)
    if origin in (Union, types.UnionType):
        return _read_union(args, value, where)
    if origin is Literal:
        return _expect(value, value in args, " or ".join(map(repr, args)), where)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _read_mapping(args[1], value, where)
    if isinstance(origin, type) and issubclass(origin, Sequence):
        _expect(value, isinstance(value, list | tuple), "a list", where)
        return tuple([_read(args[0], v, where) for v in value])
    return _read_class(hint, value, where)


def _read_union(args: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in args:
        return None
    rest = [a for a in args if a is not type(None)]
    if set(rest) == set(get_args(Operation)):
        return operation_from_dict(value)
    if len(rest) == 1:
        return _read(rest[0], value, where)
    # A scalar of several types, which JSON distinguishes.
    return _expect(_restored(value, where), isinstance(value, bool | int | float | str | dict),
                   "a number, a text or a boolean", where)  # fmt: skip


def _read_mapping(hint: Any, value: Any, where: str) -> dict[str, Any]:
    _expect(value, isinstance(value, Mapping), "a mapping", where)
    return {key: _read(hint, v, f"{where}[{key!r}]") for key, v in _pairs(value, where)}


def _read_class(hint: type, value: Any, where: str) -> Any:
    if is_dataclass(hint):
        if hint is Space:
            return _read_space(value, where)
        return from_dict(hint, value)
    if issubclass(hint, Enum):
        return hint(_expect(value, value in [m.value for m in hint], "a known state", where))
    if hint is Params:
        content = _restored(value, where)
        is_point = isinstance(content, dict) and all(map(is_scalar, content.values()))
        expected = "a mapping of paths to numbers, texts, true, false or null"
        return Params(_expect(content, is_point, expected, where))
    if hint is float:
        number = _restored(value, where)
        return float(_expect(number, is_number(number), "a number", where))
    if hint is int:
        fits = is_whole(value) and -(2**63) <= value < 2**63
        return _expect(value, fits, "a whole number of at most 64 bits", where)
    word = {str: "a text", bool: "true or false"}[hint]
    return _expect(value, isinstance(value, hint), word, where)


def _read_space(value: Any, where: str) -> Space:
    return space_from_dict(_expect(value, isinstance(value, dict), "a space as a mapping", where))


def _expect(value: R, fits: bool, expected: str, where: str) -> R:
    if not fits:
        raise InvalidArgument(f"{where}: got {_short(value)}, expected {expected}.")
    return value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
