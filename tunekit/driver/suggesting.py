"""Lets a sampler work on a thread beside the loop, which goes on to serve running trials."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from tunekit.driver.study_reader import StudyReader

T = TypeVar("T")

GRACE_S = 0.002
"""Seconds that the loop waits for work that it has just begun: most samplers are done by then."""


class Suggesting:
    """The work of a sampler for one run, at most one piece at a time.

    Nothing changes in the reader while the sampler reads it. One thread does all pieces, because
    to start one costs more than a quick suggestion. It ends with `close`, or with the process if
    its sampler hangs, which cannot be interrupted.

    Args:
        reader: what the sampler reads.
        is_beside: whether to use a thread; otherwise the work is done when it begins.
    """

    def __init__(self, reader: StudyReader, *, is_beside: bool) -> None:
        self._reader = reader
        self._is_beside = is_beside
        self._then: Callable[[Any], bool] | None = None
        self._result: Any = None
        self._error: BaseException | None = None
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._work: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()

    @property
    def is_pending(self) -> bool:
        """Return whether work has begun that is not finished."""
        return self._then is not None

    def start_work(self, work: Callable[[], T], then: Callable[[T], bool]) -> None:
        """Begin work, whose result `finish` passes on; none may be pending."""
        assert self._then is None
        self._then, self._error = then, None
        self._done.clear()
        if self._is_beside:
            self._reader.is_held = True
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._serve, args=(self._work,), name="tunekit-suggest", daemon=True
                )
                self._thread.start()
            self._work.put(work)
            self._done.wait(GRACE_S)
        else:
            self._run(work)

    def wait(self, timeout_s: float = 0.0) -> bool:
        """Return whether the work is done, waiting for it up to `timeout_s` seconds."""
        return self._done.wait(timeout_s)

    def finish(self) -> bool:
        """Return what `then` makes of the result of work that is done.

        Raises:
            What the work raised.
        """
        then, result, self._then, self._result = self._then, self._result, None, None
        self._reader.is_held = False
        if self._error is not None:
            raise self._error
        assert then is not None
        return then(result)

    def close(self) -> None:
        """Forget work that is not done, and let the thread end after it."""
        self._then = None
        self._reader.is_held = False
        if self._thread is not None:
            self._work.put(None)
            self._thread, self._work = None, SimpleQueue()

    def _serve(self, pieces: SimpleQueue[Callable[[], Any] | None]) -> None:
        while (work := pieces.get()) is not None:
            self._run(work)

    def _run(self, work: Callable[[], Any]) -> None:
        try:
            self._result = work()
        except BaseException as error:
            self._error = error
        finally:
            self._done.set()
