"""Exports trials as flat rows, a DataFrame, or a JSON, CSV or Parquet file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunekit.errors import InvalidArgument, MissingExtra, StorageError
from tunekit.identifiers import new_id
from tunekit.records import Report, StudyRecord, TrialRecord
from tunekit.studies.export_columns import ExportColumns
from tunekit.studies.export_formats import csv_table, json_row, parquet_table

if TYPE_CHECKING:
    import pandas as pd

VERSION = 1
"""Version of the exported forms; it grows when a key is renamed or removed."""


def rows(trials: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """Return one flat mapping per trial, all with the same keys, `None` for missing values.

    A metric has its own name, or `metrics.<name>` where another key has that name.
    """
    columns = ExportColumns.of(trials)
    return [columns.row(t) for t in trials]


def dataframe(trials: Sequence[TrialRecord]) -> pd.DataFrame:
    """Return the rows as a pandas DataFrame.

    Raises:
        MissingExtra: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtra("export", "A DataFrame") from None
    return pd.DataFrame(rows(trials))


def write(
    path: Path,
    study: StudyRecord,
    trials: Sequence[TrialRecord],
    reports: Mapping[int, Sequence[Report]],
) -> Path:
    """Write all trials to a file, whole or not at all; JSON holds the reports as well.

    Raises:
        InvalidArgument: the file name does not end in json, csv or parquet.
        MissingExtra: Parquet without pyarrow.
        StorageError: the file cannot be written.
    """
    writers = {".json": _write_json, ".csv": _write_csv, ".parquet": _write_parquet}
    if path.suffix not in writers:
        raise InvalidArgument(
            f"cannot export to {str(path)!r}: expected a name ending in {', '.join(writers)}."
        )
    return write_whole(path, lambda partial: writers[path.suffix](partial, study, trials, reports))


def write_whole(path: Path, write: Callable[[Path], object]) -> Path:
    """Write a file whole or not at all: `write` fills another one, which then takes its place.

    Raises:
        StorageError: the file cannot be written.
    """
    partial = path.with_name(f".{path.name}.{new_id(4)}")
    try:
        write(partial)
        os.replace(partial, path)
    except OSError as error:
        raise StorageError(f"cannot write {str(path)!r}: {error.strerror or error}.") from None
    finally:
        partial.unlink(missing_ok=True)
    return path


def _write_json(
    path: Path,
    study: StudyRecord,
    trials: Sequence[TrialRecord],
    reports: Mapping[int, Sequence[Report]],
) -> None:
    columns = ExportColumns.of(trials)
    document = {
        "version": VERSION,
        "study": study.spec.name,
        "objectives": {o.metric: o.direction for o in study.spec.objectives},
        "constraints": [str(c) for c in study.spec.constraints],
        "seed": study.spec.seed,
        "trials": [json_row(columns, t, reports.get(t.number, ())) for t in trials],
    }
    path.write_text(json.dumps(document, indent=1, allow_nan=False), encoding="utf-8")


def _write_csv(path: Path, study: StudyRecord, trials: Sequence[TrialRecord], _: object) -> None:
    with path.open("wb") as file:
        file.writelines(csv_table(ExportColumns.of(trials), [trials]))


def _write_parquet(
    path: Path, study: StudyRecord, trials: Sequence[TrialRecord], _: object
) -> None:
    with path.open("wb") as file:
        file.writelines(parquet_table(study.spec.name, ExportColumns.of(trials), [trials]))
