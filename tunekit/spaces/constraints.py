"""Compiles constraints, expressions over parameters, from a whitelisted syntax tree.

A constraint is text (`"batch * steps <= 4096"`), so that a space remains data. It is parsed once
into terms of bounded size and depth; nothing ever reaches `eval`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tunekit.spaces.expressions import Scope
from tunekit.spaces.propagate import Contradiction, NarrowBox, require
from tunekit.spaces.terms import LACKS, Box, Term


@dataclass(frozen=True, slots=True)
class Constraint:
    """An expression that a point must satisfy.

    Names are dotted paths (`model.svm.C`, `layers[0].units`). A name that is not a Python
    identifier is written `params["my name"]`, a branch with one `model["a|b"].C`. Allowed are
    comparisons (also chained), `and`, `or`, `not`, arithmetic, `in` a literal list,
    `x if c else y`, and the functions abs, exp, log, log2, max, min, sqrt.

    `[*]` stands for every entry: `layers[*].units` are the units of all layers, in order.
    `sum`, `max`, `min`, `count`, `any` and `all` make one value of them, also of expressions on
    them, entry by entry, and of lists: `sum([4096, 512, 10] * layers[*].bits) <= 40000`,
    `count(layers[*].bits == 8) <= 2`. `count` counts what is true, or active where it is no
    truth value.

    What is inactive counts nothing: not in a sum (`a + b + c` too), nor for `min`, `max` and
    `count`. Any other term on something inactive has no value, and a comparison without one is
    neither true nor false: `and` and `or` are then decided by their other terms, if these can,
    and a constraint that is not false holds.

    Attributes:
        text: the expression as written.
        names: name as written -> dotted path of the parameter.
        prefix: of the paths of the space that it stands in.
        term: its compiled form.
    """

    text: str
    names: Mapping[str, str] = field(hash=False)
    prefix: str
    term: Term = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str, *, prefix: str, paths: Iterable[str]) -> Constraint:
        """Return the constraint whose names are paths, or unique short names, under `prefix`.

        So a space means the same alone and as a branch of another one. A constraint between
        two branches belongs to the space that holds both.

        Raises:
            InvalidSpace: no Python expression, a construct outside the whitelist, or a name
                that no parameter (or more than one) has.
        """
        scope = Scope(text, prefix, tuple(paths))
        term = scope.compile()
        if not scope.names:
            raise scope.fault("it names no parameter", "name at least one, or remove it")
        return cls(text, scope.names, prefix, term)

    def holds(self, params: Mapping[str, Any]) -> bool:
        """Return whether a point satisfies the constraint.

        It does not hold if it cannot be computed (a division by zero, the logarithm of a
        negative number, `"a" < 1`, an overflow).
        """
        try:
            value = self.term.value(params)
            return value is LACKS or bool(value)
        except (ArithmeticError, ValueError, TypeError):
            return False

    def is_possible(self, box: Box) -> bool:
        """Return whether it can still hold given the open parameters; `False` is always right."""
        found = self.term.range(box)
        return found.may_lack or found.can_be_true

    def narrow(self, box: NarrowBox) -> None:
        """Narrow the open parameters to values with which it can hold.

        Raises:
            Contradiction: it can no longer hold.
        """
        found = self.term.range(box)
        if not (found.may_lack or found.can_be_true):
            raise Contradiction
        if found.can_be_false:
            require(self.term, box, truth=True)

    def __reduce__(self) -> tuple[Callable[..., Constraint], tuple[str, str, tuple[str, ...]]]:
        return _rebuilt, (self.text, self.prefix, tuple(self.names.values()))


def _rebuilt(text: str, prefix: str, paths: tuple[str, ...]) -> Constraint:
    return Constraint.parse(text, prefix=prefix, paths=dict.fromkeys(paths))
