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

from threadpoolctl import ThreadpoolController


class _Libraries:
    """The numeric libraries of this process.

    A BLAS library has one number of threads for the whole process: of two threads that limit it
    and overlap, the later would take the limit for the number to restore. So they take turns.
    """

    def __init__(self) -> None:
        self.turn = threading.RLock()
        self._controller: ThreadpoolController | None = None
        self._n_modules = 0

    def controller(self) -> ThreadpoolController:
        """Return what controls them; a scan takes milliseconds, and an import may bring more."""
        if self._controller is None or self._n_modules != len(sys.modules):
            self._controller = ThreadpoolController()
            self._n_modules = len(sys.modules)
        return self._controller


_libraries = _Libraries()


def _forget() -> None:
    """In a forked child no other thread is left that could end its turn."""
    global _libraries
    _libraries = _Libraries()


os.register_at_fork(after_in_child=_forget)


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep BLAS and OpenMP libraries of this process to one thread, and restore them after.

    May be nested. Other threads that want the same wait. Libraries that the block itself loads
    are limited from the next (also a nested) block on.
    """
    libraries = _libraries
    with libraries.turn:
        found = [(lib, lib.num_threads) for lib in libraries.controller().lib_controllers]
        limited = [(lib, n) for lib, n in found if n not in (None, 1)]
        for lib, _ in limited:
            lib.set_num_threads(1)
        try:
            yield
        finally:
            for lib, n in limited:
                lib.set_num_threads(n)
