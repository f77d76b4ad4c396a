"""Lets a sampler work on a thread beside the loop, which goes on to serve running trials."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from tunekit.driver.study_reader import StudyReader

T = TypeVar("T")


class Suggesting:
    """The work of a sampler for one run, at most one piece at a time.

    Nothing changes in the reader while the sampler reads it. The thread ends with the process,
    because a sampler that hangs cannot be interrupted.

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
            threading.Thread(
                target=self._run, args=(work,), name="tunekit-suggest", daemon=True
            ).start()
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
        """Forget work that is not done."""
        self._then = None
        self._reader.is_held = False

    def _run(self, work: Callable[[], Any]) -> None:
        try:
            self._result = work()
        except BaseException as error:
            self._error = error
        finally:
            self._done.set()
