"""Shows a run to a person, on a display if there is one, else in the log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, runtime_checkable

from tunekit.driver.run_settings import Progress
from tunekit.history import History
from tunekit.records import TrialRecord
from tunekit.shown import printable

log = logging.getLogger("tunekit")


@runtime_checkable
class Redrawable(Protocol):
    """A display that draws only once in a while, but can be asked to."""

    def redraw(self) -> None:
        """Draw what is known now."""
        ...


class Display:
    """Forwards a run's events to a display, and drops the display if it raises.

    Args:
        progress: the display; without one, sentences go to the log.
    """

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._best: TrialRecord | None = None
        self._held_back = ""

    def start(self, name: str, history: History, goal: int | None) -> None:
        """Begin; see `Progress.start`."""
        self._best = history.best
        self._show(lambda p: p.start(name, history, goal))

    def update(self, history: History, running: int) -> None:
        """Show the state after an iteration of the loop."""
        if self._progress is not None:
            self._show(lambda p: p.update(history, running))

    def best(self, history: History) -> None:
        """Say which trial is the best so far, if it is another than the last time."""
        best = history.best
        if best is None or best is self._best:
            return
        self._best = best
        metric = history.objectives[0].metric
        value = best.metrics[metric]
        self.show_sentence(f"trial {best.number} is the best so far: {metric} = {value:.6g}")

    def show_sentence(self, text: str, level: int = logging.INFO) -> None:
        """Show one notable sentence."""
        if self._progress is None or not getattr(self._progress, "shows_events", True):
            log.log(level, printable(text))
        else:
            self._show(lambda p: p.event(text))

    def show_held_back(self, text: str) -> None:
        """Show why the storage gives fewer trials than it has, once until that changes."""
        if text and not self._held_back:
            self.show_sentence(text)
        self._held_back = text

    def show_sentence_now(self, text: str) -> None:
        """Warn from a signal handler, although the loop may wait for an objective to end."""
        self.show_sentence(text, logging.WARNING)
        if isinstance(self._progress, Redrawable):
            with suppress(RuntimeError):  # the signal came while the stream was written to
                self._progress.redraw()

    def close(self) -> None:
        """End the display."""
        self._show(lambda p: p.close())

    def _show(self, act: Callable[[Progress], None]) -> None:
        if self._progress is None:
            return
        try:
            act(self._progress)
        except Exception:  # a broken display must not end a run
            log.exception("the display of the run failed and is left out from now on")
            self._progress = None
