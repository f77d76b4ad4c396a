"""Provides the command line; heavy imports wait until a command runs."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def main() -> None:
    """Run the command line: the console script `tunekit`.

    Errors of the streams or during import also end in one line and an exit status.
    """
    _hide_script()
    status: int | str | None = 0
    try:
        from tunekit.cli.app import app

        app(prog_name="tunekit")
    except SystemExit as ended:
        status = ended.code
    except KeyboardInterrupt:
        status = _ended("interrupted", 130)
    except OSError as error:  # for example, stdout on a full disk
        status = _ended(f"cannot write the output: {error.strerror or error}", 1)
    if not _flushed() and not status:
        status = _ended("cannot write the output: part of it is lost", 1)
    sys.exit(status)


def _hide_script() -> None:
    """Keep the processes that a command spawns from running the calling script again.

    `multiprocessing` runs a main script anew in each of them. One that calls `main` without
    asking for its `__name__`, as some packagers write it, would start the whole command there.
    """
    script = sys.modules["__main__"]
    if getattr(script, "__spec__", None) is None:
        script.__dict__.pop("__file__", None)


def _ended(why: str, status: int) -> int:
    """Print the reason on stderr if possible, and return the status."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"tunekit: {why}\n")
        sys.stderr.flush()
    return status


def _flushed() -> bool:
    """Flush stdout; return whether everything was written, instead of a traceback by Python."""
    arrived = True
    for stream in (sys.stdout, sys.stderr):
        if stream is None or stream.closed:
            continue
        try:
            stream.flush()
        except BrokenPipeError:  # the reader has closed the pipe
            _to_nowhere(stream.fileno())
        except (OSError, ValueError):
            _to_nowhere(stream.fileno())
            arrived = False
    return arrived


def _to_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
