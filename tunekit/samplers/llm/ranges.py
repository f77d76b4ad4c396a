"""Reads the ranges in which a model expects good values, and turns them into beliefs.

A range is data from outside like a point: it is taken as it stands or refused with a sentence.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from tunekit.checks import is_number, shown
from tunekit.errors import InvalidParams, TunekitError
from tunekit.samplers.llm.values import MAX_DEPTH, read_value
from tunekit.spaces import Categorical, Float, Int, Scalar, Space

Range: TypeAlias = Mapping[str, int | float] | Sequence[Scalar]
"""Ends of a number, `{"lower": 1e-4, "upper": 1e-2}`, or a list of choices; plain JSON."""

Ranges: TypeAlias = Mapping[str, Range]
"""Path -> range."""

MAX_RANGES = 200
MAX_SENTENCES = 10

WIDTHS = 2 * 1.645
"""Standard deviations of a belief that its range spans: it holds 90 % of a normal."""

LEAST_SHARE = 0.05
"""Smallest standard deviation of a belief, as a share of the parameter's own range."""


def read_ranges(given: object, space: Space) -> tuple[dict[str, Range], list[str]]:
    """Return the ranges of a reply that fit the space, and what was wrong with others.

    A range that leaves nothing out is dropped, because it says nothing. Never raises.

    Args:
        given: `ranges` of the reply; `None` for none.
        space: of the study.
    """
    if given is None:
        return {}, []
    if not isinstance(given, Mapping):
        return {}, [f"ranges: got {shown(given)}, expected an object path -> range."]
    found: dict[str, Range] = {}
    refused: list[str] = []
    try:
        for name, value in list(_flat(given, space))[:MAX_RANGES]:
            try:
                path = space.resolve(name)
                read = _range(value, space, path)
            except TunekitError as error:
                refused.append(f"ranges: {error.message}"[:500])
                continue
            if read is not None:
                found[path] = read
    except TunekitError as error:  # of the whole
        refused.append(f"ranges: {error.message}")
    return found, refused[:MAX_SENTENCES]


def _flat(
    given: Mapping[str, Any], space: Space, prefix: str = "", depth: int = 0
) -> Iterator[tuple[str, object]]:
    """Yield (dotted path, range), whether the object is flat or nested."""
    if depth > MAX_DEPTH:
        raise TunekitError(f"they are nested deeper than {MAX_DEPTH} levels.")
    for name, value in given.items():
        path = f"{prefix}{name}"
        has_ends = isinstance(value, Mapping) and not {"lower", "upper"}.isdisjoint(value)
        if isinstance(value, Mapping) and not has_ends:
            yield from _flat(value, space, f"{path}.", depth + 1)
        else:
            yield path, value


def _range(value: object, space: Space, path: str) -> Range | None:
    """Return a range in canonical form, `None` if it leaves nothing out.

    Raises:
        InvalidParams: it does not fit the parameter.
    """
    domain = space.by_path[path].domain
    if isinstance(domain, Categorical):
        return _choices(value, domain, path)
    if not isinstance(domain, Float | Int):
        raise InvalidParams(f'parameter "{path}" has one value only, expected no range of it.')
    if isinstance(value, Mapping) and set(value) == {"lower", "upper"}:
        ends = [value["lower"], value["upper"]]
    elif isinstance(value, list) and len(value) == 2:
        ends = value
    else:
        raise InvalidParams(
            f'parameter "{path}": got the range {shown(value)}, expected '
            '{"lower": number, "upper": number}.'
        )
    low, high = (_end(end, space, path) for end in ends)
    if low > high:
        raise InvalidParams(
            f'parameter "{path}": the lower end {low!r} lies above the upper {high!r}.'
        )
    if (low, high) == (domain.lo, domain.hi):
        return None
    return {"lower": low, "upper": high}


def _end(value: object, space: Space, path: str) -> int | float:
    """Return an end of a range; it need not lie on the parameter's grid."""
    number, domain = read_value(value, space, path), space.by_path[path].domain
    assert isinstance(domain, Float | Int)
    if not is_number(number) or not domain.lo <= number <= domain.hi:  # NaN is neither
        raise InvalidParams(
            f'parameter "{path}": got an end at {shown(value)}, expected a number in '
            f"[{domain.lo!r}, {domain.hi!r}]."
        )
    return number


def _choices(value: object, domain: Categorical, path: str) -> Range | None:
    """Return the choices that a list names."""
    if not isinstance(value, list) or not value:
        raise InvalidParams(
            f'parameter "{path}": got {shown(value)}, expected a list of good choices.'
        )
    named = {domain.index(domain.validate(v, path)) for v in value[: len(domain.choices) + 1]}
    return (
        None if len(named) == len(domain.choices) else [domain.choices[i] for i in sorted(named)]
    )


def belief(given: Range, space: Space, path: str) -> dict[str, Any]:
    """Return a range as a belief of `tunekit.samplers.bayesian.priors.UserPriors`.

    A number is normal, or log-normal on a log scale, with 90 % between the ends. The ends may lie
    together: a belief is never narrower than a twentieth of the parameter's range.

    Args:
        given: a range that fits the parameter.
        space: of the study.
        path: of the parameter.
    """
    domain = space.by_path[path].domain
    if not isinstance(given, Mapping):
        return {"weights": {json.dumps(choice): 1.0 for choice in given}}
    assert isinstance(domain, Float | Int)
    ends, whole = [given["lower"], given["upper"]], [domain.lo, domain.hi]
    if domain.log:
        (low, high), (first, last) = map(math.log, ends), map(math.log, whole)
    else:
        (low, high), (first, last) = ends, whole
    sd = max((high - low) / WIDTHS, LEAST_SHARE * (last - first))
    middle = (low + high) / 2
    if domain.log:  # rounding may have left the range
        return {"lognormal": [min(max(math.exp(middle), domain.lo), domain.hi), sd]}
    return {"normal": [middle, sd]}
