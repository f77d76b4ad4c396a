"""Shows the progress of a run: a live block on a terminal, a line every 30 seconds in a log."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tunekit.checks import check_flag, shown
from tunekit.driver.notebooks import in_notebook, show_in_notebook
from tunekit.errors import InvalidArgument
from tunekit.records import TrialState
from tunekit.shown import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tunekit.driver.run_settings import Progress
    from tunekit.history import History

EVERY_S = 30.0
REFRESH_S = 0.25
MAX_EVENTS = 4
MAX_NAME, BAR = 30, 28  # columns


def make_progress(*, quiet: bool) -> Progress | None:
    """Return the progress display on stderr, `None` if `quiet`."""
    if quiet:
        return None
    if _is_terminal():
        return LiveProgress()
    return LogProgress()


def choose_progress(given: Progress | bool | None, bar: bool | None) -> Progress | None:
    """Return the progress display of a run started in Python.

    Args:
        given: a display, `True`, `False`, or `None` for the default: nothing where the variable
            TUNEKIT_QUIET is set, a live block on a terminal and in a notebook, and elsewhere a
            line every 30 seconds, while events go to the logger "tunekit".
        bar: Optuna's word for `True` and `False`.

    Raises:
        InvalidArgument: something else, or both and they differ.
    """
    methods = ("start", "update", "event", "close")
    is_display = all(callable(getattr(given, name, None)) for name in methods)
    if given is not None and not isinstance(given, bool) and not is_display:
        raise InvalidArgument(
            f"progress={shown(given)}, expected True, False or a display that has "
            f"{', '.join(methods)}."
        )
    check_flag(bar, "show_progress_bar", optional=True)
    if bar is not None and given is not None and bar is not given:
        raise InvalidArgument(
            f"progress={shown(given)} and show_progress_bar={shown(bar)} contradict each other; "
            "give one."
        )
    wanted = bar if given is None else given
    if wanted is False or (wanted is None and os.environ.get("TUNEKIT_QUIET")):
        return None
    if wanted is not None and not isinstance(wanted, bool):
        return wanted
    if in_notebook():
        return NotebookProgress()
    if wanted or _is_terminal():
        return make_progress(quiet=False)
    return SparseProgress()


def hint_at_storage(url: str, shown: Progress | None) -> None:
    """Tell once how to keep an in-memory study, unless nothing is displayed."""
    global _is_hinted
    if shown is None or _is_hinted or not url.startswith("memory:"):
        return
    _is_hinted = True
    _to_stderr(
        "tunekit: the study is not stored and ends with this process; give storage="
        '"sqlite:///tunekit.db", or set TUNEKIT_URL, to keep it.'
    )


_is_hinted = False


def _is_terminal() -> bool:
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:  # closed
        return False


def _to_stderr(text: str) -> None:
    if sys.stderr is None:  # there is none in a daemon, and `print` would take stdout
        return
    with suppress(OSError, ValueError):  # full or closed: no run ends for its display
        print(printable(text), file=sys.stderr, flush=True)  # noqa: T201


class Pace:
    """Measures this run's ended trials per second and the remaining time.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begin = clock()
        self._before = 0
        self.goal: int | None = None

    def start(self, history: History, goal: int | None) -> None:
        """Start counting."""
        self._begin = self._clock()
        self._before = history.n_finished
        self.goal = goal

    def rate(self, history: History) -> float:
        """Return this run's ended trials per second; 0 before the first."""
        elapsed = self._clock() - self._begin
        return (history.n_finished - self._before) / elapsed if elapsed > 0 else 0.0

    def left_s(self, history: History) -> float | None:
        """Return the seconds to the goal at this rate, `None` without a goal or rate."""
        rate = self.rate(history)
        if self.goal is None or rate == 0:
            return None
        return max(0, self.goal - history.n_finished) / rate

    def words(self, history: History) -> str:
        """Return the rate and the remaining time as text."""
        rate, left = self.rate(history), self.left_s(history)
        if rate == 0:
            return ""
        speed = f"{rate:.1f} trials/s" if rate >= 1 else f"{60 * rate:.1f} trials/min"
        return f"{speed}, {clock_text(left)} left" if left else speed


class LogProgress:
    """Prints one line every 30 seconds, and one for each event.

    Args:
        say: takes a line.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        say: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say = say or _to_stderr
        self._clock = clock
        self._pace = Pace(clock)
        self._name = ""
        self._last = clock()

    def start(self, name: str, history: History, goal: int | None) -> None:
        """Print where the run starts."""
        self._name = name
        self._pace.start(history, goal)
        self._last = self._clock()
        self._say(f"{name}: {_finished(history, goal)}")

    def update(self, history: History, running: int) -> None:
        """Print the progress if 30 seconds have passed."""
        now = self._clock()
        if now - self._last >= EVERY_S:
            self._last = now
            parts = [
                _finished(history, self._pace.goal),
                best_text(history),
                states_text(history, running),
                self._pace.words(history),
            ]
            self._say(f"{self._name}: {' | '.join(p for p in parts if p)}")

    def event(self, text: str) -> None:
        """Print an event."""
        self._say(f"{self._name}: {text}")

    def close(self) -> None:
        """Do nothing."""


class SparseProgress(LogProgress):
    """Prints only the line every 30 seconds; events go to the logger, which has levels."""

    shows_events = False

    def start(self, name: str, history: History, goal: int | None) -> None:
        """Start counting without output."""
        self._name = name
        self._pace.start(history, goal)
        self._last = self._clock()


class LiveProgress:
    """Redraws a block on the terminal: progress, best so far, states, last events."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        # Drawn by the loop itself, without another thread, and left on the screen at the end.
        # What the objective prints on a stdout that goes to a file stays there.
        self._live = Live(
            console=Console(stderr=True, highlight=False),
            auto_refresh=False,
            redirect_stdout=sys.stdout.isatty(),
        )
        self._pace = Pace()
        self._name = ""
        self._events: deque[str] = deque(maxlen=MAX_EVENTS)
        self._drawn = float("-inf")
        self._seen: tuple[History, int] | None = None
        self._is_drawing = False

    def start(self, name: str, history: History, goal: int | None) -> None:
        """Begin to draw."""
        self._name = printable(name)
        self._pace.start(history, goal)
        self._live.start()
        self._seen = (history, 0)
        self._draw(history, 0)

    def update(self, history: History, running: int) -> None:
        """Redraw the block, at most four times a second."""
        self._seen = (history, running)
        if time.monotonic() - self._drawn >= REFRESH_S:
            self._draw(history, running)

    def event(self, text: str) -> None:
        """Show a sentence under the block until newer ones replace it."""
        self._events.append(printable(text))

    def redraw(self) -> None:
        """Draw what is known now, unless that is under way."""
        if self._seen is not None and not self._is_drawing:
            self._draw(*self._seen)

    def close(self) -> None:
        """Draw a last time and leave the block on the screen."""
        if self._seen is not None:
            self._draw(self._seen[0], 0)
        self._live.stop()

    def _draw(self, history: History, running: int) -> None:
        self._is_drawing = True
        try:
            self._show(self.block(history, running))
        finally:
            self._is_drawing = False
            self._drawn = time.monotonic()

    def _show(self, block: RenderableType) -> None:
        self._live.update(block, refresh=True)

    def block(self, history: History, running: int) -> RenderableType:
        """Return the block to draw."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        head = Table.grid(padding=(0, 1))  # one line: on a narrow terminal the bar gives way
        head.add_column(no_wrap=True, overflow="ellipsis", max_width=MAX_NAME)
        head.add_column(max_width=BAR)
        for _ in range(2):
            head.add_column(no_wrap=True, overflow="ellipsis")
        done, goal = history.n_finished, self._pace.goal
        bar = ProgressBar(total=goal, completed=done) if goal else Text("")
        head.add_row(
            Text(self._name, style="bold"),
            bar,
            Text(_finished(history, goal)),
            Text(self._pace.words(history), style="dim"),
        )
        lines: list[RenderableType] = [head, Text(printable(best_text(history)), style="green")]
        lines.append(Text(states_text(history, running), style="dim"))
        lines += [Text(f"  {event}", overflow="ellipsis", no_wrap=True) for event in self._events]
        return Group(*lines)


class NotebookProgress(LiveProgress):
    """Draws the same block under a notebook cell."""

    def __init__(self) -> None:
        super().__init__()
        self._cell: Any = None

    def start(self, name: str, history: History, goal: int | None) -> None:
        """Begin to draw."""
        self._name = printable(name)
        self._pace.start(history, goal)
        self._seen = (history, 0)
        self._draw(history, 0)

    def close(self) -> None:
        """Draw a last time."""
        if self._seen is not None:
            self._draw(self._seen[0], 0)

    def _show(self, block: RenderableType) -> None:
        self._cell = show_in_notebook(block, self._cell)


def best_text(history: History) -> str:
    """Return the best result so far as short text."""
    if len(history.objectives) > 1:
        n = len(history.pareto())
        return f"{n} on the Pareto front"
    best = history.best
    if best is None:
        return "no best yet"
    metric = history.objectives[0].metric
    return f"best {metric} {best.metrics[metric]:.6g} (trial {best.number})"


def states_text(history: History, running: int) -> str:
    """Return the number of trials per state; `running` counts those of this process."""
    counts = history.counts()
    shown = [f"{running} running here"] if running else []
    shown += [
        f"{counts[state]} {state}"
        for state in TrialState
        if state in counts and not (state is TrialState.RUNNING and running)
    ]
    return ", ".join(shown)


def clock_text(seconds: float) -> str:
    """Return a time span as h:mm:ss."""
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02}:{s:02}"


def _finished(history: History, goal: int | None) -> str:
    n = history.n_finished
    # If an earlier run has passed the goal, a share of it has no meaning.
    return f"{n}/{goal} trials" if goal and n <= goal else f"{n} trials"
