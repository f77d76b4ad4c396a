"""Displays the demo: the latest trials with their branches, and the best so far."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer

from tunekit.driver.progress import LiveProgress, LogProgress
from tunekit.records import TrialRecord, TrialState

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tunekit.driver.run_settings import Progress
    from tunekit.history import History

N_RECENT = 8


def make_demo_progress(*, quiet: bool) -> Progress | None:
    """Return a live table for a terminal, or one line per trial elsewhere."""
    if quiet:
        return None
    if sys.stderr.isatty():
        return LiveTable()
    return TrialLines()


def branch_text(trial: TrialRecord) -> str:
    """Return a trial's path through the space, for example `standard > pca > svm rbf`."""
    params: Mapping[str, object] = trial.params or {}
    kernel = params.get("model.svm.kernel")
    n_layers = params.get("model.network.layers")
    detail = f" {kernel}" if kernel else f" x{n_layers}" if n_layers else ""
    return " > ".join(str(params.get(p, "?")) for p in ("scaler", "reduce", "model")) + detail


class Recent:
    """Finds recently finished trials without rereading the whole history."""

    def __init__(self) -> None:
        self.trials: deque[TrialRecord] = deque(maxlen=N_RECENT)
        self._open: set[int] = set()
        self._next = 0

    def newly_ended(self, history: History) -> list[TrialRecord]:
        """Return the trials that have finished since the last call."""
        self._open.update(range(self._next, len(history)))
        self._next = len(history)
        found = [history.get(n) for n in sorted(self._open)]
        ended = [t for t in found if t is not None and t.state.is_finished]
        self._open.difference_update(t.number for t in ended)
        self.trials.extend(ended)
        return ended


class LiveTable(LiveProgress):
    """Draws the block of every run below a table of the latest trials."""

    def __init__(self) -> None:
        super().__init__()
        self._recent = Recent()

    def block(self, history: History, running: int) -> RenderableType:
        """Return the renderable to draw."""
        from rich import box
        from rich.console import Group
        from rich.table import Table

        self._recent.newly_ended(history)
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in ("trial", "scaler > reduce > model", "error", "seconds", "proposed by"):
            table.add_column(name)
        best = history.best
        for trial in self._recent.trials:
            is_best = best is not None and trial.number == best.number
            table.add_row(*_cells(trial), style="bold green" if is_best else "")
        return Group(table, super().block(history, running))


class TrialLines(LogProgress):
    """Logs one line per finished trial."""

    def __init__(self) -> None:
        super().__init__()
        self._recent = Recent()

    def start(self, name: str, history: History, goal: int | None) -> None:
        """Skip the trials of earlier runs."""
        self._recent.newly_ended(history)
        super().start(name, history, goal)

    def update(self, history: History, running: int) -> None:
        """Print the trials that have finished since the last call."""
        for trial in self._recent.newly_ended(history):
            number, branch, error, seconds, sampler = _cells(trial)
            mark = " *" if history.best is not None and history.best.number == trial.number else ""
            typer.echo(
                f"trial {number:>3}  {branch:34} error {error}  {seconds:>5} s  {sampler}{mark}",
                err=True,
            )
        super().update(history, running)

    def event(self, text: str) -> None:
        """Print events that the trial lines do not cover."""
        if "best so far" not in text:
            super().event(text)


def _cells(trial: TrialRecord) -> tuple[str, str, str, str, str]:
    error = next(iter(trial.metrics.values()), None)
    shown = f"{error:.4f}" if error is not None and trial.state is TrialState.COMPLETE else "-"
    seconds = "-" if trial.duration_s is None else f"{trial.duration_s:.1f}"
    return str(trial.number), branch_text(trial), shown, seconds, trial.sampler
