"""Reads learning curves recorded in TaskSet's format as problems over their configurations."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

from tunekit.bench import recorded, tables
from tunekit.bench.problem import Problem
from tunekit.errors import InvalidArgument
from tunekit.records import ObjectiveSpec
from tunekit.spaces import Params
from tunekit.spaces.encode import Encoder

PATTERNS = ("*.json", "*.json.gz")


def problems(path: str | Path, seed: int, *, n_tasks: int) -> list[Problem]:
    """Return up to `n_tasks` tasks of a folder, chosen by the seed, or the task of one file.

    Each file holds a list of `{"hp": {...}, "valid": {"loss": [...]}}`. The last loss is the
    result; if it is NaN or infinite, the trial diverged. Each point gets the result of the
    nearest configuration, in the unit cube of the recorded ranges.

    Raises:
        InvalidArgument: the file does not exist or is malformed.
    """
    root = Path(path)
    files = [root] if root.is_file() else sorted(f for p in PATTERNS for f in root.glob(p))
    if not files:
        raise InvalidArgument(f'replay: no curves in "{root}"; expected .json or .json.gz files.')
    order = np.random.default_rng(seed).permutation(len(files))[:n_tasks]
    return [_problem(files[i]) for i in order]


def _problem(file: Path) -> Problem:
    runs = read_runs(file)
    try:
        points = [dict(run["hp"]) for run in runs]
        losses = [float(run["valid"]["loss"][-1]) for run in runs]
        columns = {name: [point[name] for point in points] for name in points[0]}
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise InvalidArgument(
            f'replay: "{file}" is malformed ({type(error).__name__}: {error}); expected a '
            'list of {"hp": {...}, "valid": {"loss": [...]}}.'
        ) from None
    space = tables.spanned(columns, is_exact=False)
    rows = [
        recorded.Row(Params(space.validate(point)), {"loss": loss})
        for point, loss in zip(points, losses, strict=True)
    ]
    name = file.name.removesuffix(".gz").removesuffix(".json")
    return recorded.as_problem(
        name, Encoder(space), rows=rows, objectives=(ObjectiveSpec("loss"),)
    )


def read_runs(file: Path) -> list[Any]:
    """Read the runs of a file.

    Raises:
        InvalidArgument: the file cannot be read or holds no list.
    """
    opened = gzip.open if file.suffix == ".gz" else open
    try:
        with opened(file, "rt", encoding="utf-8") as text:
            runs = json.load(text)
    except (OSError, ValueError) as error:
        raise InvalidArgument(f'replay: "{file}" cannot be read: {error}.') from None
    if not isinstance(runs, list) or not runs:
        raise InvalidArgument(f'replay: "{file}" holds no list of runs.')
    return runs
