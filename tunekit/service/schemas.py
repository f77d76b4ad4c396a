"""Describes the JSON form of records for OpenAPI, from the same type hints as their codec."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from tunekit.spaces import Params, Space
from tunekit.storages.codec import OPERATIONS

Schema = dict[str, Any]

_FLOAT = {
    "anyOf": [
        {"type": "number"},
        {
            "type": "object",
            "properties": {"$float": {"enum": ["nan", "inf", "-inf"]}},
            "required": ["$float"],
            "additionalProperties": False,
        },
    ]
}
_SCALARS: dict[Any, Schema] = {
    int: {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    float: _FLOAT,
    str: {"type": "string"},
    bool: {"type": "boolean"},
    Any: {},
    Params: {"type": "object"},
    Space: {"type": "object"},
}


def schema_of(cls: type) -> Schema:
    """Return the JSON schema of a record as `codec.to_dict` writes it."""
    if cls in _SCALARS:
        return dict(_SCALARS[cls])
    hints = get_type_hints(cls)
    known = [f for f in fields(cls) if f.compare]
    properties = {f.name: _schema(hints[f.name]) for f in known}
    needed = [f.name for f in known if f.default is MISSING and f.default_factory is MISSING]
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if OPERATIONS.get(cls.__name__.lower()) is cls:
        properties["operation"] = {"const": cls.__name__.lower()}
        needed.append("operation")
    if needed:
        schema["required"] = needed
    return schema


def _schema(hint: Any) -> Schema:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(a) for a in args]}
    if hint is type(None):
        return {"type": "null"}
    if origin is Literal:
        return {"enum": list(args)}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _schema(args[1])}
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return {"type": "array", "items": _schema(args[0])}
    if hint in _SCALARS or is_dataclass(hint):
        return schema_of(hint)
    assert issubclass(hint, Enum), hint
    return {"enum": sorted({m.value for m in hint})}
