"""Trials that are put into the queue of a study in a database: enqueued points, promoted trials.

Both run inside a transaction that has locked the study and taken event numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from tunekit.storages.checks import promoted_reason
from tunekit.storages.codec import encode
from tunekit.storages.sql.exchange import new_event, new_trial
from tunekit.storages.sql.statements import ADD_EVENT, ADD_TRIAL, PROMOTE


def add_points(
    connection: Connection,
    study_id: int,
    points: Sequence[str],
    *,
    fields: Mapping[str, Any],
    first_number: int,
    first_seq: int,
    now: float,
) -> list[int]:
    """Append a WAITING trial for each written point; return their numbers."""
    numbers = list(range(first_number, first_number + len(points)))
    seqs = range(first_seq, first_seq + len(points))
    connection.execute(
        ADD_TRIAL,
        [
            {**new_trial(study_id, number, seq, now), **fields, "params": text}
            for number, seq, text in zip(numbers, seqs, points, strict=True)
        ],
    )
    connection.execute(
        ADD_EVENT,
        [
            new_event(study_id, seq, "enqueued", number, now, None)
            for number, seq in zip(numbers, seqs, strict=True)
        ],
    )
    return numbers


def promote(
    connection: Connection, study_id: int, reasons: Mapping[int, str], *, seq: int, now: float
) -> list[int]:
    """Let those of the trials that are paused wait for a worker; return their numbers.

    The first takes the event number after `seq`.
    """
    promoted = []
    for number, reason in reasons.items():
        outcome = encode({"reason": promoted_reason(reason)})
        bound = {"study": study_id, "n": number, "to_seq": seq + 1, "to_outcome": outcome}
        if connection.execute(PROMOTE, bound).rowcount == 1:
            seq += 1
            promoted.append(number)
            data = encode({"reason": reason})
            event = new_event(study_id, seq, "promoted", number, now, data)
            connection.execute(ADD_EVENT, event)
    return promoted
