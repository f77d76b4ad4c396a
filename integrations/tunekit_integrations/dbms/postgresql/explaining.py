"""Adds an excerpt of the server's log to a failure."""

from __future__ import annotations

from tunekit_integrations.dbms.postgresql.server import Server
from tunekit_integrations.dbms.records import FailureKind, TargetFailure
from tunekit_integrations.dbms.waiting import wait_until

SETTLE_S = 2.0
"""Seconds in which the server notes the end of a process after its client has noticed it."""

_ENDED = "was terminated by signal"
_WANT_OF_MEMORY = ("was terminated by signal 9", "out of memory", "Out of memory")


def explain(failure: TargetFailure, server: Server) -> None:
    """Give a failure an excerpt of the log, and the kind that the log proves.

    The system ends processes by signal 9 for want of memory.
    """
    if failure.kind is FailureKind.INVALID:
        return
    is_lost = failure.kind is FailureKind.LOST_CONNECTION
    if is_lost:
        wait_until(lambda: _ENDED in server.log_tail() or _is_silent(server), within_s=SETTLE_S)
    log = server.log_tail()
    failure.log = failure.log or log
    if is_lost and any(sign in log for sign in _WANT_OF_MEMORY):
        failure.kind = FailureKind.OUT_OF_MEMORY


def _is_silent(server: Server) -> bool:
    """Return whether nothing more comes into the log: no server of ours writes it."""
    return not server.is_private or server.pid is None
