"""Limits numeric libraries to one thread during a suggestion.

A suggestion works on small matrices, where several threads mostly wait for each other and, on a
machine whose cores run trials, for those too.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


class _Libraries:
    """Tracks the numeric libraries loaded in this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._controller: ThreadpoolController | None = None
        self._n_modules = 0

    def limit(self) -> AbstractContextManager[object]:
        """Limit all to one thread; return the entered context, which restores them on exit."""
        if "numpy" not in sys.modules:  # Python reaches the numeric libraries through it
            return nullcontext()
        from threadpoolctl import ThreadpoolController

        with self.lock:
            if self._controller is None or self._n_modules != len(sys.modules):
                # The scan takes milliseconds, and only an import can load another library.
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
    """Reset in a forked child, where no other thread is left to release the lock."""
    global _libraries
    _libraries = _Libraries()


os.register_at_fork(after_in_child=_forget)


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit BLAS and OpenMP libraries of this process to one thread inside a `with` block.

    Blocks may be nested. If blocks of two threads overlap, the first limits the libraries with a
    process-wide setting; if it ends first, the rest of the second runs without a limit. A
    library loaded inside the block is limited from the next (or a nested) block on.
    """
    libraries = _libraries
    limited = libraries.limit()
    try:
        yield
    finally:
        with libraries.lock:
            limited.__exit__(None, None, None)
