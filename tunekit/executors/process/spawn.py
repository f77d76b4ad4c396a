"""Starts processes of this interpreter that the driver speaks to over a socket."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from typing import IO


def started(
    module: str, *, output: IO[bytes] | int, env: Mapping[str, str] | None = None
) -> tuple[subprocess.Popen[bytes], int]:
    """Return a new process, and the descriptor of this end of its connection.

    The process has the import path of this one, and its own session, so that Ctrl-C reaches only
    the driver.

    Args:
        module: module whose `main(connection, driver)` it runs, given the descriptor of its end
            and the id of this process.
        output: where it prints.
        env: its environment beside that of this process.

    Raises:
        OSError: no process could start.
    """
    ours, theirs = socket.socketpair()
    boot = (
        "import json, sys; sys.path[:] = json.loads(sys.argv[3]); "
        f"from {module} import main; main(int(sys.argv[1]), int(sys.argv[2]))"
    )
    argv = [str(theirs.fileno()), str(os.getpid()), json.dumps([str(p) for p in sys.path])]
    with theirs:
        try:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter
                [sys.executable, "-c", boot, *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env={**os.environ, **(env or {})},
            )
        except OSError:
            ours.close()
            raise
    return process, ours.detach()
