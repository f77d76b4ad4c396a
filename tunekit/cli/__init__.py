"""The command line. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def main() -> None:
    """Run the command line: the console script `tunekit`.

    Whatever happens to its streams or while it loads, it ends with a status and one line.
    """
    status: int | str | None = 0
    try:
        from tunekit.cli.app import app

        app(prog_name="tunekit")
    except SystemExit as ended:
        status = ended.code
    except KeyboardInterrupt:
        status = _ended("interrupted", 130)
    except OSError as error:  # such as a full disk behind stdout
        status = _ended(f"the output cannot be written: {error.strerror or error}", 1)
    if not _flushed() and not status:
        status = _ended("the output cannot be written, not all of it arrived", 1)
    sys.exit(status)


def _ended(why: str, status: int) -> int:
    """Say why it ends, if anybody can be told."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"tunekit: {why}\n")
        sys.stderr.flush()
    return status


def _flushed() -> bool:
    """Return whether all that was printed has arrived; Python would end with a traceback else."""
    arrived = True
    for stream in (sys.stdout, sys.stderr):
        if stream is None or stream.closed:
            continue
        try:
            stream.flush()
        except BrokenPipeError:  # whoever read it has enough
            _to_nowhere(stream.fileno())
        except (OSError, ValueError):
            _to_nowhere(stream.fileno())
            arrived = False
    return arrived


def _to_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
