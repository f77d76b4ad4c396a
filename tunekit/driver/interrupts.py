"""Handles Ctrl-C in three steps: the first drains, the second stops trials, the third exits."""

from __future__ import annotations

import signal
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

    Attributes:
        count: number of interrupts.
        breakable: set while the objective runs in this thread; the second interrupt then raises
            `KeyboardInterrupt` inside it, because nothing else could end it.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.count = 0
        self.breakable = False
        self._say = say
        self._handlers = ExitStack()

    def __enter__(self) -> Interrupts:
        numbers = (signal.SIGINT, signal.SIGTERM)
        self._handlers.enter_context(handled(numbers, self._handle))
        return self

    def __exit__(self, *exc: object) -> None:
        self._handlers.close()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.count = max(2, self.count + 1) if number == signal.SIGTERM else self.count + 1
        if self.count > 2:
            raise KeyboardInterrupt
        self._say(WORDS[self.count])
        if self.count == 2 and self.breakable:
            raise KeyboardInterrupt
