"""A beat beside the loop: keeps leases alive while an objective holds the calling thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger("tunekit")


class Heartbeat:
    """Calls a function every so many seconds on a thread of its own while it is entered."""

    def __init__(self, beat: Callable[[], None], every_s: float) -> None:
        self._beat = beat
        self._every_s = every_s
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tunekit-heart", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exc: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(self._every_s):
            try:
                self._beat()
            except Exception as error:  # whatever it was, the next beat tries again
                log.warning("leases were not renewed: %s", error)
