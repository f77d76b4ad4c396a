"""Keeps the request for advice that is on its way, so that no proposal waits for the network."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from tunekit.samplers.llm.asking import Advice


class AdviceSource(Protocol):
    """A source of the advice that a model gave for a study."""

    def advice(self, number: int, ask: Callable[[], Advice] | None) -> Advice | None:
        """Return advice that is not yet stored with a trial, `None` without any.

        Args:
            number: of the trial that will store it.
            ask: makes a request, which begins if none is on its way; `None` to make none.
        """
        ...


class BackgroundAdvice:
    """Makes one request at a time on a background thread.

    Args:
        wait_s: seconds that a proposal waits for an answer.
    """

    def __init__(self, *, wait_s: float) -> None:
        self._wait_s = wait_s
        self._done = threading.Event()
        self._is_asking = False
        self._advice: Advice | None = None

    def advice(self, number: int, ask: Callable[[], Advice] | None) -> Advice | None:
        """Return advice once, when it has come; see `AdviceSource`."""
        if ask is not None and not self._is_asking:
            self._is_asking = True
            self._done.clear()
            work = threading.Thread(target=self._run, args=(ask,), name="tunekit-llm", daemon=True)
            work.start()
        if not self._is_asking or not self._done.wait(self._wait_s):
            return None
        self._is_asking = False
        advice, self._advice = self._advice, None
        return advice

    def _run(self, ask: Callable[[], Advice]) -> None:
        try:
            self._advice = ask()
        except Exception as error:  # a mistake of ours must not end the study
            self._advice = Advice(problems=(f"the request failed: {error!r}"[:300],))
        finally:
            self._done.set()
