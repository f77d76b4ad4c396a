"""The inputs of a run: its goal, settings, progress display and failure limits."""

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
"""A run without complete trials ends if this many first trials all fail in the same way."""

Ending: TypeAlias = Literal["done", "timeout", "stopped", "cancelled", "exhausted", "interrupted"]


class Progress(Protocol):
    """Shows the progress of a run; called on the loop's thread, so it must be fast."""

    def start(self, name: str, history: History, goal: int | None) -> None:
        """Start: `goal` is the final number of trials of the study, if known."""
        ...

    def update(self, history: History, running: int) -> None:
        """Show the state after an iteration of the loop."""
        ...

    def event(self, text: str) -> None:
        """Show one notable sentence."""
        ...

    def close(self) -> None:
        """End the display."""
        ...


@dataclass(frozen=True, slots=True)
class Goal:
    """The limits of a run; the first one reached ends it.

    Attributes:
        n_trials: number of trials to start in this call.
        total_trials: number of trials of the study, all finished.
        timeout_s: seconds after which no trial starts.
    """

    n_trials: int | None = None
    total_trials: int | None = None
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a run.

    Attributes:
        catch: exceptions of the objective that make a FAILED trial; others also end the run.
        lease_s: seconds without a sign of life after which a trial goes to another worker.
        max_failed_trials: the run ends with an error once more trials have FAILED; `None`: once
            its first `FIRST_FAILURES` all failed in the same way.
    """

    catch: tuple[type[BaseException], ...] = (Exception,)
    lease_s: float = 60.0
    max_failed_trials: int | None = None


class Failures:
    """Counts the FAILED trials of a run and decides when they must end it.

    Args:
        settings: of the run.
        history: of the study; one with a complete trial shows that the objective can work.

    Attributes:
        error: error to end the run with; `None` while it may continue.
    """

    def __init__(self, settings: Settings, history: History) -> None:
        self.error: TunekitError | None = None
        self._settings = settings
        self._history = history
        self._n = 0
        self._way: str | None = None  # in which all trials so far have failed
        self._differs = False

    def note_outcome(self, number: int, outcome: Outcome, raised: BaseException | None) -> None:
        """Record the end of a trial, with the exception of its objective if known."""
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
                    f"{self._n} trials of this run have failed, more than max_failed_trials="
                    f"{most}; the last, trial {number}: {why}; fix the cause and run it again."
                )
        elif self._n >= FIRST_FAILURES and not self._differs and not self._has_complete():
            self.error = TooManyFailures(
                f"the first {self._n} trials of this run have all failed in the same way and none "
                f"of the study is complete; trial {number}: {why.rstrip('.')}; fix the "
                "cause and run it again, or allow more failures with max_failed_trials=1000 "
                "(--max-failed 1000)."
            )

    def _has_complete(self) -> bool:
        return TrialState.COMPLETE in self._history.counts()


def failed_way(outcome: Outcome) -> str:
    """Return a text that is equal for trials that failed for the same cause.

    It is the exception's class and the raising line if that line is the user's, else the reason
    without numbers and quoted words, which differ between points.
    """
    frames = _FRAME.findall(outcome.error)
    if frames and not frames[-1].startswith(f'File "{_PACKAGE}'):
        return f"{outcome.reason.partition(':')[0]} {frames[-1]}"
    return _VARYING.sub("*", outcome.reason)


_GAVE_RESULTS = frozenset(
    {TrialState.COMPLETE, TrialState.STOPPED, TrialState.DIVERGED, TrialState.PAUSED}
)
_PACKAGE = str(Path(__file__).parent.parent)
_FRAME = re.compile(r'File ".*", line \d+')
_VARYING = re.compile(r"'[^']*'|\"[^\"]*\"|[-+]?\b(?:\d[\w.+-]*|nan|inf)\b")


def failed(error: BaseException, what: str = "") -> Outcome:
    """Return the FAILED outcome of a trial for an error outside its objective.

    Args:
        error: its sentence becomes the reason, with its traceback as the error.
        what: what failed, for errors of other packages that do not say it.
    """
    is_ours = isinstance(error, TunekitError)
    reason = sentence_of(error) if is_ours or not what else f"{what}: {sentence_of(error)}"
    text = "".join(traceback.format_exception(error))
    return Outcome(TrialState.FAILED, reason=reason, error=text[-MAX_ERROR:])


def sentence_of(error: BaseException) -> str:
    """Return an error's message in one line, even if its own text raises."""
    if isinstance(error, TunekitError):
        return error.message
    lines = "".join(traceback.format_exception_only(error)).strip().splitlines()
    return (lines or [type(error).__name__])[0][:MAX_REASON]


Callback: TypeAlias = Callable[[TrialRecord], None]
