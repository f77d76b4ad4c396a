"""Reads a table of recorded trials and derives the search space from its columns."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tunekit.bench.recorded import Row
from tunekit.checks import is_number
from tunekit.errors import InvalidArgument, MissingExtra, did_you_mean
from tunekit.spaces import Categorical, Float, Int, Params, Scalar, Space

LOG_RATIO = 100.0
"""Minimum ratio of a range's ends for a log scale; below it, the range is linear."""
BLANK = ("", None)


def recording_of(
    path: str | Path,
    params: Sequence[str],
    *,
    metric: str,
    seconds: str | None,
    is_exact: bool,
) -> tuple[Space, list[Row]]:
    """Return a table's space and rows; repeated rows are averaged.

    Raises:
        InvalidArgument: an unknown file or column, or blanks or text in a numeric column.
        MissingExtra: Parquet without pyarrow.
    """
    table = read(path)
    columns = {name: column(table, name) for name in params}
    space = spanned(columns, is_exact=is_exact)
    texts = {name for name, values in columns.items() if not _is_numeric(values)}
    results = _numbers(table, metric)
    times = _numbers(table, seconds) if seconds else [None] * len(table)
    groups: dict[tuple[Any, ...], tuple[Params, list[int]]] = {}
    for i, row in enumerate(table):
        given = {name: str(row[name]) if name in texts else row[name] for name in params}
        point = space.validate(given)
        groups.setdefault(tuple(point.values()), (point, []))[1].append(i)
    return space, [
        Row(
            point,
            {metric: float(np.mean([results[i] for i in repeats]))},
            float(np.mean([times[i] for i in repeats])) if seconds else None,
        )
        for point, repeats in groups.values()
    ]


def read(path: str | Path) -> list[dict[str, Any]]:
    """Read the rows of a CSV or Parquet file; cells that parse as numbers become numbers.

    Raises:
        InvalidArgument: the file does not exist, has no rows, or has another extension.
        MissingExtra: Parquet without pyarrow.
    """
    file = Path(path)
    if not file.is_file():
        raise InvalidArgument(f'replay: no file "{file}"; check the path.')
    if file.suffix == ".csv":
        with file.open(newline="", encoding="utf-8") as lines:
            rows = [{k: _number(v) for k, v in row.items()} for row in csv.DictReader(lines)]
    elif file.suffix == ".parquet":
        rows = _read_parquet(file)
    else:
        raise InvalidArgument(f'replay: "{file}" is not a .csv or .parquet file; convert it.')
    if not rows:
        raise InvalidArgument(f'replay: "{file}" has no rows; expected one per trial.')
    return rows


def column(rows: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    """Return the values of a column.

    Raises:
        InvalidArgument: the column does not exist.
    """
    if name not in rows[0]:
        raise InvalidArgument(
            f'replay: no column "{name}"{did_you_mean(name, map(str, rows[0]))}; there are '
            f"{', '.join(map(str, rows[0]))}."
        )
    return [row[name] for row in rows]


def spanned(columns: Mapping[str, Sequence[Scalar]], *, is_exact: bool) -> Space:
    """Return the space that covers the recorded values.

    Text becomes a categorical. Numbers become a range, linear or log, whichever puts their
    median nearer to the middle; with `is_exact`, they become an ordered categorical.

    Raises:
        InvalidArgument: a column has blanks.
    """
    return Space({name: _node(name, values, is_exact) for name, values in columns.items()})


def _node(name: str, values: Sequence[Any], is_exact: bool) -> Float | Int | Categorical:
    if any(v in BLANK for v in values):
        raise InvalidArgument(
            f'replay: column "{name}" has blanks; drop those rows, or replay the study itself '
            "(storage=, study=), which records inactive parameters."
        )
    if not _is_numeric(values):
        return Categorical(sorted({str(v) for v in values}))
    if is_exact:
        return Categorical(sorted(set(values)), ordered=True)
    lo, hi = min(values), max(values)
    kind = Int if all(isinstance(v, int) for v in values) else Float
    return kind(lo, hi, log=_is_log(np.asarray(values, dtype=np.float64)))


def _is_numeric(values: Sequence[Any]) -> bool:
    return all(is_number(v) for v in values)


def _numbers(rows: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """Return a column of results; a blank becomes NaN, a diverged trial."""
    values = [float("nan") if v in BLANK else v for v in column(rows, name)]
    if not _is_numeric(values):
        text = next(v for v in values if not _is_numeric([v]))
        raise InvalidArgument(f'replay: column "{name}" contains {text!r}; expected numbers.')
    return [float(v) for v in values]


def _is_log(values: np.ndarray[Any, np.dtype[np.float64]]) -> bool:
    lo, hi = float(values.min()), float(values.max())
    if lo <= 0 or hi / lo < LOG_RATIO:
        return False
    median = float(np.median(values))
    linear, log = (median - lo) / (hi - lo), np.log(median / lo) / np.log(hi / lo)
    return bool(abs(log - 0.5) < abs(linear - 0.5))


def _read_parquet(file: Path) -> list[dict[str, Any]]:
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtra("export", "Parquet") from None
    rows: list[dict[str, Any]] = pq.read_table(file).to_pylist()
    return rows


def _number(text: str | None) -> Any:
    for kind in (int, float):
        try:
            return kind(text or "")
        except ValueError:
            continue
    return text
