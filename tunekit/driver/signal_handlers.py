"""Sets signal handlers for this process only; forked children get the previous ones.

A child that is forked while a handler of ours is set would inherit it. A worker of a
multiprocessing pool then counts the SIGTERM that should end it as an interrupt of a run, and
whoever waits for the worker waits forever.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], None]

_before: dict[int, Any] = {}
"""The previous handler of each signal, while ours is set."""
_fork = threading.local()


@contextmanager
def handled(numbers: tuple[signal.Signals, ...], handler: Handler) -> Iterator[None]:
    """Handle signals inside the block; do nothing outside the main thread.

    Blocks may be nested; a forked child gets the handlers from before the outermost one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    outer = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        _before.setdefault(number, outer[number])
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, earlier in outer.items():
            signal.signal(number, earlier)
            if _before.get(number) is earlier:
                del _before[number]


def _hold() -> None:
    """Block the signals, because the child has our handlers between the fork and `_restore`."""
    _fork.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _before) if _before else None


def _release() -> None:
    mask = getattr(_fork, "mask", None)
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _restore() -> None:
    for number, earlier in _before.items():
        signal.signal(number, earlier)
    _before.clear()
    _release()


os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_restore)
