"""Defines all errors of tunekit; messages say what was given, what was expected, what to do.

Each class also derives from the builtin that a caller would catch, and has a stable `code` (shown
before its message) and the exit status of the command line.
"""

from __future__ import annotations

from typing import ClassVar

from tunekit.shown import did_you_mean as did_you_mean
from tunekit.shown import printable


class TunekitError(Exception):
    """Base class of all tunekit errors; `code` identifies the kind."""

    code: ClassVar[str] = "TK000"
    exit_status: ClassVar[int] = 1

    def __init__(self, message: str) -> None:
        # The message may quote foreign text: a terminal escape, or a URL with a password.
        self.message = printable(message)
        super().__init__(self.message)

    def __str__(self) -> str:  # KeyError would print the repr
        return f"{self.code} {self.message}"


class InvalidSpace(TunekitError, ValueError):
    """A search space, or its file, contradicts itself or has an unknown key.

    The message names the parameter, or the line of the file, and what to write instead.
    """

    code = "TK101"
    exit_status = 2


class UnknownParameter(TunekitError, KeyError):
    """No parameter of the space has this name, or several have it.

    Check the spelling (the closest name is suggested); give the full dotted path of a short
    name that is not unique.
    """

    code = "TK102"
    exit_status = 2


class InvalidParams(TunekitError, ValueError):
    """A point does not lie in its space.

    Give every active parameter a value of its domain, give inactive ones none, and satisfy the
    constraints; `space.complete(params)` fills in defaults.
    """

    code = "TK103"
    exit_status = 2


class InvalidArgument(TunekitError, ValueError):
    """An argument of a public call, or a flag of the command line, is outside its range.

    The message says what was given and what is expected. Nothing has been written.
    """

    code = "TK104"
    exit_status = 2


class InvalidResult(TunekitError, TypeError):
    """An objective returned or reported something that is not a metric.

    Return a number, or a mapping of metric names to numbers that has every objective.
    """

    code = "TK201"


class TrialConflict(TunekitError, RuntimeError):
    """A trial that has already ended was told another result.

    The first result stays. Tell each trial once; telling the same again is harmless.
    """

    code = "TK202"


class LeaseLost(TunekitError, RuntimeError):
    """The trial now belongs to another worker, or was cancelled; this result is rejected.

    Drop the result. If this happens often, the worker is silent for longer than its lease:
    raise `lease_s`, or find what blocks the worker.
    """

    code = "TK203"


class UnknownTrial(TunekitError, KeyError):
    """The study has no trial with this number, or none with such a note or artifact.

    `tunekit trials ls STUDY` lists the trials; numbers begin at 0.
    """

    code = "TK204"
    exit_status = 3


class SpaceExhausted(TunekitError):
    """The sampler has no further points to propose, for example at the end of a grid.

    The study is complete. Widen the space with `study.edit_space`, or take another sampler.
    """

    code = "TK205"


class NoPointYet(SpaceExhausted):
    """The sampler has no point until a running trial ends: tell that one, then ask again."""

    code = "TK214"


class ObjectiveFailed(TunekitError, RuntimeError):
    """The objective raised an exception that `catch` does not cover.

    The exception is the cause of this one. Fix the objective, or add the class to `catch` to
    make such trials FAILED instead.
    """

    code = "TK206"


class CheckpointError(TunekitError, OSError):
    """A checkpoint cannot be written or read: full disk, missing folder, no permission.

    Earlier checkpoints are intact. Free space, or open the study with another `checkpoints=`.
    """

    code = "TK207"


class UnknownCheckpoint(TunekitError, KeyError):
    """The checkpoint does not exist: never saved, not kept, or deleted.

    `trial.checkpoints` lists those that exist; `tk.Checkpoints(root, keep_every=...)` keeps more.
    """

    code = "TK208"
    exit_status = 3


class TooManyFailures(TunekitError, RuntimeError):
    """More trials failed than the run allows, or all of the first ones failed.

    Read the error of one trial (`tunekit trials show STUDY NUMBER`), fix the cause and run
    again; `max_failed_trials` sets the limit.
    """

    code = "TK209"


class ExecutorFailed(TunekitError, RuntimeError):
    """No trial can run: the cluster is unreachable, or too small for one.

    Check the address, and compare `resources` with the nodes' resources; the study is intact.
    """

    code = "TK210"


class RankFailed(TunekitError, ChildProcessError):
    """A process of a distributed trial died, or raised an exception that cannot be sent.

    The trial is FAILED, with that rank's error text.
    """

    code = "TK211"


class RankLost(TunekitError, ConnectionError):
    """A node or worker that ran a process of a distributed trial is lost.

    No action is needed: the trial runs again, from its last checkpoint if it has one.
    """

    code = "TK212"


class WorkerQuarantined(TunekitError, RuntimeError):
    """A worker ended because its trials kept failing in a row for the same cause.

    Other workers go on. Find what is wrong with this machine (a broken GPU, a full disk, a
    missing file), then start the worker again.
    """

    code = "TK213"
    exit_status = 8


class UnknownStudy(TunekitError, KeyError):
    """The storage has no study with this name.

    The closest name is suggested; `tunekit studies ls` lists all. Check the storage and the
    project in its URL.
    """

    code = "TK301"
    exit_status = 3


class StudyExists(TunekitError, ValueError):
    """A study with this name exists, with other settings.

    Open it without the settings, give the same ones, or choose another name.
    """

    code = "TK302"
    exit_status = 2


class NoCompleteTrial(TunekitError, ValueError):
    """No trial is complete and feasible yet, so there is no best one.

    Run more trials, and read why the ended ones failed or broke a constraint.
    """

    code = "TK303"
    exit_status = 6


class StorageError(TunekitError, OSError):
    """The storage cannot be used: bad URL, read-only folder, full disk, damaged file.

    `tunekit doctor --storage URL` shows the cause.
    """

    code = "TK401"


class StorageUnreachable(StorageError):
    """The database did not answer, even after retries, or has no space left.

    Check host, port, network and disk, then start the run again: results are kept, and trials
    that had not ended run again.
    """

    code = "TK402"
    exit_status = 7


class SchemaMismatch(StorageError):
    """A newer version of tunekit wrote the database.

    Upgrade tunekit. Opening a database of an older version upgrades it.
    """

    code = "TK403"


class StorageDenied(StorageError, PermissionError):
    """The user lacks permission to open or write the database; grant it, or use another one."""

    code = "TK404"
    exit_status = 4


DISTRIBUTION = "tunekit-hpo"
"""Name to install with pip; "tunekit" belongs to another project on the package index."""


class MissingExtra(TunekitError, ImportError):
    """A feature needs a package that is not installed; the message has the install command."""

    code = "TK501"

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the {extra} extra: {install_line(extra)}")


def install_line(extra: str) -> str:
    """Return the command that installs an extra."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"


class NotAuthenticated(TunekitError, PermissionError):
    """The service does not know who is calling: no token, or one that is expired or revoked.

    Log in with `tunekit login URL`, or set $TUNEKIT_TOKEN to a valid token.
    """

    code = "TK601"
    exit_status = 4


class NotAllowed(TunekitError, PermissionError):
    """The caller's role in the project, or the scope of its token, does not permit the request.

    Ask an admin of the project for the role that the message names.
    """

    code = "TK602"
    exit_status = 4


class UnknownProject(TunekitError, KeyError):
    """The service has no such project, or the caller is not a member of it.

    `tunekit project ls` lists the caller's projects.
    """

    code = "TK603"
    exit_status = 3


class QuotaReached(TunekitError, RuntimeError):
    """A quota of the project, the budget of an agent, or a rate limit is used up.

    Wait for running trials to end, delete what is no longer needed, or ask an admin for more.

    Attributes:
        retry_after: seconds after which the same request passes; `None` if that takes more.
    """

    code = "TK604"

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ServiceBusy(TunekitError, RuntimeError):
    """The service has more work than it accepts at once; nothing of the request was done.

    Clients of tunekit wait and repeat it. Another client reads the header `Retry-After`.

    Attributes:
        retry_after: seconds to wait before the request is repeated.
    """

    code = "TK605"
    exit_status = 7

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RequestConflict(TunekitError, ValueError):
    """A key or version sent with a request belongs to another one.

    Use a new idempotency key for a new request; read the study again before editing it.
    """

    code = "TK606"


class NameTaken(TunekitError, ValueError):
    """A user or project of this name exists already; choose another name."""

    code = "TK607"


class UnknownAccount(TunekitError, KeyError):
    """The service has no such user, member or token, or the caller may not see it.

    `tunekit user ls` and `tunekit token ls` list what there is.
    """

    code = "TK608"
    exit_status = 3


class UnknownJob(TunekitError, KeyError):
    """The project has no such job; `tunekit jobs ls` lists all."""

    code = "TK609"
    exit_status = 3


class NotReverted(TunekitError, RuntimeError):
    """A database server did not take its own configuration back; the rollback journal stays.

    Start the server and run `tunekit knobs rollback`.
    """

    code = "TK701"


class TrialStopped(Exception):
    """Raised by `Trial.report` when the stopper ends the trial; let it propagate."""


TrialPruned = TrialStopped
"""Optuna's name for `TrialStopped`."""


class TrialPaused(TrialStopped):
    """Raised by `Trial.report` when the trial pauses; it may resume from its checkpoint."""
