"""Waiting for a server: how often it is asked, and which failures end the wait."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tunekit_integrations.dbms.records import FailureKind, TargetFailure
from tunekit_integrations.dbms.waiting import retry, wait_until


def test_a_wait_ends_with_the_first_yes() -> None:
    answers = iter([False, False, True])
    assert wait_until(lambda: next(answers), within_s=600.0, every_s=0.0)
    assert list(answers) == []


def test_a_wait_without_time_asks_and_says_that_it_was_late() -> None:
    asked: list[int] = []
    assert not wait_until(lambda: bool(asked.append(1)), within_s=-1.0)
    assert asked == [1]


def test_what_a_question_raises_ends_the_wait() -> None:
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: bool(1 / 0), within_s=600.0)


def _failing(*kinds: FailureKind) -> tuple[list[FailureKind], Callable[[], str]]:
    left = list(kinds)

    def act() -> str:
        if left:
            raise TargetFailure(left.pop(0), "no")
        return "done"

    return left, act


def test_a_failure_that_may_pass_is_tried_again() -> None:
    _, act = _failing(FailureKind.TIMEOUT, FailureKind.LOST_CONNECTION)
    assert retry(act, within_s=600.0, every_s=0.0) == "done"


def test_a_failure_that_does_not_pass_is_raised_at_once() -> None:
    left, act = _failing(FailureKind.TIMEOUT, FailureKind.INVALID, FailureKind.TIMEOUT)
    with pytest.raises(TargetFailure) as raised:
        retry(
            act,
            within_s=600.0,
            every_s=0.0,
            may_pass=lambda failure: failure.kind is not FailureKind.INVALID,
        )
    assert raised.value.kind is FailureKind.INVALID
    assert left == [FailureKind.TIMEOUT]


def test_the_last_failure_is_raised_when_the_time_is_up() -> None:
    left, act = _failing(FailureKind.TIMEOUT, FailureKind.INVALID)
    with pytest.raises(TargetFailure) as raised:
        retry(act, within_s=-1.0)
    assert (raised.value.kind, left) == (FailureKind.TIMEOUT, [FailureKind.INVALID])
