"""Every error that tunekit raises: what was given, what was expected, what to do.

Each class also derives from the builtin that a caller would catch, carries a stable `code`
(shown in front of its message) and the exit status that the command line ends with.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar


class TunekitError(Exception):
    """The base of all errors of tunekit."""

    code: ClassVar[str] = "TK000"
    exit_status: ClassVar[int] = 1

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:  # KeyError would print the repr
        return f"{self.code} {self.message}"


class InvalidSpace(TunekitError, ValueError):
    """A search space, or its file, contradicts itself or has a word that we do not know."""

    code = "TK101"
    exit_status = 2


class UnknownParameter(TunekitError, KeyError):
    """A name that no parameter of the space has, or that several have."""

    code = "TK102"
    exit_status = 2


class InvalidParams(TunekitError, ValueError):
    """A point that does not lie in its space."""

    code = "TK103"
    exit_status = 2


class InvalidArgument(TunekitError, ValueError):
    """An argument of a public call, or a flag of the command line, outside its range."""

    code = "TK104"
    exit_status = 2


class InvalidResult(TunekitError, TypeError):
    """An objective returned or reported something that is no metric."""

    code = "TK201"


class TrialConflict(TunekitError, RuntimeError):
    """A trial that has ended already was told again with another result."""

    code = "TK202"


class LeaseLost(TunekitError, RuntimeError):
    """The trial belongs to another worker now (or was cancelled): its result is not taken."""

    code = "TK203"


class UnknownTrial(TunekitError, KeyError):
    """No trial with that number in the study."""

    code = "TK204"
    exit_status = 3


class SpaceExhausted(TunekitError):
    """A sampler has proposed every point that it has (a grid at its end)."""

    code = "TK205"


class ObjectiveFailed(TunekitError, RuntimeError):
    """The objective raised an exception that `catch` does not cover; it is the cause."""

    code = "TK206"


class CheckpointError(TunekitError, OSError):
    """A checkpoint cannot be written or read: full disk, no such place, no permission."""

    code = "TK207"


class UnknownCheckpoint(TunekitError, KeyError):
    """No such checkpoint: the trial never saved it, it was not kept, or somebody removed it."""

    code = "TK208"
    exit_status = 3


class TooManyFailures(TunekitError, RuntimeError):
    """More trials have failed than the run may lose (`max_failed_trials`)."""

    code = "TK209"


class ExecutorFailed(TunekitError, RuntimeError):
    """No trial can run: the cluster is away, or has no place for one."""

    code = "TK210"


class RankFailed(TunekitError, ChildProcessError):
    """A process of a distributed trial has died, or raised what cannot be brought over."""

    code = "TK211"


class RankLost(TunekitError, ConnectionError):
    """A node or worker that held a process of a distributed trial is gone; it will run again."""

    code = "TK212"


class UnknownStudy(TunekitError, KeyError):
    """No study with that name in the storage."""

    code = "TK301"
    exit_status = 3


class StudyExists(TunekitError, ValueError):
    """A study with that name exists and was made with other settings."""

    code = "TK302"
    exit_status = 2


class NoCompleteTrial(TunekitError, ValueError):
    """A question about the best trial was asked before a trial was complete (and feasible)."""

    code = "TK303"
    exit_status = 6


class StorageError(TunekitError, OSError):
    """The storage cannot be used: bad URL, read-only folder, full disk, damaged file."""

    code = "TK401"


class StorageUnreachable(StorageError):
    """The database did not answer, also after retries."""

    code = "TK402"
    exit_status = 7


class SchemaMismatch(StorageError):
    """The database was written by another version of tunekit."""

    code = "TK403"


class StorageDenied(StorageError, PermissionError):
    """The database may not be opened or written by this user."""

    code = "TK404"
    exit_status = 4


DISTRIBUTION = "tunekit-hpo"
"""What pip installs; on the package index, the name "tunekit" belongs to another project."""


class MissingExtra(TunekitError, ImportError):
    """A part needs a package that is not installed."""

    code = "TK501"

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the {extra} extra: {install_line(extra)}")


def install_line(extra: str) -> str:
    """Return the command that installs an extra."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"


class TrialStopped(Exception):
    """Raised by `Trial.report` when the stopper ends the trial; let it pass, or clean up first."""


TrialPruned = TrialStopped
"""The same under Optuna's name."""


class TrialPaused(TrialStopped):
    """Raised by `Trial.report` when the trial pauses: it may go on later, from its checkpoint."""


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return ` (did you mean "x"?)` for the closest known word, or an empty string."""
    close = get_close_matches(given, list(known), n=1, cutoff=0.6)
    return f' (did you mean "{close[0]}"?)' if close else ""
