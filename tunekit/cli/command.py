"""What every command shares: `--quiet` and `--verbose`, and how an error ends the process.

Exit statuses: 0 done, 1 failed, 2 usage, 3 not found, 4 no permission, 5 the time is over with a
valid best, 6 nothing complete and feasible, 7 storage unreachable, 130 interrupted.
"""

from __future__ import annotations

import functools
import inspect
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from tunekit.errors import TunekitError
from tunekit.shown import printable

FAILED = 1
USAGE = 2
NOT_FOUND = 3
NO_PERMISSION = 4
TIME_OVER = 5
NOTHING_BEST = 6
UNREACHABLE = 7
INTERRUPTED = 130

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print tracebacks of errors.")]


@dataclass
class Terminal:
    """How much this process says on stderr; results go to stdout and are no concern of it."""

    quiet: bool = False
    verbose: bool = False

    def print_line(self, text: str) -> None:
        """Print one note, unless it is to be quiet."""
        if not self.quiet:
            _note(text)

    def fail(self, error: BaseException) -> int:
        """Print why the command failed and return the exit status for it."""
        if self.verbose:
            said = "".join(traceback.format_exception(error)).rstrip()
            _note(said)
        _note(f"tunekit: {_one_line(error)}")
        expected = isinstance(error, TunekitError | OSError)  # a full disk, a file that is away
        if not self.verbose and not expected:
            _note("tunekit: this is a bug or a broken plug-in; -v shows where.")
        return exit_status(error)


def _note(text: str) -> None:
    with suppress(OSError, ValueError):  # stderr is full or closed; the results matter
        typer.echo(printable(text), err=True)


terminal = Terminal()
"""Set by every command from its flags."""


def exit_status(error: BaseException) -> int:
    """Return the status that the process ends with after an error."""
    if _has_permission_cause(error):
        return NO_PERMISSION
    return error.exit_status if isinstance(error, TunekitError) else FAILED


def command(app: typer.Typer, name: str, **settings: Any) -> Callable[..., Any]:
    """Register a function as a command that also has `--quiet` and `--verbose`.

    What it raises is printed in one line and becomes an exit status.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        app.command(name, **settings)(guarded(function))
        return function

    return register


def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with `--quiet` and `--verbose`, its errors as lines and statuses."""

    @functools.wraps(function)
    def call(*, quiet: bool = False, verbose: bool = False, **arguments: Any) -> None:
        terminal.quiet, terminal.verbose = quiet, verbose
        try:
            function(**arguments)
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt as error:
            terminal.print_line(f"tunekit: {str(error) or 'interrupted; the state is saved'}")
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            raise typer.Exit(terminal.fail(error)) from None

    # Typer keeps the ends of lines of a docstring, and a terminal is not as wide as our source.
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    call.__doc__ = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    # Typer reads the signature: the function's own parameters and the two shared ones.
    own = inspect.signature(function, eval_str=True)
    shared = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation
        )
        for name, annotation in (("quiet", Quiet), ("verbose", Verbose))
    ]
    parameters = [*own.parameters.values(), *shared]
    parameters.sort(key=lambda p: p.kind)
    call.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in parameters}
    return call


def _one_line(error: BaseException) -> str:
    if isinstance(error, TunekitError):
        return str(error)
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _has_permission_cause(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, PermissionError):
            return True
        error = error.__cause__ or error.__context__
    return False
