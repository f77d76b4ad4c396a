"""Writes rows of trials as JSON Lines, CSV and Parquet, batch by batch in constant memory.

Trials are read twice: once for the columns, once for the rows.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tunekit.errors import MissingExtra, StorageError
from tunekit.records import Report, TrialRecord
from tunekit.studies.export_columns import ExportColumns, LongInt, metric_key

ROWS = 1000
"""Rows of one group in a Parquet file."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Batch = Sequence[TrialRecord]
Curves = Mapping[int, Sequence[Report]]


def json_row(
    columns: ExportColumns, trial: TrialRecord, reports: Sequence[Report]
) -> dict[str, Any]:
    """Return a trial with its reports as plain JSON."""
    curve = [
        {"step": r.step, **_plain({metric_key(k): v for k, v in r.metrics.items()})}
        for r in reports
    ]
    return {**_plain(columns.row(trial)), "reports": curve}


def json_lines(columns: ExportColumns, batches: Iterable[tuple[Batch, Curves]]) -> Iterator[bytes]:
    """Yield one line for each trial, in one piece a batch."""
    for trials, curves in batches:
        rows = [json_row(columns, t, curves.get(t.number, ())) for t in trials]
        yield "".join(f"{json.dumps(row, allow_nan=False)}\n" for row in rows).encode()


def csv_table(
    columns: ExportColumns, batches: Iterable[Batch], *, disarms: bool = False
) -> Iterator[bytes]:
    """Yield the header, then the rows of each batch.

    Args:
        columns: the columns.
        batches: trials.
        disarms: whether to put an apostrophe before a text that a spreadsheet would run as a
            formula.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([_disarmed(name) if disarms else name for name in columns.names])
    for trials in batches:
        for t in trials:
            cells = columns.row(t).values()
            writer.writerow([_disarmed(c) for c in cells] if disarms else cells)
        yield _taken(text)
    yield _taken(text)


def parquet_table(name: str, columns: ExportColumns, batches: Iterable[Batch]) -> Iterator[bytes]:
    """Yield a Parquet file of the rows, with the study's name as metadata.

    A column whose values have no common plain type holds JSON texts.

    Raises:
        MissingExtra: pyarrow is not installed.
        StorageError: a trial has changed since its columns were read.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtra("export", "Parquet") from None
    names = columns.names
    as_json = {n for n in names if _is_mixed(columns.kinds.get(n, set()))}
    fields = [
        (_utf8(n), pa.string() if n in as_json else _arrow_type(pa, columns.kinds.get(n, set())))
        for n in names
    ]
    schema = pa.schema(fields, metadata={"tunekit.study": _utf8(name)})
    # Parquet is written from front to back, so what is there can be sent before the rest.
    with pq.ParquetWriter(sink := _Sink(), schema) as writer:
        for trials in _grouped(batches, ROWS):
            rows = [columns.row(t) for t in trials]
            arrays = []
            for n, (_, kind) in zip(names, fields, strict=True):
                values = [row[n] for row in rows]
                arrays.append(_array(pa, _as_json(values) if n in as_json else values, kind))
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            yield sink.taken()
    yield sink.taken()


class _Sink(io.RawIOBase):
    """A file that is only written, and whose content can be taken away."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._size += len(part)
        return len(part)

    def tell(self) -> int:
        return self._size

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _grouped(batches: Iterable[Batch], n: int) -> Iterator[Batch]:
    """Yield batches of about `n` trials."""
    group: list[TrialRecord] = []
    for batch in batches:
        group += batch
        if len(group) >= n:
            yield group
            group = []
    if group:
        yield group


def _arrow_type(pa: Any, kinds: set[type]) -> Any:
    if not kinds:
        return pa.null()
    if kinds == {int, float}:
        return pa.float64()
    if LongInt in kinds:
        return pa.int64()
    plain = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}
    return plain[next(iter(kinds))]


def _array(pa: Any, values: Sequence[object], kind: Any) -> Any:
    try:
        return pa.array(values, kind)
    except (ValueError, TypeError, OverflowError):
        raise StorageError(
            "a trial has changed while its study was exported; export it again."
        ) from None


def _is_mixed(kinds: set[type]) -> bool:
    """Return whether values have no common plain type, which a column of a table needs."""
    return not any(kinds <= plain for plain in ({bool}, {int, LongInt}, {int, float}, {str}))


def _as_json(values: Sequence[object]) -> list[str | None]:
    return [None if v is None else json.dumps(v) for v in values]


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row with NaN and infinities as text, for which JSON has no number."""
    return {
        k: str(v) if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()
    }


def _disarmed(cell: object) -> object:
    """Return a cell that a spreadsheet takes for text, not for a formula.

    Reference:
        OWASP, CSV Injection.
    """
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _taken(text: io.StringIO) -> bytes:
    # Halves of surrogates, which JSON holds and UTF-8 does not, are written as escapes.
    content = text.getvalue().encode("utf-8", "backslashreplace")
    text.seek(0)
    text.truncate()
    return content


def _utf8(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
