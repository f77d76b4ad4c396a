"""Handles Ctrl-C in three steps: the first drains, the second stops trials, the third exits."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType

from tunekit.driver.signal_handlers import handled

WORDS = {
    1: "interrupted: finishing the running trials; Ctrl-C again stops them",
    2: "interrupted again: stopping the running trials, they will run again on resume",
}


class Interrupts:
    """Counts SIGINT within its context; SIGTERM counts as two (stop the trials, save, leave).

    Args:
        say: shows a sentence.
        sigterm_drains: SIGTERM counts as one, so that the first finishes the running trials.
        grace_s: seconds after the first interrupt when the second comes by itself.

    Attributes:
        breakable: set while the objective runs in this thread; the second interrupt then raises
            `KeyboardInterrupt` inside it, because nothing else could end it.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        sigterm_drains: bool = False,
        grace_s: float = math.inf,
    ) -> None:
        self.breakable = False
        self._count = 0
        self._until = math.inf
        self._say = say
        self._sigterm_counts = 1 if sigterm_drains else 2
        self._grace_s = grace_s
        self._handlers = ExitStack()

    def __enter__(self) -> Interrupts:
        numbers = (signal.SIGINT, signal.SIGTERM)
        self._handlers.enter_context(handled(numbers, self._handle))
        return self

    def __exit__(self, *exc: object) -> None:
        self._handlers.close()

    @property
    def count(self) -> int:
        """Return the number of interrupts."""
        if self._count == 1 and time.monotonic() >= self._until:
            self.raise_to(2)
        return self._count

    def raise_to(self, count: int) -> None:
        """Act as after `count` interrupts: 1 finishes the running trials, 2 stops them."""
        if count > self._count:
            self._count = count
            self._until = time.monotonic() + self._grace_s

    def _handle(self, number: int, frame: FrameType | None) -> None:
        least = self._sigterm_counts if number == signal.SIGTERM else 1
        self.raise_to(max(least, self.count + 1))
        if self._count > 2:
            raise KeyboardInterrupt
        self._say(WORDS[self._count])
        if self._count == 2 and self.breakable:
            raise KeyboardInterrupt
