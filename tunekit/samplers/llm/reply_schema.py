"""Writes the JSON schema that a model's reply should follow, from the tree of the space.

A point is a flat object: dotted path -> value. Which parameters are active is said in words in
the prompt, because the schemas that endpoints enforce know no conditions.
"""

from __future__ import annotations

from typing import Any

from tunekit.spaces import Categorical, Constant, Float, Int, Parameter, Space

MAX_CHOICES = 200
"""Choices of a categorical that the schema lists; with more it leaves them out."""


def reply_schema(space: Space, n: int) -> dict[str, Any]:
    """Return the schema of a reply with up to `n` points of a space, and ranges if it likes."""
    parameters = [p for p in space if not isinstance(p.domain, Constant)]
    point = {
        "type": "object",
        "properties": {p.path: _value(p) for p in parameters},
        "additionalProperties": False,
    }
    ranges = {
        "type": "object",
        "properties": {p.path: _range(p) for p in parameters},
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {
            "rationale": {"type": "string"},
            "points": {"type": "array", "items": point, "minItems": 1, "maxItems": n},
            "ranges": ranges,
        },
        "required": ["rationale", "points"],
        "additionalProperties": False,
    }


def _range(parameter: Parameter) -> dict[str, Any]:
    domain = parameter.domain
    if isinstance(domain, Categorical):
        return {"type": "array", "items": _value(parameter), "minItems": 1}
    assert isinstance(domain, Float | Int)
    end = {"type": "number", "minimum": domain.lo, "maximum": domain.hi}
    return {
        "type": "object",
        "properties": {"lower": end, "upper": end},
        "required": ["lower", "upper"],
        "additionalProperties": False,
    }


def _value(parameter: Parameter) -> dict[str, Any]:
    domain = parameter.domain
    if isinstance(domain, Categorical):
        if len(domain.choices) > MAX_CHOICES:
            return {}
        return {"enum": list(domain.choices)}
    assert isinstance(domain, Float | Int)
    kind = "integer" if isinstance(domain, Int) else "number"
    within: dict[str, Any] = {"type": kind, "minimum": domain.lo, "maximum": domain.hi}
    if not domain.special:
        return within
    return {"anyOf": [within, {"enum": list(domain.special)}]}
