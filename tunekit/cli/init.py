"""`tunekit init`: write a study file and an objective to start from."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from tunekit.cli.command import terminal

STUDY = """\
# Settings for `tunekit run` in this folder. Every key is also a flag: see `tunekit run --help`.
name: {name}
objective: train.py:objective
space: train.py:space
objectives:
  error: minimize
trials: 50
workers: 2
enqueue_default: true
storage: sqlite:///tunekit.db
"""

TRAIN = '''\
"""Start here: declare what to vary (space) and how to score a choice (objective)."""

import tunekit as tk

space = tk.Space(
    lr=tk.Float(1e-4, 1.0, log=True, default=0.01),
    model=tk.Categorical(
        {
            "linear": None,
            "tree": tk.Space(depth=tk.Int(1, 12)),
        }
    ),
)


def objective(trial: tk.Trial) -> dict[str, float]:
    """Train with `trial.params` and return what you measured."""
    params = trial.params
    depth = params["depth"] if params["model"] == "tree" else 4  # replace with your training
    error = abs(params["lr"] - 0.1) + 0.01 * abs(depth - 7)
    return {"error": error}
'''


def init(
    folder: Annotated[
        Path, typer.Argument(help="Folder to write to; created if missing.")
    ] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
) -> None:
    """Write tunekit.yaml and train.py, ready for `tunekit run`; asks nothing."""
    from tunekit.cli.settings import FILE
    from tunekit.errors import InvalidArgument

    name = folder.resolve().name or "study"
    files = {folder / FILE: STUDY.format(name=json.dumps(name)), folder / "train.py": TRAIN}
    for path in files:
        if path.exists() and not force:
            raise InvalidArgument(
                f"{path} already exists; move it away, or give --force to overwrite it."
            )
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        path.write_text(content, encoding="utf-8")
        typer.echo(str(path))
    is_here = folder.resolve() == Path.cwd().resolve()
    terminal.print_line(
        "now: " + ("" if is_here else f"cd {shlex.quote(str(folder))} && ") + "tunekit run"
    )
