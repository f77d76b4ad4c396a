"""Recorded trials as problems: of a study, of a table, or learning curves of many runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from tunekit.api import load_study
from tunekit.bench import curves as curve_files
from tunekit.bench import recorded, tables
from tunekit.bench.problem import Problem
from tunekit.bench.recorded import Row
from tunekit.errors import InvalidArgument
from tunekit.records import Direction, ObjectiveSpec, TrialRecord, TrialState
from tunekit.spaces.encode import Encoder

Lookup: TypeAlias = Literal["nearest", "exact"]


def suite(
    seed: int = 0,
    *,
    storage: str | None = None,
    study: str | None = None,
    table: str | Path | None = None,
    params: str | Sequence[str] | None = None,
    metric: str | None = None,
    direction: Direction = "minimize",
    seconds: str | None = None,
    lookup: Lookup = "nearest",
    curves: str | Path | None = None,
    n_tasks: int = 8,
) -> list[Problem]:
    """Return recorded trials as problems; give one of `storage`, `table` and `curves`.

    Args:
        seed: chooses the tasks of a folder of curves.
        storage: URL of a storage, together with the name of a `study` in it; its space,
            objectives, constraints, failures and times are kept.
        study: the name of the study.
        table: a CSV or Parquet file with a row for each trial, together with `params` and
            `metric`. Repeated rows are averaged.
        params: columns of the table that are parameters, also as one text with commas.
        metric: the column that is tuned.
        direction: of that column.
        seconds: the column of how long a trial took, if there is one.
        lookup: `nearest` answers a point by the nearest row in the unit cube of the ranges;
            `exact` makes the space discrete, and what was not recorded is a failed trial.
        curves: a file or folder of learning curves in the form of TaskSet.
        n_tasks: how many tasks of that folder.

    Raises:
        InvalidArgument: none or several sources, or one that cannot be used.
        UnknownStudy, StorageError: as `tunekit.load_study`.
        MissingExtra: Parquet without pyarrow.
    """
    sources = {"storage": storage, "table": table, "curves": curves}
    given = [name for name, source in sources.items() if source is not None]
    if len(given) != 1:
        raise InvalidArgument(
            f"replay: the sources {given} are given; expected exactly one of {list(sources)}."
        )
    if lookup not in ("nearest", "exact"):
        raise InvalidArgument(f'replay: lookup={lookup!r}, expected "nearest" or "exact".')
    if curves is not None:
        return curve_files.problems(curves, seed, n_tasks=n_tasks)
    if storage is not None:
        if not study:
            raise InvalidArgument("replay: a storage without the name of a study; give study=.")
        return [_of_study(study, storage)]
    assert table is not None
    names = params.split(",") if isinstance(params, str) else list(params or ())
    if not names or not metric:
        raise InvalidArgument("replay: a table needs params= and metric=, names of its columns.")
    space, rows = tables.recording_of(
        table, names, metric=metric, seconds=seconds, is_exact=lookup == "exact"
    )
    return [
        recorded.as_problem(
            Path(table).stem,
            Encoder(space),
            rows=rows,
            objectives=(ObjectiveSpec(metric, direction),),
            is_exact=lookup == "exact",
        )
    ]


def _of_study(name: str, storage: str) -> Problem:
    study = load_study(name, storage=storage)
    ended = (TrialState.COMPLETE, TrialState.DIVERGED, TrialState.FAILED)
    trials = [t for t in study.trials if t.state in ended and t.params is not None]
    spec = study.record().spec
    return recorded.as_problem(
        name,
        Encoder(study.space),
        rows=[_row(t) for t in trials],
        objectives=spec.objectives,
        constraints=spec.constraints,
    )


def _row(trial: TrialRecord) -> Row:
    assert trial.params is not None
    has_failed = trial.state is TrialState.FAILED
    failure = (trial.end_reason or "for no known reason") if has_failed else ""
    return Row(trial.params, trial.metrics, trial.duration_s, failure)
