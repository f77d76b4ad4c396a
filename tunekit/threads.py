"""Limits numeric libraries to one thread during a suggestion.

A suggestion works on small matrices, for which several threads only wait for each other; on a
machine whose cores run trials, they wait for those as well.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from threadpoolctl import ThreadpoolController


class _Libraries:
    """The numeric libraries that this process has loaded."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._controller: ThreadpoolController | None = None
        self._n_modules = 0

    def limit(self) -> AbstractContextManager[object]:
        """Limit all to one thread; return the context, entered, whose end restores them."""
        with self.lock:
            if self._controller is None or self._n_modules != len(sys.modules):
                # The scan takes milliseconds, and only an import brings another library.
                self._controller = ThreadpoolController()
                self._n_modules = len(sys.modules)
            found = [lib.num_threads for lib in self._controller.lib_controllers]
            if all(n in (None, 1) for n in found):
                return nullcontext()
            limited: AbstractContextManager[object] = self._controller.limit(limits=1)
            limited.__enter__()
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

    Blocks may be nested. Where blocks of two threads overlap, the first one limits the libraries
    that have one number for the whole process; if it ends earlier, the rest of the second runs
    without a limit. Libraries that the block itself loads are limited from the next (also a
    nested) block on.
    """
    libraries = _libraries
    limited = libraries.limit()
    try:
        yield
    finally:
        with libraries.lock:
            limited.__exit__(None, None, None)
