"""What a run is told: its goal, its settings, who looks on, and how it may end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from tunekit.history import History
from tunekit.trial import TrialRecord

Ending: TypeAlias = Literal["done", "timeout", "stopped", "cancelled", "exhausted", "interrupted"]


class Progress(Protocol):
    """Shows how a run is going; called on the loop's thread, so it must be quick."""

    def start(self, name: str, history: History, goal: int | None) -> None:
        """Begin: `goal` is the number of trials the study will have, if that is known."""
        ...

    def update(self, history: History, running: int) -> None:
        """Show the state after a turn of the loop."""
        ...

    def event(self, text: str) -> None:
        """Show one noteworthy sentence."""
        ...

    def close(self) -> None:
        """End the display."""
        ...


@dataclass(frozen=True, slots=True)
class Goal:
    """When a run is over; the first that is reached ends it.

    Attributes:
        n_trials: so many trials started by this call.
        total_trials: so many trials in the study, all of them finished.
        timeout_s: no trial starts after so many seconds.
    """

    n_trials: int | None = None
    total_trials: int | None = None
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """How a run behaves.

    Attributes:
        catch: exceptions of the objective that make a FAILED trial; others also end the run.
        lease_s: after this long without a sign of life a trial is given to somebody else.
    """

    catch: tuple[type[BaseException], ...] = (Exception,)
    lease_s: float = 60.0


Callback: TypeAlias = Callable[[TrialRecord], None]
