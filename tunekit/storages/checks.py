"""Validates the input of every storage before anything is written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tunekit.checks import check_text, is_whole, shown
from tunekit.errors import (
    InvalidArgument,
    StudyExists,
    TrialConflict,
    UnknownStudy,
    UnknownTrial,
    did_you_mean,
)
from tunekit.records import Report, StudySpec, TrialRecord, TrialState
from tunekit.storages.base import (
    ExchangeRequest,
    Pause,
    Release,
    Renew,
    Reports,
    Saved,
    Start,
    Tell,
)

STEPS = range(-(2**63), 2**63)
"""Steps that a database can hold."""


def check_spec(spec: StudySpec) -> None:
    """Check that a spec can be stored.

    Raises:
        InvalidArgument: its name, objectives or number of retries is invalid.
    """
    check_text(spec.name, "study name")
    if not spec.objectives:
        raise InvalidArgument(
            f'study "{spec.name}": no objective, expected one or more; add one such as '
            f'{{"loss": "minimize"}}.'
        )
    if spec.max_retries < 0:
        raise InvalidArgument(
            f'study "{spec.name}": max_retries={spec.max_retries!r}, expected 0 or more.'
        )


def check_key(key: str | None) -> None:
    """Check that a database can store the key of a request.

    Raises:
        InvalidArgument: it cannot.
    """
    if key is not None:
        check_text(key, "request key")


def check_exchange(request: ExchangeRequest) -> None:
    """Check an exchange before any part of it is applied.

    Raises:
        InvalidArgument: the input fails the check.
    """
    check_text(request.worker, "worker")
    if not 0 < request.lease_s < math.inf:
        raise InvalidArgument(
            f"lease_s={request.lease_s!r}, expected seconds above 0, such as 60."
        )
    for op in request.operations:
        _check_operation(op)
    if request.after is not None:
        check_64_bit(request.after, "after")
    claim = request.claim
    if claim is not None:
        check_text(claim.key, "claim key")
        if claim.n < 0:
            raise InvalidArgument(f"claim of {claim.n!r} trials, expected 0 or more.")
        check_64_bit(claim.n, "claim")
        check_64_bit(claim.max_trials, "max_trials", optional=True)


def _check_operation(op: object) -> None:
    if isinstance(op, Tell):
        _check_tell(op)
    elif isinstance(op, Reports):
        _check_steps(op.number, "report", [r.step for r in op.reports])
    elif isinstance(op, Saved):
        _check_steps(op.number, "checkpoint", [c.step for c in op.checkpoints])
    elif isinstance(op, Pause):
        _check_pause(op)
    elif isinstance(op, Start):
        check_64_bit(op.seen, f"trial {op.number}: seen")
        check_64_bit(op.space_version, f"trial {op.number}: space_version")
    elif not isinstance(op, Renew | Release):
        raise InvalidArgument(
            f"operation {op!r}: expected a Start, Reports, Renew, Saved, Release, Pause or Tell."
        )
    check_64_bit(op.number, "trial number")
    check_64_bit(op.epoch, f"trial {op.number}: epoch")


def check_64_bit(value: object, name: str, *, optional: bool = False) -> None:
    """Check that a database can compare a value with its whole numbers.

    Raises:
        InvalidArgument: it cannot.
    """
    if type(value) is int and is_64_bit(value):  # the common case
        return
    is_missing = value is None and optional
    if not is_missing and not (is_whole(value) and is_64_bit(value)):
        raise InvalidArgument(f"{name}={shown(value)}, expected a 64-bit integer.")


def check_page(after: int, limit: int | None) -> None:
    """Check the cursor and the size of a page.

    Raises:
        InvalidArgument: one of them is not a whole number that a database can hold.
    """
    check_64_bit(after, "after")
    check_64_bit(limit, "limit", optional=True)


def is_64_bit(value: int) -> bool:
    """Return whether a database can hold a whole number."""
    return STEPS.start <= value < STEPS.stop  # `in` counts up to a subclass of int


def _check_tell(op: Tell) -> None:
    check_text(op.key, "tell key")
    if not op.outcome.state.is_finished:
        raise InvalidArgument(
            f'trial {op.number}: told with state "{op.outcome.state}", expected a final state; '
            "use Release to return the trial to the queue."
        )


def _check_pause(op: Pause) -> None:
    if op.outcome.state is not TrialState.PAUSED:
        raise InvalidArgument(
            f'trial {op.number}: paused with state "{op.outcome.state}", expected "paused"; use '
            "Tell to end it."
        )


def _check_steps(number: int, what: str, steps: Sequence[object]) -> None:
    for step in steps:
        if not is_whole(step):
            raise InvalidArgument(
                f"trial {number}: {what} with step {step!r}, expected a whole number."
            )
        if not is_64_bit(step):
            raise InvalidArgument(
                f"trial {number}: {what} with step {step!r}, expected a 64-bit integer."
            )


def check_points(points: Sequence[Mapping[str, Any]]) -> None:
    """Check that enqueued points are mappings of name to value.

    Raises:
        InvalidArgument: the input fails the check.
    """
    for point in points:
        if not isinstance(point, Mapping) or not all(isinstance(k, str) for k in point):
            raise InvalidArgument(
                f"enqueued point {_short(point)}, expected a mapping of parameter name to value."
            )
        for name, value in point.items():
            if isinstance(value, Mapping | list | tuple | set):
                raise InvalidArgument(
                    f'enqueued point: parameter "{name}" is {_short(value)}, expected a number, a '
                    "text, true, false or null."
                )


def check_added(trials: Sequence[TrialRecord], reports: Mapping[int, Sequence[Report]]) -> None:
    """Check that added trials have a state a worker can leave behind and can be stored.

    Raises:
        InvalidArgument: the input fails the check.
    """
    for t in trials:
        if not t.state.is_finished and t.state is not TrialState.WAITING:
            raise InvalidArgument(
                f'trial {t.number}: added with state "{t.state}", expected a final state or '
                '"waiting"; a trial still running elsewhere cannot be added.'
            )
        if t.state is TrialState.COMPLETE and t.params is None:
            raise InvalidArgument(
                f"trial {t.number}: added as complete without params; give its params."
            )
        _check_steps(t.number, "report", [r.step for r in reports.get(t.number, ())])


def study_exists(name: str) -> StudyExists:
    """Return the error for a name already in use."""
    return StudyExists(
        f'a study named "{name}" exists in this storage; load it, delete it or choose another '
        "name."
    )


def unknown_study(name: str, known: Sequence[str], where: str) -> UnknownStudy:
    """Return the error for an unknown study, with the closest name and where it was looked for."""
    hint = did_you_mean(name, known)
    there = f"there are {len(known)} studies" if len(known) != 1 else "there is 1 study"
    return UnknownStudy(
        f'no study named "{name}"{hint}: {there} in {where}; list them with `tunekit studies ls`.'
    )


def deleted_study(study_id: int) -> UnknownStudy:
    """Return the error for a study deleted while in use."""
    return UnknownStudy(
        f"the study with id {study_id} does not exist: it was deleted; stop its workers, or "
        "create it again."
    )


def unknown_trial(number: int, n_trials: int) -> UnknownTrial:
    """Return the error for a trial number that was never assigned."""
    span = f"numbers from 0 to {n_trials - 1}" if n_trials else "no trials yet"
    return UnknownTrial(f"no trial {number} in this study, which has {span}.")


def space_conflict(expected: int, current: int) -> TrialConflict:
    """Return the error for a change of an outdated version of a space."""
    return TrialConflict(
        f"the space is at version {current}, expected version {expected}: another process has "
        "changed it; read it again and repeat the change."
    )


def goal_conflict(expected: int, current: int) -> TrialConflict:
    """Return the error for new objectives of a study that has changed in the meantime."""
    return TrialConflict(
        f"the study is at event {current}, expected event {expected}: a trial may have ended; "
        "read "
        "it again and repeat the change."
    )


def promoted_reason(reason: str) -> str:
    """Return the reason that a promoted trial shows until it ends."""
    return f"promoted: {reason}" if reason else "promoted"


def preempted_reason(reason: str) -> str:
    """Return the reason that a pre-empted trial shows until it ends."""
    return f"pre-empted: {reason}" if reason else "pre-empted"


def lost_reason(lapses: int) -> str:
    """Return the end reason of a LOST trial."""
    times = "once" if lapses == 1 else f"{lapses} times"
    return f"its worker vanished {times}, more often than max_retries allows"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
