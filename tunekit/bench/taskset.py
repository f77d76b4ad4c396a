"""Flat deep-learning tables: TaskSet's recorded optimiser configurations as problems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from tunekit.bench.curves import PATTERNS, read_runs
from tunekit.bench.problem import Problem
from tunekit.bench.recorded import Recording, Row
from tunekit.bench.trees.draw import with_defaults
from tunekit.errors import InvalidArgument, MissingExtra
from tunekit.spaces import Float, Params, Space
from tunekit.spaces.encode import Encoder

Lookup: TypeAlias = Literal["nearest", "forest"]

N_TREES = 60
"""Trees of the forest."""

FOREST_POOL = "2000"
"""Random points of a problem with a forest, whose prediction takes milliseconds."""

SPACE = Space(
    learning_rate=Float(1e-8, 10.0, log=True),
    one_minus_beta1=Float(1e-4, 1.0, log=True),
    one_minus_beta2=Float(1e-6, 1.0, log=True),
    epsilon=Float(1e-10, 1e3, log=True),
    l1=Float(1e-8, 10.0, log=True),
    l2=Float(1e-8, 10.0, log=True),
    linear_decay=Float(1e-7, 1e-4, log=True),
    exponential_decay=Float(1e-6, 1e-3, log=True),
)
"""The published space of Adam with eight numbers."""


@dataclass(frozen=True, eq=False)
class Table:
    """Recorded runs of one task.

    Attributes:
        rows: params and the last validation loss, NaN where the run diverged.
        untrained: median loss before training.
    """

    name: str
    rows: tuple[Row, ...]
    untrained: float

    def capped(self, loss: float) -> float:
        """Return the loss, at most that of an untrained network; NaN remains NaN."""
        return loss if np.isnan(loss) else min(loss, self.untrained)

    @cached_property
    def recording(self) -> Recording:
        """Rows by distance."""
        return Recording(Encoder(SPACE), list(self.rows))

    @cached_property
    def forest(self) -> Any:
        """Fitted forest from points of the unit cube to capped losses; diverged is untrained."""
        try:
            from sklearn.ensemble import ExtraTreesRegressor
        except ImportError:
            raise MissingExtra("bench", "A forest of recorded runs") from None
        places = Encoder(SPACE).encode([row.params for row in self.rows])
        losses = np.array([self.capped(row.metrics["loss"]) for row in self.rows])
        losses[np.isnan(losses)] = self.untrained
        forest = ExtraTreesRegressor(N_TREES, min_samples_leaf=2, random_state=0, n_jobs=1)
        return forest.fit(places, losses)


@dataclass(frozen=True, slots=True)
class Nearest:
    """Gives the loss of the nearest recorded run, as it was recorded."""

    file: str

    def __call__(self, params: Params) -> float:
        """Return the last validation loss; NaN or huge where the run diverged."""
        return float(_table(self.file).recording.nearest(params).metrics["loss"])


@dataclass(frozen=True, slots=True)
class CappedNearest:
    """Gives the same loss for the score, in which a diverged run counts as untrained."""

    file: str

    def __call__(self, params: Params) -> float:
        """Return the last validation loss, at most that of an untrained network."""
        table = _table(self.file)
        return table.capped(float(table.recording.nearest(params).metrics["loss"]))


@dataclass(frozen=True, slots=True)
class Forest:
    """Gives the mean loss that a forest of the recorded runs predicts."""

    file: str

    def __call__(self, params: Params) -> float:
        """Return the predicted loss."""
        place = Encoder(SPACE).encode([params])
        return float(_table(self.file).forest.predict(place)[0])


def suite(
    seed: int = 0, *, data: str | Path | None = None, lookup: Lookup = "nearest"
) -> list[Problem]:
    """Return one problem per recorded task; the seed draws each default among the finished runs.

    A task is the training of a text classifier by Adam with eight numbers, 1,000 times. Half of
    the runs end at the loss of guessing, and up to a quarter diverge. The objective returns what
    was recorded, 1e34 and NaN included; the score counts a diverged run as an untrained network.

    Args:
        seed: 0 or more.
        data: folder of TaskSet's curves, one `.json` or `.json.gz` file per task with a list of
            `{"hp": {...}, "valid": {"loss": [...]}}`.
        lookup: `nearest` returns the result of the nearest recorded run; `forest` the prediction
            of 60 extremely randomised trees, which is smoother.

    Reference: Metz, Maheswaranathan, Sun, Freeman, Poole, Sohl-Dickstein (2020), Using a
    thousand optimization tasks to learn hyperparameter search strategies, appendix (adam8p).

    Raises:
        InvalidArgument: no folder, no curves in it, malformed curves, or an unknown lookup.
        MissingExtra: `forest` without scikit-learn.
    """
    if lookup not in get_args(Lookup):
        raise InvalidArgument(f'taskset: lookup={lookup!r}, expected "nearest" or "forest".')
    return [
        _problem(file, np.random.default_rng([seed, i]), seed, lookup=lookup)
        for i, file in enumerate(_files(data))
    ]


def _files(data: str | Path | None) -> list[Path]:
    if data is None:
        raise InvalidArgument(
            "taskset: no data folder given; give one with TaskSet's curves "
            "(--suite taskset:data=DIR). The curves are not part of tunekit; DyHPO's repository "
            "holds them."
        )
    root = Path(data)
    files = sorted(file for pattern in PATTERNS for file in root.glob(pattern))
    if not files:
        raise InvalidArgument(
            f'taskset: no curves in "{root}"; expected a folder of .json or .json.gz files, one '
            "per task."
        )
    return files


def _problem(file: Path, rng: np.random.Generator, seed: int, *, lookup: Lookup) -> Problem:
    table = _table(str(file))
    finished = [row.params for row in table.rows if np.isfinite(row.metrics["loss"])]
    space = with_defaults(SPACE, "", finished[rng.integers(len(finished))])
    name = f"taskset/{table.name}-{seed}"
    if lookup == "forest":
        _ = table.forest  # fail here once instead of in every trial
        return Problem(name, space, Forest(str(file)), tags={"pool": FOREST_POOL})
    losses = [row.metrics["loss"] for row in table.rows]
    return Problem(
        name,
        space,
        Nearest(str(file)),
        best_known=float(np.nanmin(losses)),
        exact=CappedNearest(str(file)),
        tags={"recorded": str(len(losses))},
    )


@lru_cache(maxsize=16)
def _table(file: str) -> Table:
    """Read the table of a file, once per process."""
    runs = read_runs(Path(file))
    try:
        rows = tuple(_row(run) for run in runs)
        untrained = float(np.nanmedian([float(run["valid"]["loss"][0]) for run in runs]))
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise InvalidArgument(
            f'taskset: "{file}" is malformed ({type(error).__name__}: {error}); expected a list '
            'of {"hp": {...}, "valid": {"loss": [...]}} with the eight numbers of Adam.'
        ) from None
    return Table(Path(file).name.removesuffix(".gz").removesuffix(".json"), rows, untrained)


def _row(run: Mapping[str, Any]) -> Row:
    hp = run["hp"]
    params = {
        name: 1.0 - hp[name.removeprefix("one_minus_")] if name not in hp else hp[name]
        for name in SPACE.by_path
    }
    return Row(SPACE.validate(params), {"loss": float(run["valid"]["loss"][-1])})
