"""Turns failures of servers into errors of a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tunekit.cli.command import terminal
from tunekit.errors import ExecutorFailed
from tunekit_integrations.dbms.records import TargetFailure


@contextmanager
def failures_told() -> Iterator[None]:
    """Raise a server's failure as an error with its kind, and print its log.

    Raises:
        ExecutorFailed: the server failed.
    """
    try:
        yield
    except TargetFailure as failure:
        if failure.log:
            terminal.print_line(failure.log.rstrip())
        raise ExecutorFailed(f"{failure.kind}: {failure.message}") from failure
