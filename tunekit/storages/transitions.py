"""The life cycle of a trial as a table: when each operation applies, and what it changes.

Every storage applies these rows and no others. The SQL storage compiles each row to one UPDATE;
the memory storage applies it to a row with the same columns. The rules thus exist only here.

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
        event: kind of the appended event.
        sources: states in which the operation applies.
        target: resulting state; `None` if the operation gives it in `sets`.
        sets: columns set to the operation's values.
        offers: columns set to the operation's values unless these are `None`. A point set this
            way is complete.
        clears: columns that become NULL.
        stamps: columns set to the storage's time.
        counts: columns incremented by 1.
        changes: columns whose given value must differ from the stored one.
        fenced: whether it applies only under the operation's epoch.
        expired: whether it applies only after the lease has expired.
        restarts: whether a complete point starts now; an incomplete one starts with its START.
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
