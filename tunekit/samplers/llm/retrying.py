"""Asks again where that can help, within a time."""

from __future__ import annotations

import time
from collections.abc import Callable

from tunekit.samplers.llm.backends import Answer, NoAnswer

LONGEST_WAIT_S = 30.0
"""Longest Retry-After that is waited for."""

FIRST_WAIT_S = 0.5
"""Wait before the second attempt where the endpoint names none; it doubles with each attempt."""


def answered(
    ask: Callable[[], Answer],
    *,
    deadline: float,
    retries: int,
    failed: Callable[[NoAnswer], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Answer:
    """Return an answer, trying again where that can help.

    Args:
        ask: makes one attempt.
        deadline: time of `time.monotonic` after which no attempt begins.
        retries: attempts after the first.
        failed: called with each failure, which may have a price.
        sleep: waits for seconds.

    Raises:
        NoAnswer: the last attempt failed, or the time is over.
    """
    for attempt in range(retries + 1):
        try:
            return ask()
        except NoAnswer as none:
            failed(none)
            wait_s = none.retry_after_s
            wait_s = FIRST_WAIT_S * 2**attempt if wait_s is None else wait_s
            in_time = wait_s <= min(LONGEST_WAIT_S, deadline - time.monotonic())
            if attempt == retries or not none.may_retry or not in_time:
                raise
            sleep(wait_s)
    raise AssertionError("the last attempt returns or raises")
