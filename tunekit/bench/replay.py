"""Replays recorded trials as problems, from a study, a table, or a set of learning curves."""

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
    """Return recorded trials as problems; give exactly one of `storage`, `table` and `curves`.

    Args:
        seed: chooses the tasks of a folder of curves.
        storage: URL of a storage; also give `study`. The problem keeps the study's space,
            objectives, constraints, failures and durations.
        study: name of the study.
        table: a CSV or Parquet file with one row per trial; also give `params` and `metric`.
            Repeated rows are averaged.
        params: parameter columns of the table; a list or a comma-separated text.
        metric: column to tune.
        direction: direction of that column.
        seconds: column of trial durations, if there is one.
        lookup: `nearest` returns the nearest row in the unit cube of the ranges; `exact` makes
            the space discrete and fails points that were not recorded.
        curves: a file or folder of learning curves in TaskSet's format.
        n_tasks: number of tasks to take from that folder.

    Raises:
        InvalidArgument: none or several sources, or an unusable one.
        UnknownStudy, StorageError: as `tunekit.load_study`.
        MissingExtra: Parquet without pyarrow.
    """
    sources = {"storage": storage, "table": table, "curves": curves}
    given = [name for name, source in sources.items() if source is not None]
    if len(given) != 1:
        raise InvalidArgument(
            f"replay: got the sources {given}; expected exactly one of {list(sources)}."
        )
    if lookup not in ("nearest", "exact"):
        raise InvalidArgument(f'replay: lookup={lookup!r}, expected "nearest" or "exact".')
    if curves is not None:
        return curve_files.problems(curves, seed, n_tasks=n_tasks)
    if storage is not None:
        if not study:
            raise InvalidArgument("replay: storage= needs the name of a study; give study=.")
        return [_of_study(study, storage)]
    assert table is not None
    names = params.split(",") if isinstance(params, str) else list(params or ())
    if not names or not metric:
        raise InvalidArgument("replay: table= needs column names; give params= and metric=.")
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
