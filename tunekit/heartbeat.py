"""Keeps leases alive from a second thread while an objective blocks the calling thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from weakref import WeakSet

LONGEST_BEAT_S = 5.0
"""Maximum seconds a fork waits for a beat; an unreachable storage must not block it forever."""

MAX_WAIT_S = 24 * 3600.0
"""Longest wait between two beats: a thread cannot wait for any number of seconds."""


class Heartbeat:
    """Calls a function at fixed intervals on its own thread while entered as a context.

    Attributes:
        beating: held while the function runs.
    """

    def __init__(self, beat: Callable[[], None], every_s: float) -> None:
        self._beat = beat
        self._every_s = min(every_s, MAX_WAIT_S)
        self._done = threading.Event()
        self.beating = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="tunekit-heart", daemon=True)

    def __enter__(self) -> None:
        _alive.add(self)
        self._thread.start()

    def __exit__(self, *exc: object) -> None:
        self._done.set()
        self._thread.join()
        _alive.discard(self)

    def _run(self) -> None:
        while not self._done.wait(self._every_s):
            try:
                with self.beating:
                    self._beat()
            except Exception as error:  # whatever the error, the next beat retries
                import logging  # a thin worker loads it with its first message

                logging.getLogger("tunekit").warning("leases were not renewed: %s", error)


_alive: WeakSet[Heartbeat] = WeakSet()
_fork = threading.local()


def _hold_all() -> None:
    # A child that is forked in the middle of a beat would inherit the locks that a database
    # library holds then, and wait for them forever.
    _fork.held = [h for h in list(_alive) if h.beating.acquire(timeout=LONGEST_BEAT_S)]


def _release_all() -> None:
    for heartbeat in _fork.held:
        heartbeat.beating.release()


os.register_at_fork(before=_hold_all, after_in_parent=_release_all, after_in_child=_release_all)
