"""Converts values that an objective returned or reported to named metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from tunekit.checks import shown
from tunekit.errors import InvalidResult, did_you_mean
from tunekit.records import UNNAMED, MetricConstraint, Metrics, ObjectiveSpec
from tunekit.shown import counted
from tunekit.spaces.domains import Scalar, plain


def checked_metrics(
    result: object, objectives: tuple[ObjectiveSpec, ...], *, is_partial: bool = False
) -> dict[str, float]:
    """Return named metrics of a value that an objective returned or reported.

    A number stands for the only objective, a sequence for all objectives in order, a mapping
    for itself, and one with a single metric also for an objective without a name. NaN and
    infinities pass: they make a trial DIVERGED. Where `is_partial` (in a report), a number
    stands for the first of several, and a mapping may leave objectives out.

    Raises:
        InvalidResult: anything else, or an objective's metric is missing.
    """
    names = [o.metric for o in objectives]
    expected = f"a number or a mapping with {', '.join(map(repr, names))}"
    try:
        pairs = _named(result, names, expected, is_partial=is_partial)
    except InvalidResult:
        raise
    except Exception as error:  # a user class may raise anything
        said = f"{type(result).__name__} that cannot be read ({type(error).__name__})"
        raise InvalidResult(f"got a {said}; return {expected}.") from None
    metrics: dict[str, float] = {}
    for name, value in pairs:
        number = as_number(value)
        if not isinstance(name, str) or number is None:
            raise InvalidResult(f"the metric {shown(name)} is {shown(value)}; return {expected}.")
        metrics[name] = number
    reason = "" if is_partial else missing_reason(metrics, objectives)
    if reason:
        if names == [UNNAMED] and metrics:
            first = next(iter(metrics))
            expected += f', or name your objective: objectives="{first}" (--minimize {first})'
        raise InvalidResult(f"{reason.removesuffix('.')}; return {expected}.")
    return metrics


def as_number(value: object) -> float | None:
    """Return a number of any library, also the only entry of an array, as a float.

    `None` for anything else; an int beyond the range of floats is infinite.
    """
    try:
        try:
            number: Any = plain(value)
        except TypeError:
            number = value if _is_number(value) else _only_entry(value)
        if number is None or isinstance(number, str):
            return None
        try:
            return float(number)
        except OverflowError:
            return math.inf if number > 0 else -math.inf
    except Exception:  # whatever the class of the value raises
        return None


def _is_number(value: object) -> bool:
    if isinstance(value, Real):
        return True
    from decimal import Decimal  # slow to load, and rarely returned

    return isinstance(value, Decimal)


def _only_entry(value: Any) -> Scalar:
    if math.prod(value.shape) != 1:
        raise TypeError(value.shape)
    return plain(value.item())


def _named(
    result: object, names: Sequence[str], expected: str, *, is_partial: bool
) -> list[tuple[object, object]]:
    """Return names and values of a result, unchecked."""
    if result is None and not is_partial:
        raise InvalidResult(f"it is None, as of a function without return; return {expected}.")
    if isinstance(result, Mapping):
        pairs: list[tuple[object, object]] = list(result.items())
        # A single metric names the objective, of a result: a report may be of something else.
        if names == [UNNAMED] and len(pairs) == 1 and not is_partial:
            pairs = [*pairs, (UNNAMED, pairs[0][1])]
    elif isinstance(result, list | tuple):
        if len(result) != len(names):
            raise InvalidResult(
                f"got {counted(len(result), 'value')} for {counted(len(names), 'objective')} "
                f"{names}; return one for each, or declare the objectives that you measure: "
                'tk.study(objectives=["error", "seconds"]).'
            )
        pairs = list(zip(names, result, strict=True))
    else:
        if len(names) > 1 and not is_partial:
            raise InvalidResult(
                f"got {shown(result)} for {len(names)} objectives; return {expected}."
            )
        pairs = [(names[0], result)]
    return pairs


def missing_reason(
    metrics: Metrics,
    objectives: Sequence[ObjectiveSpec],
    constraints: Sequence[MetricConstraint] = (),
) -> str:
    """Return which required metrics a result lacks, an empty text if it has all."""
    missing = [o.metric for o in objectives if o.metric not in metrics]
    if missing:
        hint = did_you_mean(missing[0], metrics)
        return f"the result {dict(metrics)} lacks {missing}{hint}."
    for c in constraints:
        if c.metric not in metrics:
            hint = did_you_mean(c.metric, metrics)
            return (
                f"the result {dict(metrics)} lacks the metric of the constraint {c}{hint}; return "
                f"it as well, as in {{..., {c.metric!r}: 1.0}}, or remove the constraint."
            )
    return ""


def diverged_reason(metrics: Metrics, objectives: tuple[ObjectiveSpec, ...]) -> str:
    """Return why a result counts as DIVERGED, an empty text if it is finite."""
    for o in objectives:
        if not math.isfinite(value := metrics.get(o.metric, 0.0)):
            return f"its result diverged ({o.metric} = {value})"
    return ""
