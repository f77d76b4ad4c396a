"""What a run is told: its goal, its settings, who looks on, and how it may end."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from tunekit.errors import ObjectiveFailed, TooManyFailures, TunekitError
from tunekit.executors.objective import MAX_ERROR, MAX_REASON
from tunekit.history import History
from tunekit.records import Outcome, TrialRecord, TrialState
from tunekit.shown import printable

FIRST_FAILURES = 5
"""A run whose first so many trials have all failed in the same way ends, if none is complete."""

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
        max_failed_trials: the run ends with an error once more trials than that have FAILED;
            `None`: once its first `FIRST_FAILURES` all failed in the same way.
    """

    catch: tuple[type[BaseException], ...] = (Exception,)
    lease_s: float = 60.0
    max_failed_trials: int | None = None


class Failures:
    """Counts the FAILED trials of a run and says when the run has to end for them.

    Args:
        settings: of the run.
        history: of the study; one with a complete trial shows that the objective can work.

    Attributes:
        error: what the run ends with; `None` while it may go on.
    """

    def __init__(self, settings: Settings, history: History) -> None:
        self.error: TunekitError | None = None
        self._settings = settings
        self._history = history
        self._n = 0
        self._way: str | None = None  # in which all trials so far have failed
        self._differs = False

    def note(self, number: int, outcome: Outcome, raised: BaseException | None) -> None:
        """Note how one has ended, with what its objective raised if that is known."""
        why = printable(outcome.reason)
        if outcome.state is not TrialState.FAILED:
            self._differs |= outcome.state in _GAVE_RESULTS
            return
        self._n += 1
        way = failed_way(outcome)
        self._differs |= self._way is not None and way != self._way
        self._way = way
        if self.error is not None:
            return
        if raised is not None and not isinstance(raised, self._settings.catch):
            self.error = ObjectiveFailed(f"trial {number}: {why}")
            self.error.__cause__ = raised
        elif (most := self._settings.max_failed_trials) is not None:
            if self._n > most:
                self.error = TooManyFailures(
                    f"{self._n} trials of this run have failed, max_failed_trials={most} may; the "
                    f"last, trial {number}: {why}; mend that and run it again."
                )
        elif self._n >= FIRST_FAILURES and not self._differs and not self._has_complete():
            self.error = TooManyFailures(
                f"the first {self._n} trials of this run have all failed in the same way and none "
                f"of the study is complete; trial {number}: {why.rstrip('.')}; mend "
                "that and run it again, or let more fail with max_failed_trials=1000."
            )

    def _has_complete(self) -> bool:
        return TrialState.COMPLETE in self._history.counts()


def failed_way(outcome: Outcome) -> str:
    """Return the same text for trials that failed for the same cause at different points.

    It is the class of the exception and the line that raised it where that line is the user's;
    else the reason without its numbers and quoted words, which differ from point to point.
    """
    frames = _FRAME.findall(outcome.error)
    if frames and not frames[-1].startswith(f'File "{_PACKAGE}'):
        return f"{outcome.reason.partition(':')[0]} {frames[-1]}"
    return _VARYING.sub("*", outcome.reason)


_GAVE_RESULTS = (TrialState.COMPLETE, TrialState.STOPPED, TrialState.DIVERGED, TrialState.PAUSED)
_PACKAGE = str(Path(__file__).parent.parent)
_FRAME = re.compile(r'File ".*", line \d+')
_VARYING = re.compile(r"'[^']*'|\"[^\"]*\"|[-+]?\b(?:\d[\w.+-]*|nan|inf)\b")


def failed(error: BaseException, what: str = "") -> Outcome:
    """Return the FAILED outcome of a trial for what went wrong around its objective.

    Args:
        error: its sentence becomes the reason, with its traceback as the error.
        what: what failed, where the error is none of ours and does not say it.
    """
    is_ours = isinstance(error, TunekitError)
    reason = sentence_of(error) if is_ours or not what else f"{what}: {sentence_of(error)}"
    text = "".join(traceback.format_exception(error))
    return Outcome(TrialState.FAILED, reason=reason, error=text[-MAX_ERROR:])


def sentence_of(error: BaseException) -> str:
    """Return what an error says, in one line; also of one whose own text cannot be made."""
    if isinstance(error, TunekitError):
        return error.message
    lines = "".join(traceback.format_exception_only(error)).strip().splitlines()
    return (lines or [type(error).__name__])[0][:MAX_REASON]


Callback: TypeAlias = Callable[[TrialRecord], None]
