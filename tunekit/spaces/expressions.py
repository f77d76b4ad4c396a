"""Parses the text of a constraint into terms, by a whitelist over Python's syntax tree."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tunekit.checks import shown
from tunekit.errors import InvalidSpace
from tunekit.spaces.logic import Choice, Comparison, Logic, Not
from tunekit.spaces.paths import Names
from tunekit.spaces.terms import (
    Arithmetic,
    Call,
    Count,
    Extreme,
    Literal,
    Negative,
    Reference,
    Term,
    Total,
    power,
)

MAX_LENGTH = 200_000
"""Maximum length of a constraint, in characters."""

MAX_DEPTH = 100
"""Maximum nesting of its parts."""

MAX_TERMS = 100_000
"""Maximum number of parts after the expansion of `[*]`, which bounds the cost of evaluation."""

_ENTRIES = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|\[\s*\*\s*\]""")

_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: power,
}
_UNARY: Mapping[type[ast.unaryop], Callable[[Term], Term]] = {
    ast.USub: Negative,
    ast.UAdd: lambda term: Total(((1, term),)),
    ast.Not: Not,
}
_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_CALLS: Mapping[str, tuple[Callable[..., Any], int]] = {  # function, most arguments
    "abs": (abs, 1), "log": (math.log, 2), "log2": (math.log2, 1), "exp": (math.exp, 1),
    "sqrt": (math.sqrt, 1),
}  # fmt: skip
_AGGREGATES: Mapping[str, Callable[[tuple[Term, ...]], Term]] = {
    "sum": lambda terms: Total(tuple((1, t) for t in terms), empty=0),
    "count": Count,
    "min": lambda terms: Extreme(min, terms),
    "max": lambda terms: Extreme(max, terms),
    "any": lambda terms: Logic(False, terms),
    "all": lambda terms: Logic(True, terms),
}


class Scope:
    """Compiles one text and collects its names.

    Attributes:
        names: name as written -> path.
    """

    def __init__(self, text: str, prefix: str, paths: tuple[str, ...]) -> None:
        self.text = text
        self._found = Names(prefix, paths, self.fault)
        self.names = self._found.names
        self._depth = self._n_terms = 0
        self._entry: int | None = None

    def fault(self, what: str, advice: str) -> InvalidSpace:
        """Return the error that describes a fault of the text."""
        text = self.text[:200] if isinstance(self.text, str) else shown(self.text)
        return InvalidSpace(f'constraint "{text}": {what}; {advice}.')

    def compile(self) -> Term:
        """Return the term of the whole text.

        Raises:
            InvalidSpace: the text is not a valid constraint.
        """
        if not isinstance(self.text, str):
            raise self.fault("it is not a string", 'write one, for example "a * b <= 64"')
        if len(self.text) > MAX_LENGTH:
            raise self.fault(
                f"it has {len(self.text)} characters, at most {MAX_LENGTH} are allowed",
                "shorten it with [*], as in sum(layers[*].units) <= 512",
            )
        text = _ENTRIES.sub(lambda m: m[1] or "[...]", self.text.strip())
        try:
            tree = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            is_deep = isinstance(error, MemoryError | RecursionError)
            why = "nested too deeply" if is_deep else getattr(error, "msg", None) or error
            raise self.fault(
                f"it is not an expression ({why})",
                "write a long sum as sum(layers[*].units) or sum(a, b, c)"
                if is_deep
                else 'write one, for example "a * b <= 64"; write odd names as params["my name"]',
            ) from None
        if not _has_truth(tree):
            raise self.fault("it has no truth value", 'compare it, as in "a * b <= 64"')
        return self._expression(tree)

    def _expression(self, node: ast.expr) -> Term:
        self._n_terms += 1
        self._depth += 1
        if self._depth > MAX_DEPTH or self._n_terms > MAX_TERMS:
            raise self.fault(
                f"it has more than {MAX_TERMS} parts, or {MAX_DEPTH} levels of them",
                "split it into several",
            )
        term = self._term(node)
        self._depth -= 1
        return term

    def _term(self, node: ast.expr) -> Term:
        match node:
            case ast.Constant(value=value) if value is None or isinstance(
                value, bool | int | float | str
            ):
                return Literal(value)
            case ast.Name() | ast.Attribute() | ast.Subscript():
                return Reference(self._found.path(node, self._entry))
            case ast.BinOp():
                return self._arithmetic(node)
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
                return _UNARY[type(op)](self._expression(operand))
            case ast.BoolOp(op=logic, values=values):
                return Logic(isinstance(logic, ast.And), tuple(map(self._expression, values)))
            case ast.Compare():
                return self._comparison(node)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return Choice(*map(self._expression, (test, body, orelse)))
            case ast.Call():
                return self._call(node)
            case ast.List(elts=items) | ast.Tuple(elts=items) if self._entry is not None:
                return self._expression(items[self._entry])
        raise self._unknown(node)

    def _unknown(self, node: ast.expr) -> InvalidSpace:
        return self.fault(
            f'"{self._found.written(node)[:60]}" is not allowed here',
            "use comparisons, and/or/not, arithmetic, in [...], x if c else y, "
            f"{', '.join(sorted([*_CALLS, *_AGGREGATES]))}",
        )

    def _arithmetic(self, node: ast.BinOp) -> Term:
        if isinstance(node.op, ast.Add | ast.Sub):
            return self._total(node)
        if type(node.op) not in _ARITHMETIC:
            raise self._unknown(node)
        sides = self._expression(node.left), self._expression(node.right)
        return Arithmetic(_ARITHMETIC[type(node.op)], *sides)

    def _total(self, node: ast.expr) -> Term:
        """Return a sum of any length, whose syntax tree is as deep as the sum is long."""
        terms: list[tuple[int, Term]] = []
        while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            sign = 1 if isinstance(node.op, ast.Add) else -1
            terms.append((sign, self._expression(node.right)))
            node = node.left
        return Total((*((1, self._expression(node)),), *reversed(terms)))

    def _comparison(self, node: ast.Compare) -> Term:
        steps: list[Term] = []
        left = self._expression(node.left)
        for op, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, ast.In | ast.NotIn):
                among = self._among(left, right)
                steps.append(among if isinstance(op, ast.In) else Not(among))
                if len(node.ops) > 1:
                    raise self._unknown(node)
                continue
            if type(op) not in _COMPARE:
                raise self._unknown(node)
            after = self._expression(right)
            steps.append(Comparison(_COMPARE[type(op)], left, after))
            left = after
        return steps[0] if len(steps) == 1 else Logic(True, tuple(steps))

    def _among(self, left: Term, node: ast.expr) -> Term:
        if not isinstance(node, ast.Tuple | ast.List | ast.Set):
            raise self.fault(f'"in {ast.unparse(node)[:60]}"', "write a list: in [1, 2]")
        members = (self._expression(item) for item in node.elts)
        return Logic(False, tuple(Comparison(operator.eq, left, member) for member in members))

    def _call(self, node: ast.Call) -> Term:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if node.keywords or name not in {**_CALLS, **_AGGREGATES}:
            raise self._unknown(node)
        if name in _AGGREGATES:
            return self._aggregate(name, node)
        function, most = _CALLS[name]
        if not 1 <= len(node.args) <= most:
            raise self.fault(f"{name} has {len(node.args)} arguments", f"give it 1 to {most}")
        return Call(function, tuple(map(self._expression, node.args)))

    def _aggregate(self, name: str, node: ast.Call) -> Term:
        terms: list[Term] = []
        is_single = len(node.args) == 1
        for argument in node.args:
            width = self._width(argument) if self._entry is None else None
            if width is None:
                terms.append(self._expression(argument))
                continue
            is_single = False
            for self._entry in range(width):
                terms.append(self._expression(argument))
            self._entry = None
        if not node.args or is_single:
            raise self.fault(
                f"{name} has {len(node.args)} arguments",
                f"give it several, a list, or all entries of a stack: {name}(layers[*].units)",
            )
        return _AGGREGATES[name](tuple(terms))

    def _width(self, node: ast.expr) -> int | None:
        """Return the number of entries of an argument, `None` for a single value."""
        lists = list(_lists(node))
        widths = {len(part.elts) for part in lists}
        stars = self._found.entries(list(_references(node)))
        if stars is not None:
            widths.add(stars)
        if len(widths) > 1 or widths == {0}:
            raise self.fault(
                f'"{self._found.written(node)[:60]}" joins {sorted(widths)} entries',
                "give lists of one length, as long as there are entries",
            )
        return widths.pop() if widths else None


def _has_truth(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in ("any", "all")
    return not isinstance(node, ast.BinOp | ast.Tuple | ast.List)


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the parts of an expression with one value per entry."""
    yield node
    match node:
        case ast.Name() | ast.Attribute() | ast.Subscript() | ast.List() | ast.Tuple():
            return
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            inner: list[ast.expr] = [left]
            is_member = [isinstance(op, ast.In | ast.NotIn) for op in ops]
            inner += [c for c, is_in in zip(comparators, is_member, strict=True) if not is_in]
        case _:
            inner = [n for n in ast.iter_child_nodes(node) if isinstance(n, ast.expr)]
    for part in inner:
        yield from _parts(part)


def _lists(node: ast.expr) -> Iterator[ast.List | ast.Tuple]:
    return (n for n in _parts(node) if isinstance(n, ast.List | ast.Tuple))


def _references(node: ast.expr) -> Iterator[ast.expr]:
    kinds = ast.Name | ast.Attribute | ast.Subscript
    return (n for n in _parts(node) if isinstance(n, kinds))
