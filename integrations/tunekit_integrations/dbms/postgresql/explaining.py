"""Adds to a failure what the server's log says of it."""

from __future__ import annotations

import time

from tunekit_integrations.dbms.postgresql.server import Server
from tunekit_integrations.dbms.records import FailureKind, TargetFailure

SETTLE_S = 2.0
"""Seconds in which the server notes the end of a process after its client has noticed it."""

LOOK_S = 0.02

_ENDED = "was terminated by signal"
_WANT_OF_MEMORY = ("was terminated by signal 9", "out of memory", "Out of memory")


def explain(failure: TargetFailure, server: Server) -> None:
    """Give a failure an excerpt of the log, and the kind that the log proves.

    The system ends processes by signal 9 for want of memory.
    """
    if failure.kind is FailureKind.INVALID:
        return
    log = server.log_tail()
    is_lost = failure.kind is FailureKind.LOST_CONNECTION
    until = time.monotonic() + SETTLE_S
    while is_lost and _ENDED not in log and _may_still_say(server) and time.monotonic() < until:
        time.sleep(LOOK_S)
        log = server.log_tail()
    failure.log = failure.log or log
    if is_lost and any(sign in log for sign in _WANT_OF_MEMORY):
        failure.kind = FailureKind.OUT_OF_MEMORY


def _may_still_say(server: Server) -> bool:
    return server.is_private and server.pid is not None
