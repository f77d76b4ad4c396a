"""Constraints: expressions over parameters, evaluated on a whitelisted syntax tree."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tunekit.errors import InvalidSpace, did_you_mean

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_CALLS: dict[str, Callable[..., Any]] = {
    "abs": abs, "min": min, "max": max, "log": math.log, "log2": math.log2,
    "exp": math.exp, "sqrt": math.sqrt,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Constraint:
    """An expression that a point must satisfy.

    Attributes:
        text: the expression as written.
        names: name as written -> dotted path of the parameter.
    """

    text: str
    names: Mapping[str, str]
    tree: ast.expr

    @classmethod
    def parse(cls, text: str, *, prefix: str, paths: Iterable[str]) -> Constraint:
        """Return the constraint whose names resolve under `prefix`, else anywhere if unique.

        Raises:
            InvalidSpace: no Python expression, a construct outside the whitelist, or a name
                that no parameter (or more than one) has.
        """
        raise NotImplementedError

    def holds(self, params: Mapping[str, Any]) -> bool:
        """Return whether it is true; it holds where a parameter that it names is inactive."""
        raise NotImplementedError
