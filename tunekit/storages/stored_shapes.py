"""Validates the form of stored JSON on reading, because a database may be damaged.

The checks run for every trial that is read, so they examine only types.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tunekit.errors import StorageError, TunekitError


def damaged(what: str) -> StorageError:
    """Return the error for stored data that this library cannot have written."""
    return StorageError(
        f"{what}: another program has changed the database; restore it from a backup."
    )


@contextmanager
def shaped_as_written(what: str) -> Iterator[None]:
    """Convert errors of reading a stored value to a `StorageError`.

    Raises:
        StorageError: the value is malformed.
    """
    try:
        yield
    except StorageError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError, TunekitError):
        raise damaged(f"{what} is stored in a form that this library does not write") from None


def check_trial(params: Any, proposal: Any, outcome: Any, attrs: Any) -> None:
    """Check the form of a stored trial's parts.

    Raises:
        TypeError: a part is malformed.
    """
    for part in (params, proposal, outcome, attrs):
        if part is not None and type(part) is not dict:
            raise TypeError(part)
    if params and not all(is_scalar(v) for v in params.values()):
        raise TypeError(params)
    if proposal:
        _texts(proposal, ("sampler", "reason"))
        _mappings(proposal, ("evidence",))
        if not _is_whole(proposal.get("seen", 0)) or not _is_whole(
            proposal.get("space_version", 1)
        ):
            raise TypeError(proposal)
        batch = proposal.get("batch", [])
        if type(batch) is not list or not all(map(_is_whole, batch)):
            raise TypeError(batch)
    if outcome:
        _texts(outcome, ("reason", "error"))
        _mappings(outcome, ("evidence", "domains"))
        if not is_metrics(outcome.get("metrics", {})):
            raise TypeError(outcome)


def check_spec(spec: Any) -> None:
    """Check the form of a study's stored settings.

    Raises:
        TypeError: they are malformed.
        KeyError: a part is missing.
    """
    _texts(spec, ("sampler", "stopper"))
    _mappings(spec, ("sampler_options", "stopper_options"))
    audit = spec.get("audit", 0.0)
    is_whole = _is_whole(spec["seed"]) and _is_whole(spec.get("max_retries", 0))
    if not is_whole or not _is_number(audit) or not 0 <= audit <= 1 or not spec["objectives"]:
        raise TypeError(spec)
    for metric, direction in spec["objectives"]:
        if type(metric) is not str or type(direction) is not str:
            raise TypeError(metric)
    for metric, op, bound in spec["constraints"]:
        if type(metric) is not str or op not in ("<=", ">=") or not _is_number(bound):
            raise TypeError(metric)


def is_metrics(value: Any) -> bool:
    """Return whether a stored value is a mapping of names to numbers."""
    return type(value) is dict and all(map(_is_number, value.values()))


def whole_numbers(value: Any, n: int) -> list[int]:
    """Return a stored list of `n` whole numbers.

    Raises:
        TypeError: `value` is anything else.
    """
    if type(value) is not list or len(value) != n or not all(map(_is_whole, value)):
        raise TypeError(value)
    return value


def _texts(part: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    for key in keys:
        if type(part.get(key, "")) is not str:
            raise TypeError(key)


def _mappings(part: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    for key in keys:
        if type(part.get(key, {})) is not dict:
            raise TypeError(key)


def _is_number(value: Any) -> bool:
    return type(value) is float or type(value) is int


def _is_whole(value: Any) -> bool:
    return type(value) is int


def is_scalar(value: Any) -> bool:
    """Return whether a value can be that of a parameter."""
    return value is None or type(value) in (float, int, str, bool)
