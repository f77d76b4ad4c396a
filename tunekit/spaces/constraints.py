"""Constraints: expressions over parameters, compiled from a whitelisted syntax tree.

A constraint is text (`"batch * steps <= 4096"`), so that a space stays data. It is parsed once
into closures; nothing of it ever reaches `eval`, and its cost is bounded.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tunekit.errors import InvalidSpace, did_you_mean

MAX_LENGTH = 1000
"""Characters that one constraint may have."""

MAX_BITS = 4096
"""Size to which an integer power may grow; beyond it the constraint does not hold."""

_Evaluate: TypeAlias = Callable[[Mapping[str, Any]], Any]


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(base, int) and isinstance(exponent, int):
        if base.bit_length() * abs(exponent) > MAX_BITS:
            raise OverflowError("the power is too large")
    power = base**exponent
    if isinstance(power, complex):
        raise ValueError("the root of a negative number")
    return power


_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
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
_CALLS: dict[str, tuple[Callable[..., Any], int, int]] = {  # function, fewest, most arguments
    "abs": (abs, 1, 1), "min": (min, 2, 100), "max": (max, 2, 100), "log": (math.log, 1, 2),
    "log2": (math.log2, 1, 1), "exp": (math.exp, 1, 1), "sqrt": (math.sqrt, 1, 1),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Constraint:
    """An expression that a point must satisfy.

    Names are dotted paths (`model.svm.C`, `layers[0].units`). A name that is no Python
    identifier is written `params["my name"]`, a branch with one `model["a|b"].C`. Allowed are
    comparisons (also chained), `and`, `or`, `not`, arithmetic, `in` a literal list,
    `x if c else y`, and the functions abs, exp, log, log2, max, min, sqrt.

    Attributes:
        text: the expression as written.
        names: name as written -> dotted path of the parameter.
    """

    text: str
    names: Mapping[str, str] = field(hash=False)
    _evaluate: _Evaluate = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str, *, prefix: str, paths: Iterable[str]) -> Constraint:
        """Return the constraint whose names are paths, or unique short names, under `prefix`.

        So a space means the same alone and as a branch of another one. A constraint between
        two branches belongs to the space that holds both.

        Raises:
            InvalidSpace: no Python expression, a construct outside the whitelist, or a name
                that no parameter (or more than one) has.
        """
        scope = _Scope(text, prefix, tuple(paths))
        evaluate = scope.compile()
        if not scope.names:
            raise scope.fault("it names no parameter", "name at least one or drop it")
        return cls(text, scope.names, evaluate)

    def holds(self, params: Mapping[str, Any]) -> bool:
        """Return whether it is true; it holds where a parameter that it names is inactive.

        Where it cannot be computed (a division by zero, the logarithm of a negative number,
        `"a" < 1`, an overflow), it does not hold.
        """
        for path in self.names.values():
            if path not in params:
                return True
        try:
            return bool(self._evaluate(params))
        except (ArithmeticError, ValueError, TypeError):
            return False

    def __reduce__(self) -> tuple[Callable[..., Constraint], tuple[str, dict[str, str]]]:
        return _rebuilt, (self.text, dict(self.names))  # closures cannot be pickled


def _rebuilt(text: str, names: dict[str, str]) -> Constraint:
    scope = _Scope(text, "", (), names)
    return Constraint(text, names, scope.compile())


class _Scope:
    """Compiles one text; collects the names that it meets."""

    def __init__(
        self, text: str, prefix: str, paths: tuple[str, ...], names: dict[str, str] | None = None
    ) -> None:
        self.text = text
        self.prefix = prefix
        self.paths = tuple(p for p in paths if p.startswith(prefix))
        self.known = set(self.paths)
        self.names: dict[str, str] = names or {}

    def fault(self, what: str, advice: str) -> InvalidSpace:
        shown = self.text if isinstance(self.text, str) else repr(self.text)
        return InvalidSpace(f'constraint "{shown[:200]}": {what}; {advice}.')

    def compile(self) -> _Evaluate:
        if not isinstance(self.text, str):
            raise self.fault("it is no string", 'write one such as "a * b <= 64"')
        if len(self.text) > MAX_LENGTH:
            raise self.fault(
                f"it has {len(self.text)} characters, at most {MAX_LENGTH} are allowed",
                "split it into several",
            )
        try:
            tree = ast.parse(self.text.strip(), mode="eval").body
            if isinstance(tree, ast.BinOp | ast.Tuple | ast.List | ast.Call):
                raise self.fault("it gives no truth value", 'compare it, as in "a * b <= 64"')
            return self.expression(tree)
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            if isinstance(error, InvalidSpace):
                raise
            raise self.fault(
                f"it is no expression ({getattr(error, 'msg', None) or error})",
                'write one such as "a * b <= 64"; an odd name is written params["my name"]',
            ) from None

    def expression(self, node: ast.expr) -> _Evaluate:
        match node:
            case ast.Constant(value=value) if value is None or isinstance(
                value, bool | int | float | str
            ):
                return lambda params: value
            case ast.Name() | ast.Attribute() | ast.Subscript():
                path = self.resolve(node)
                return lambda params: params[path]
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return _arithmetic(
                    _BINARY[type(op)], self.expression(left), self.expression(right)
                )
            case ast.UnaryOp(op=op1, operand=operand):
                if type(op1) in _UNARY:
                    return _unary(_UNARY[type(op1)], self.expression(operand))
            case ast.BoolOp(op=op2, values=values):
                return _logic(isinstance(op2, ast.And), [self.expression(v) for v in values])
            case ast.Compare():
                return self.comparison(node)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return _choice(
                    self.expression(test), self.expression(body), self.expression(orelse)
                )
            case ast.Call():
                return self.call(node)
        raise self.unknown(node)

    def unknown(self, node: ast.expr) -> InvalidSpace:
        return self.fault(
            f'"{ast.unparse(node)[:60]}" is not allowed here',
            "use comparisons, and/or/not, arithmetic, in [...], x if c else y, "
            f"{', '.join(sorted(_CALLS))}",
        )

    def comparison(self, node: ast.Compare) -> _Evaluate:
        first = self.expression(node.left)
        steps: list[tuple[Callable[[Any, Any], bool], _Evaluate]] = []
        for op, right in zip(node.ops, node.comparators, strict=True):
            if type(op) not in _COMPARE:
                raise self.unknown(node)
            if isinstance(op, ast.In | ast.NotIn):
                steps.append((_COMPARE[type(op)], self.members(right)))
            else:
                steps.append((_COMPARE[type(op)], self.expression(right)))
        return _comparison(first, steps)

    def members(self, node: ast.expr) -> _Evaluate:
        if not isinstance(node, ast.Tuple | ast.List | ast.Set):
            raise self.fault(f'"in {ast.unparse(node)[:60]}"', "write a list: in [1, 2]")
        items = [self.expression(item) for item in node.elts]
        return lambda params: [item(params) for item in items]

    def call(self, node: ast.Call) -> _Evaluate:
        if not isinstance(node.func, ast.Name) or node.func.id not in _CALLS or node.keywords:
            raise self.unknown(node)
        function, fewest, most = _CALLS[node.func.id]
        if not fewest <= len(node.args) <= most:
            raise self.fault(
                f"{node.func.id} has {len(node.args)} arguments",
                f"give it {fewest}" + ("" if fewest == most else f" to {most}"),
            )
        arguments = [self.expression(a) for a in node.args]
        return lambda params: function(*[a(params) for a in arguments])

    def resolve(self, node: ast.expr) -> str:
        """Return the parameter's path for a chain of names, attributes and subscripts."""
        written = ast.unparse(node)
        if written in self.names:
            return self.names[written]
        parts = self.parts(node)
        name = ".".join(parts)
        if parts[0] == "params" and len(parts) > 1 and not self.find(name):
            name = ".".join(parts[1:])
        path = self.find(name)
        if path is None:
            raise self.not_found(name)
        self.names[written] = path
        return path

    def parts(self, node: ast.expr) -> list[str]:
        match node:
            case ast.Name(id=name):
                return [name]
            case ast.Attribute(value=base, attr=name):
                return [*self.parts(base), name]
            case ast.Subscript(value=base, slice=ast.Constant(value=str() | int() as key)):
                return [*self.parts(base), str(key)]
        raise self.unknown(node)

    def find(self, name: str) -> str | None:
        if self.prefix + name in self.known:
            return self.prefix + name
        found = self.ending(name)
        return found[0] if len(found) == 1 else None

    def ending(self, name: str) -> list[str]:
        return [p for p in self.paths if p.endswith(f".{name}")]

    def not_found(self, name: str) -> InvalidSpace:
        several = self.ending(name)
        if len(several) > 1:
            return self.fault(
                f'"{name}" is short for several parameters ({", ".join(several[:5])})',
                "give a full path",
            )
        short = (p.rsplit(".", 1)[-1] for p in self.paths)
        hint = did_you_mean(name, [*self.paths, *short])
        return self.fault(
            f'it names an unknown parameter "{name}"{hint}',
            "name one of the space that the constraint stands in, or move it to an outer space",
        )


def _arithmetic(op: Callable[[Any, Any], Any], left: _Evaluate, right: _Evaluate) -> _Evaluate:
    def evaluate(params: Mapping[str, Any]) -> Any:
        a, b = left(params), right(params)
        # Strings would concatenate, repeat and format, at any cost in memory.
        if not isinstance(a, int | float) or not isinstance(b, int | float):
            raise TypeError("arithmetic on something that is no number")
        return op(a, b)

    return evaluate


def _unary(op: Callable[[Any], Any], operand: _Evaluate) -> _Evaluate:
    return lambda params: op(operand(params))


def _logic(is_and: bool, terms: list[_Evaluate]) -> _Evaluate:
    if is_and:
        return lambda params: all(term(params) for term in terms)
    return lambda params: any(term(params) for term in terms)


def _choice(test: _Evaluate, body: _Evaluate, orelse: _Evaluate) -> _Evaluate:
    return lambda params: body(params) if test(params) else orelse(params)


def _comparison(
    first: _Evaluate, steps: list[tuple[Callable[[Any, Any], bool], _Evaluate]]
) -> _Evaluate:
    if len(steps) == 1:
        compare, right = steps[0]
        return lambda params: compare(first(params), right(params))

    def chain(params: Mapping[str, Any]) -> bool:
        a = first(params)
        for op, get in steps:
            b = get(params)
            if not op(a, b):
                return False
            a = b
        return True

    return chain
