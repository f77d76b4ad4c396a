"""Limits numeric libraries to one thread during a suggestion.

A suggestion works on small matrices, for which several threads only wait for each other; on a
machine whose cores run trials, they wait for those as well.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from threadpoolctl import ThreadpoolController


class _Libraries:
    """The numeric libraries that this process has loaded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._controller: ThreadpoolController | None = None
        self._n_modules = 0

    def limit(self) -> list[tuple[Any, int]]:
        """Limit all libraries to one thread; return those to restore, with their numbers.

        Some libraries have one number for the process, others one for each thread. Of two
        overlapping threads the second finds a number of the process at 1 and leaves it to the
        first; if the first ends earlier, the rest of the second runs without this limit.
        """
        with self._lock:
            if self._controller is None or self._n_modules != len(sys.modules):
                # The scan takes milliseconds, and only an import brings another library.
                self._controller = ThreadpoolController()
                self._n_modules = len(sys.modules)
            found = [(lib, lib.num_threads) for lib in self._controller.lib_controllers]
        limited = [(lib, n) for lib, n in found if n not in (None, 1)]
        for lib, _ in limited:
            lib.set_num_threads(1)
        return limited


_libraries = _Libraries()


def _forget() -> None:
    """In a forked child no other thread is left that could release the lock."""
    global _libraries
    _libraries = _Libraries()


os.register_at_fork(after_in_child=_forget)


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep BLAS and OpenMP libraries of this process to one thread, and restore them after.

    Blocks may be nested, and overlap in several threads. Libraries that the block itself loads
    are limited from the next (also a nested) block on.
    """
    limited = _libraries.limit()
    try:
        yield
    finally:
        for lib, n in limited:
            lib.set_num_threads(n)
