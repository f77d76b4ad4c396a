"""Runs a program in any language as an objective: `tunekit run -- python train.py --lr {lr}`.

The full protocol:

- `{name}` in an argument stands for a parameter, by path or unique short name. Texts are inserted
  unchanged, other values as JSON (`0.1`, `true`, `null`). `{number}`, `{seed}`, `{block}` and
  `{params_file}` also work, unless a parameter has that name. `{{name}}` gives `{name}`. If a
  parameter is inactive in a trial, its argument and the flag before it are left out.
- `$TUNEKIT_PARAMS` holds all params as one JSON object; the file `{params_file}` holds the same.
- A line `tunekit report step=3 {"error": 0.2}` on stdout is a report.
- The last other non-empty line is the result: a number, or a JSON object of metrics.
- An exit status other than 0 makes the trial FAILED, with the end of stderr as its error.

No shell is involved: the program gets the words unchanged.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tunekit.errors import InvalidArgument, did_you_mean
from tunekit.executors.process.child import Guard, readable

if TYPE_CHECKING:
    from tunekit.executors.trial import Trial
    from tunekit.spaces import Space

BUILT_IN = ("number", "seed", "block", "params_file")
GRACE_S = 5.0
"""Seconds between SIGTERM and SIGKILL for a stopped program."""
TAIL = 8 * 1024
"""Bytes to keep from the end of a failed trial's stderr."""

_PLACEHOLDER = re.compile(r"\{\{([^\s{}]+)\}\}|\{([^\s{}\"':,]+)\}")
_NEWLINE = re.compile(rb"[\r\n]+")
_REPORT = re.compile(r"tunekit report step=(\d+) (.+)")


@dataclass(frozen=True, slots=True)
class Program:
    """An objective that runs a program.

    Attributes:
        words: the program and its arguments, with placeholders.
        paths: placeholder -> path of its parameter.
        folder: working directory of the program.
    """

    words: tuple[str, ...]
    paths: Mapping[str, str]
    folder: str

    def __call__(self, trial: Trial) -> float | dict[str, Any]:
        """Run the program for a trial and return the result in its last line.

        Raises:
            RuntimeError: the program cannot start, fails, or prints no result.
            TrialStopped: the stopper ends the trial after a report.
        """
        params = json.dumps(dict(trial.params))
        with ExitStack() as stack:
            values: dict[str, Any] = {
                "number": trial.number,
                "seed": trial.seed,
                "block": trial.block,
            }
            if any("{params_file}" in word for word in self.words):
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tunekit-"))
                file = Path(folder, "params.json")
                file.write_text(params, encoding="utf-8")
                values["params_file"] = str(file)
            for name, path in self.paths.items():
                values[name] = trial.params[path] if path in trial.params else _INACTIVE
            errors = stack.enter_context(tempfile.TemporaryFile())
            environment = {
                **os.environ,
                "TUNEKIT_PARAMS": params,
                "TUNEKIT_NUMBER": str(trial.number),
                "TUNEKIT_SEED": str(trial.seed),
                "TUNEKIT_BLOCK": str(trial.block),
                "TUNEKIT_STUDY": trial.study_name,
            }
            process = _started(filled(self.words, values), self.folder, environment, errors)
            _guard().watch(process.pid)
            stack.callback(_end_group, process)
            return _followed(process, trial, errors)


_INACTIVE = object()


def make_program(words: Sequence[str], space: Space, folder: Path) -> Program:
    """Make an objective that runs a program with its arguments.

    Raises:
        InvalidArgument: a placeholder is not a parameter of the space.
    """
    paths: dict[str, str] = {}
    for name in (m[2] for word in words for m in _PLACEHOLDER.finditer(word) if m[2]):
        found = [p for p in space.by_path if p == name] or [
            p for p in space.by_path if p.endswith(f".{name}")
        ]
        if len(found) > 1:
            raise InvalidArgument(
                f'placeholder "{{{name}}}" is short for several parameters: {", ".join(found)}; '
                "give a full path."
            )
        if found:
            paths[name] = found[0]
        elif name not in BUILT_IN:
            short = [p.rsplit(".", 1)[-1] for p in space.by_path]
            hint = did_you_mean(name, [*space.by_path, *short, *BUILT_IN])
            raise InvalidArgument(
                f'placeholder "{{{name}}}" is not a parameter of the space{hint}; it has '
                f"{', '.join(space.by_path)}. Write {{{{{name}}}}} for the braces themselves."
            )
    return Program(tuple(words), paths, str(folder))


def unseen(words: Sequence[str], program: Program, space: Space) -> list[str]:
    """Return the parameters without a placeholder in the program's arguments.

    The program must read them from `$TUNEKIT_PARAMS` or `{params_file}`; if it reads neither,
    all trials are alike. With `{params_file}` in the arguments, the result is empty.
    """
    if any("{params_file}" in word for word in words):
        return []
    used = set(program.paths.values())
    return [path for path in space.by_path if path not in used]


def filled(words: Sequence[str], values: Mapping[str, Any]) -> list[str]:
    """Replace placeholders by values, and drop words of inactive parameters."""
    out: list[str] = []
    for word in words:
        names = [m[2] for m in _PLACEHOLDER.finditer(word) if m[2]]
        if any(values.get(name) is _INACTIVE for name in names):
            # `--gamma {gamma}` is dropped as a pair; `--gamma={gamma}` is one word anyway.
            if len(names) == 1 and word == f"{{{names[0]}}}" and out and out[-1].startswith("-"):
                out.pop()
            continue
        out.append(_PLACEHOLDER.sub(lambda m: _word(m, values), word))
    return out


def _word(match: re.Match[str], values: Mapping[str, Any]) -> str:
    if match[1]:
        return f"{{{match[1]}}}"
    value = values[match[2]]
    return value if isinstance(value, str) else json.dumps(value)


def _started(
    words: Sequence[str], folder: str, environment: Mapping[str, str], errors: IO[bytes]
) -> subprocess.Popen[bytes]:
    try:
        # A separate process group, so that a kill also ends its child processes.
        return subprocess.Popen(  # noqa: S603 - the user's own command, without a shell
            words,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            process_group=0,
        )
    except (OSError, ValueError) as error:
        raise RuntimeError(f"cannot start {words[0]!r}: {error}") from None


def _followed(
    process: subprocess.Popen[bytes], trial: Trial, errors: IO[bytes]
) -> float | dict[str, Any]:
    """Read the program's output until it ends, and return its result."""
    last = ""
    for line in _lines(process):
        report = _REPORT.fullmatch(line.strip())
        if report:
            trial.report(_metrics(report[2], "report"), int(report[1]))
        elif line.strip():
            last = line.strip()
    status = process.wait()
    if status != 0:
        raise RuntimeError(_failure(status, errors))
    if not last:
        raise RuntimeError(
            "it printed no result, expected a number or a JSON object of metrics as the last line"
        )
    return _metrics(last, "result")


def _lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Yield a program's output line by line until it ends or closes its stdout.

    A daemon that the program leaves behind may hold the pipe open. Reading therefore stops when
    the program ends, or at the end of the pipe on systems without pidfd.
    """
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    ended = os.pidfd_open(process.pid) if hasattr(os, "pidfd_open") else None
    rest = b""
    try:
        while True:
            spoken = readable([d for d in (pipe, ended) if d is not None], math.inf)
            has_ended = ended in spoken
            # The program's output is complete; anything further comes from other processes.
            chunk = _waiting(pipe) if has_ended else os.read(pipe, 1 << 16)
            *lines, rest = _NEWLINE.split(rest + chunk)
            yield from (line.decode("utf-8", "replace") for line in lines)
            if has_ended or not chunk:
                break
    finally:
        if ended is not None:
            os.close(ended)
    yield rest.decode("utf-8", "replace")


def _waiting(pipe: int) -> bytes:
    """Return the current content of a pipe without waiting for more."""
    told = fcntl.ioctl(pipe, termios.FIONREAD, bytes(4))
    size = int.from_bytes(told, sys.byteorder)
    return os.read(pipe, size) if size else b""


def _metrics(text: str, what: str) -> float | dict[str, Any]:
    with suppress(ValueError):
        return float(text)
    with suppress(ValueError):
        found = json.loads(text)
        if isinstance(found, dict):
            return found
    raise RuntimeError(
        f"its {what} is {text[:200]!r}, expected a number or a JSON object of metrics"
    )


def _failure(status: int, errors: IO[bytes]) -> str:
    how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - TAIL))
    tail = errors.read().decode("utf-8", "replace").strip()
    if not tail:
        return how
    return f"{how}: {tail.splitlines()[-1].strip()}\n\n{tail}"


@cache
def _guard() -> Guard:
    """Return the worker process's guard, which kills its programs if the worker is killed."""
    guard = Guard()
    atexit.register(guard.close)
    return guard


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the program and all its child processes; does nothing if they have ended."""
    assert process.stdout is not None
    steps: tuple[Callable[[], None], ...] = (
        lambda: os.killpg(process.pid, signal.SIGTERM),
        lambda: os.killpg(process.pid, signal.SIGKILL),
    )
    running = process.poll() is None
    for step in steps if running else steps[1:]:
        with suppress(ProcessLookupError, PermissionError):
            step()
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
    process.stdout.close()
    _guard().forget(process.pid)
