"""Leaves a SQLite file as a crash in the middle of a transaction does."""

from __future__ import annotations

import signal
import subprocess
import sys

from tunekit_integrations.dbms.records import FailureKind, TargetFailure

_WRITER = """
import sys
from tunekit_integrations.dbms.sqlite.connection import connected

with connected(sys.argv[1]) as connection:
    connection.execute("PRAGMA cache_size = 10")  # pages reach the file before the commit
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("CREATE TABLE tunekit_crash (x BLOB)")
    connection.executemany("INSERT INTO tunekit_crash VALUES (zeroblob(?))", [(4000,)] * 2000)
    print("written", flush=True)
    sys.stdin.read()
"""


def die_in_a_transaction(url: str) -> None:
    """Write 8 MB to a file in another process, and kill it before the commit.

    Raises:
        TargetFailure: the writer could not write.
    """
    command = [sys.executable, "-c", _WRITER, url]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as writer:  # noqa: S603 - our own program
        assert writer.stdout is not None and writer.stderr is not None
        has_written = writer.stdout.readline() == "written\n"
        writer.send_signal(signal.SIGKILL)
        log = writer.stderr.read()
    if not has_written:
        raise TargetFailure(
            FailureKind.LOST_CONNECTION,
            "the writer to be killed could not write.",
            log=log[-2000:],
        )
