"""The life of a trial as a table: which operation applies when, and what it changes.

Every storage applies these rows and no others. The SQL storage compiles each into one UPDATE,
the storage in memory applies it to a row of the same columns, so that the rules stand here once.

    operation   from                          to                   event
    ---------   ----                          --                   -----
    START       running                       running              started
    SAVE        running                       running              checkpoint
    RELEASE     running                       waiting              released
    PREEMPT     running                       preempted            preempted
    PAUSE       running                       paused               paused
    TELL        running                       a finished state     told
    PROMOTE     paused                        waiting              promoted
    CLAIM       waiting, preempted            running, epoch + 1   claimed
    TAKE_OVER   running, lease has run out    running, epoch + 1   claimed
    LOSE        running, lease has run out    lost                 lost
    CANCEL      any state but a finished one  cancelled            told
"""

from __future__ import annotations

from dataclasses import dataclass

from tunekit.records import TrialState
from tunekit.storages.base import EventKind


@dataclass(frozen=True, slots=True, eq=False)
class Transition:
    """One row of the table; columns are those of `tk_trials`.

    Attributes:
        event: the kind of the event that it appends.
        sources: the states in which it applies.
        target: the state afterwards; `None` where the operation names it in `sets`.
        sets: columns that take the value that the operation gives.
        offers: columns that take the value given, and keep theirs where it is `None`. A point
            given this way is complete.
        clears: columns that become NULL.
        stamps: columns that take the storage's time.
        counts: columns that grow by 1.
        changes: columns of which the given value has to differ from the stored one.
        fenced: it applies under the epoch that the operation names only.
        expired: it applies once the lease has run out only.
        restarts: a complete point begins now; an incomplete one begins with its START.
    """

    event: EventKind
    sources: tuple[TrialState, ...]
    target: TrialState | None
    sets: tuple[str, ...] = ()
    offers: tuple[str, ...] = ()
    clears: tuple[str, ...] = ()
    stamps: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    fenced: bool = True
    expired: bool = False
    restarts: bool = False


_RUNNING = (TrialState.RUNNING,)
_FREE = (TrialState.WAITING, TrialState.PREEMPTED)
_UNFINISHED = tuple(s for s in TrialState if not s.is_finished)
_LEASE = ("lease_until",)
_LEASE_AND_CLAIM = ("lease_until", "claim_key")
_CLAIMED = ("worker", "claim_key", "lease_until")

START = Transition(
    "started",
    _RUNNING,
    TrialState.RUNNING,
    sets=("started_epoch", "is_partial", "params", "proposal", "branch"),
    stamps=("started",),
    changes=("started_epoch",),
)
SAVE = Transition(
    "checkpoint",
    _RUNNING,
    TrialState.RUNNING,
    sets=("checkpoints", "lease_until"),
    changes=("checkpoints",),
)
RELEASE = Transition("released", _RUNNING, TrialState.WAITING, clears=_LEASE_AND_CLAIM)
PREEMPT = Transition(
    "preempted", _RUNNING, TrialState.PREEMPTED, sets=("outcome",), clears=_LEASE_AND_CLAIM
)
PAUSE = Transition(
    "paused",
    _RUNNING,
    TrialState.PAUSED,
    sets=("outcome",),
    offers=("params",),
    clears=_LEASE_AND_CLAIM,
)
TELL = Transition(
    "told",
    _RUNNING,
    None,
    sets=("state", "tell_key", "outcome"),
    offers=("params",),
    clears=_LEASE,
    stamps=("finished",),
)
PROMOTE = Transition(
    "promoted", (TrialState.PAUSED,), TrialState.WAITING, sets=("outcome",), fenced=False
)
CLAIM = Transition(
    "claimed", _FREE, TrialState.RUNNING, sets=_CLAIMED, counts=("epoch",), restarts=True
)
TAKE_OVER = Transition(
    "claimed",
    _RUNNING,
    TrialState.RUNNING,
    sets=_CLAIMED,
    counts=("epoch", "lapses"),
    expired=True,
    restarts=True,
)
LOSE = Transition(
    "lost",
    _RUNNING,
    TrialState.LOST,
    sets=("outcome",),
    clears=_LEASE,
    stamps=("finished",),
    counts=("lapses",),
    expired=True,
)
CANCEL = Transition(
    "told",
    _UNFINISHED,
    TrialState.CANCELLED,
    sets=("outcome",),
    clears=_LEASE,
    stamps=("finished",),
    fenced=False,
)

TRANSITIONS = (
    START, SAVE, RELEASE, PREEMPT, PAUSE, TELL, PROMOTE, CLAIM, TAKE_OVER, LOSE, CANCEL,
)  # fmt: skip
