"""Describes a space in words, as an outline that a person or a language model can read."""

from __future__ import annotations

from collections.abc import Iterator

from tunekit.spaces.constant import Constant
from tunekit.spaces.domains import Domain, Float, Int
from tunekit.spaces.parameters import Parameter
from tunekit.spaces.tree import Categorical, Space

MAX_CHOICES = 40
"""Choices that are listed; the number of the others is said."""


def describe(space: Space) -> str:
    """Return one line a parameter: path, values, scale, default and when it is active.

    The constraints follow at the end.
    """
    return "\n".join(_lines(space))


def _lines(space: Space) -> Iterator[str]:
    for parameter in space:
        yield f"{'  ' * parameter.depth}- {parameter.path}: {_said(parameter)}"
    for text in dict.fromkeys(c.text for c in space.compiled_constraints):
        yield f"constraint: {text}"


def _said(parameter: Parameter) -> str:
    domain = parameter.domain
    if isinstance(domain, Constant):
        parts = [f"always {domain.value!r}"]
    else:
        parts = [*_values(domain), f"default {domain.default_value()!r}"]
    if parameter.conditions:
        parts.append(f"only if {parameter.requirement()}")
    return "; ".join(parts)


def _values(domain: Domain) -> Iterator[str]:
    if isinstance(domain, Categorical):
        listed = ", ".join(repr(c) for c in domain.choices[:MAX_CHOICES])
        more = len(domain.choices) - MAX_CHOICES
        order = "one, in this order, of" if domain.ordered else "one of"
        yield f"{order} {listed}{f' and {more} others' if more > 0 else ''}"
        return
    assert isinstance(domain, Float | Int)
    kind = "whole number" if isinstance(domain, Int) else "number"
    yield f"{kind} from {domain.lo!r} to {domain.hi!r}"
    if domain.log:
        yield "on a logarithmic scale"
    if domain.step is not None:
        yield f"in steps of {domain.step!r}"
    if domain.special:
        yield f"or one of the special values {', '.join(map(repr, domain.special))}"
    if domain.has_target:
        yield "the fidelity, set by the study"
