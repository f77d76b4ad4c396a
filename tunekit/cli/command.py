"""Gives every command the shared flags, and turns errors into exit statuses.

Exit statuses: 0 done, 1 failed, 2 usage, 3 not found, 4 no permission, 5 time limit reached with
a valid best trial, 6 no complete and feasible trial, 7 storage unreachable, 8 worker
quarantined, 130 interrupted.
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

from tunekit.errors import MissingExtra, TunekitError
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
Json = Annotated[bool, typer.Option("--json", help="Short for --format json.")]


@dataclass
class Terminal:
    """Prints notes and errors on stderr, as much as the flags allow; results go to stdout."""

    quiet: bool = False
    verbose: bool = False

    def print_line(self, text: str) -> None:
        """Print one note, unless `--quiet` is set."""
        if not self.quiet:
            _note(text)

    def fail(self, error: BaseException) -> int:
        """Print the reason of the failure and return the exit status."""
        if self.verbose:
            said = "".join(traceback.format_exception(error)).rstrip()
            _note(said)
        error = _with_extra(error)
        _note(f"tunekit: {_one_line(error)}")
        expected = isinstance(
            error, TunekitError | OSError
        )  # OSError: a full disk, a missing file
        if not self.verbose and not expected:
            _note("tunekit: this is a bug or a broken plug-in; -v shows where.")
        return exit_status(error)


def _note(text: str) -> None:
    with suppress(OSError, ValueError):  # stderr is full or closed; results take priority
        typer.echo(printable(text), err=True)


terminal = Terminal()
"""Configured by every command from its flags."""


def exit_status(error: BaseException) -> int:
    """Return the exit status for an error."""
    if _has_permission_cause(error):
        return NO_PERMISSION
    return error.exit_status if isinstance(error, TunekitError) else FAILED


def command(app: typer.Typer, name: str, **settings: Any) -> Callable[..., Any]:
    """Register a function as a command with the flags of `guarded`.

    Its exceptions print one line and become exit statuses.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        app.command(name, **settings)(guarded(function))
        return function

    return register


def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function with the shared flags, and turn its errors into exit statuses.

    These are `--quiet` and `--verbose`, and `--json` where it has a `form`, the output format.
    """
    # Typer reads the signature: the function's own parameters and the shared ones.
    own = inspect.signature(function, eval_str=True)
    form = own.parameters.get("form")

    @functools.wraps(function)
    def call(
        *, quiet: bool = False, verbose: bool = False, json: bool = False, **arguments: Any
    ) -> None:
        terminal.quiet, terminal.verbose = quiet, verbose
        if json and form is not None:
            arguments["form"] = type(form.default)("json")
        try:
            function(**arguments)
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt as error:
            terminal.print_line(f"tunekit: {str(error) or 'interrupted; the state is saved'}")
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            raise typer.Exit(terminal.fail(error)) from None

    # Typer keeps a docstring's line breaks, but a terminal may be narrower than our source.
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    call.__doc__ = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    flags = {} if form is None else {"json": Json}
    flags |= {"quiet": Quiet, "verbose": Verbose}
    shared = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation
        )
        for name, annotation in flags.items()
    ]
    parameters = [*own.parameters.values(), *shared]
    parameters.sort(key=lambda p: p.kind)
    call.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in parameters}
    return call


def _with_extra(error: BaseException) -> BaseException:
    """Return the error that names the extra of a missing package, else the error itself."""
    if not isinstance(error, ModuleNotFoundError) or isinstance(error, TunekitError):
        return error
    from tunekit.cli.doctor import EXTRAS

    package = (error.name or "").partition(".")[0]
    extras = [extra for extra, modules in EXTRAS.items() if package in modules]
    return MissingExtra(extras[0], f"importing {package}") if extras else error


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
