"""Reads runs as rows: from studies, DataFrames, lists of mappings, CSV and Parquet files."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from tunekit.checks import shown
from tunekit.errors import InvalidArgument, MissingExtra
from tunekit.history import History
from tunekit.records import ObjectiveSpec
from tunekit.scaling.roles import STUDY
from tunekit.spaces import Space
from tunekit.studies.export_columns import ExportColumns
from tunekit.tabular.table import RecordedStudy

if TYPE_CHECKING:
    import pandas as pd

Row: TypeAlias = Mapping[str, Any]


class LawStudy(RecordedStudy, Protocol):
    """The part of a study that a law is fitted from."""

    name: str


Source: TypeAlias = "LawStudy | str | Path | pd.DataFrame | Sequence[Row] | Mapping[str, Any]"
Data: TypeAlias = "Source | Sequence[Source]"
"""A study, a `.csv` or `.parquet` file, a DataFrame, rows, columns by name, or several."""


@dataclass(frozen=True, slots=True)
class RunTable:
    """The rows of one source.

    Attributes:
        name: of the study or the file, as messages name it.
        rows: one mapping a run.
        columns: all names in the rows, in order.
        scales: role -> path of the scale axes of a study's space.
        target: largest value of each of these axes, by role.
        objectives: of a study; empty for others.
    """

    name: str
    rows: Sequence[Row]
    columns: tuple[str, ...]
    scales: Mapping[str, str] = field(default_factory=dict)
    target: Mapping[str, float] = field(default_factory=dict)
    objectives: tuple[ObjectiveSpec, ...] = ()


def tables_of(data: Data) -> list[RunTable]:
    """Return the rows of each source in the data.

    Raises:
        InvalidArgument: something that is not a source of runs, or a file that cannot be read.
        MissingExtra: a Parquet file, and pyarrow is not installed.
    """
    return [_table(source, i) for i, source in enumerate(_sources(data))]


def _sources(data: Any) -> Sequence[Any]:
    """Return the single sources; a list of rows is one."""
    if isinstance(data, Sequence) and not isinstance(data, str) and data:
        is_rows = all(isinstance(part, Mapping) and not _is_columns(part) for part in data)
        return [data] if is_rows else data
    return [data]


def _table(source: Any, place: int) -> RunTable:
    if hasattr(source, "refresh") and hasattr(source, "objectives"):
        return _of_study(cast(LawStudy, source))
    if isinstance(source, str | Path):
        return _of_file(Path(source))
    name = f"table {place + 1}"
    to_dict = getattr(source, "to_dict", None)
    if callable(to_dict) and hasattr(source, "columns"):  # a DataFrame
        return _of_rows(name, to_dict("records"))
    if isinstance(source, Mapping) and _is_columns(source):
        return _of_rows(name, _transposed(source))
    if isinstance(source, Iterable) and not isinstance(source, Mapping | bytes):
        rows = list(source)
        if all(isinstance(row, Mapping) for row in rows):
            return _of_rows(name, rows)
    raise InvalidArgument(
        f"scaling: data={shown(source)}, expected a study, a .csv or .parquet file, a DataFrame, "
        "a list of mappings (one a run), columns by name, or a list of these."
    )


def of_history(name: str, history: History, space: Space | None) -> RunTable:
    """Return the table of a study's trials, as they are exported."""
    trials = list(history)
    columns = ExportColumns.of(trials)
    rows = [{**columns.row(t), STUDY: name} for t in trials]
    scales = {} if space is None else space.scales
    target = {} if space is None else {r: float(space.target[p]) for r, p in scales.items()}  # type: ignore[arg-type]
    return RunTable(name, rows, (*columns.names, STUDY), scales, target, tuple(history.objectives))


def _of_study(study: LawStudy) -> RunTable:
    return of_history(study.name, study.refresh(), study.space)


def _of_file(path: Path) -> RunTable:
    kind = path.suffix.lower()
    if kind not in (".csv", ".parquet"):
        raise InvalidArgument(
            f'scaling: "{path}", expected a file ending in .csv or .parquet, or a study; open one '
            "with tunekit.load_study(name, storage=...)."
        )
    try:
        rows = _csv_rows(path) if kind == ".csv" else _parquet_rows(path)
    except OSError as error:
        raise InvalidArgument(f'scaling: "{path}" cannot be read: {error.strerror}.') from None
    return _of_rows(path.stem, rows)


def _csv_rows(path: Path) -> list[dict[str, Any]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return [{k: v for k, v in row.items() if k} for row in csv.DictReader(file)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidArgument(f'scaling: "{path}" is not a CSV table in UTF-8: {error}.') from None


def _parquet_rows(path: Path) -> list[dict[str, Any]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtra("export", "Reading Parquet") from None
    try:
        found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    except pa.ArrowInvalid as error:
        raise InvalidArgument(f'scaling: "{path}" is not a Parquet table: {error}.') from None
    return found


def _of_rows(name: str, rows: Iterable[Row]) -> RunTable:
    named = [{**{str(k): v for k, v in row.items()}} for row in rows]
    columns = tuple(dict.fromkeys(key for row in named for key in row))
    if STUDY not in columns:
        named, columns = [{**row, STUDY: name} for row in named], (*columns, STUDY)
    return RunTable(name, named, columns)


def _is_columns(source: Mapping[str, Any]) -> bool:
    values = list(source.values())
    return bool(values) and all(
        hasattr(v, "__len__") and hasattr(v, "__getitem__") and not isinstance(v, str)
        for v in values
    )


def _transposed(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name}: {n}" for name, n in lengths.items())
        raise InvalidArgument(
            f"scaling: the columns have different lengths ({listed}); give every column one value "
            "a run."
        )
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
