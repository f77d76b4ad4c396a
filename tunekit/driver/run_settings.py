"""What a run is told: its goal, its settings, who looks on, and how it may end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from tunekit.errors import ObjectiveFailed, TooManyFailures, TunekitError
from tunekit.history import History
from tunekit.records import Outcome, TrialRecord

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
        max_failed_trials: the run ends with an error once more trials than that have FAILED.
    """

    catch: tuple[type[BaseException], ...] = (Exception,)
    lease_s: float = 60.0
    max_failed_trials: int | None = None


class Failures:
    """Counts the FAILED trials of a run and says when the run has to end for them.

    Attributes:
        error: what the run ends with; `None` while it may go on.
    """

    def __init__(self, settings: Settings) -> None:
        self.error: TunekitError | None = None
        self._settings = settings
        self._n = 0

    def note(self, number: int, outcome: Outcome, raised: BaseException | None) -> None:
        """Note one, with what its objective raised if that is known."""
        self._n += 1
        most = self._settings.max_failed_trials
        if self.error is not None:
            return
        if raised is not None and not isinstance(raised, self._settings.catch):
            self.error = ObjectiveFailed(f"trial {number}: {outcome.reason}")
            self.error.__cause__ = raised
        elif most is not None and self._n > most:
            self.error = TooManyFailures(
                f"{self._n} trials of this run have failed, max_failed_trials={most} may; the "
                f"last, trial {number}: {outcome.reason}; mend that and run it again."
            )


Callback: TypeAlias = Callable[[TrialRecord], None]
