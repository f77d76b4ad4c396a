"""Waits for what a server does in the background."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tunekit_integrations.dbms.records import TargetFailure

T = TypeVar("T")

EVERY_S = 0.02


def wait_until(is_so: Callable[[], bool], *, within_s: float, every_s: float = EVERY_S) -> bool:
    """Ask until the answer is yes; return whether that came in time.

    Args:
        is_so: asked at least once; what it raises ends the wait.
        within_s: seconds after which no further question follows.
        every_s: seconds between two questions.
    """
    until = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > until:
            return False
        time.sleep(every_s)
    return True


def retry(
    act: Callable[[], T],
    *,
    within_s: float,
    every_s: float = EVERY_S,
    may_pass: Callable[[TargetFailure], bool] = lambda failure: True,
) -> T:
    """Return what `act` returns, and repeat it after failures that may pass.

    Args:
        act: tried at least once.
        within_s: seconds after which a failure is the last one.
        every_s: seconds between two tries.
        may_pass: says of a failure whether to try again.

    Raises:
        TargetFailure: the last failure.
    """
    until = time.monotonic() + within_s
    while True:
        try:
            return act()
        except TargetFailure as failure:
            if not may_pass(failure) or time.monotonic() > until:
                raise
        time.sleep(every_s)
