"""Exports trials as flat rows, a DataFrame, or a JSON, CSV or Parquet file."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunekit.errors import InvalidArgument, MissingExtra, StorageError
from tunekit.identifiers import new_id
from tunekit.records import Report, StudyRecord, TrialRecord
from tunekit.spaces import Scalar

if TYPE_CHECKING:
    import pandas as pd

VERSION = 1
"""Version of the exported forms; it grows when a key is renamed or removed."""


# `reports` and `step` are keys of the JSON form, which is made of the same rows.
_FIXED = frozenset(
    "number state sampler reason end_reason duration_s created started finished".split()
) | {"reports", "step", "branch_trial", "branch_step"}
_GROUPS = ("params.", "attrs.", "metrics.")


def rows(trials: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """Return one flat mapping per trial, all with the same keys, `None` for missing values.

    A metric has its own name, or `metrics.<name>` where another key has that name.
    """
    metrics = sorted({name for t in trials for name in t.metrics})
    paths = dict.fromkeys(path for t in trials for path in t.params or {})
    attrs = sorted({name for t in trials for name in t.user_attrs})
    return [
        {
            "number": t.number,
            "state": str(t.state),
            **{_metric_key(name): t.metrics.get(name) for name in metrics},
            **{f"params.{path}": _value(t, path) for path in paths},
            **{f"attrs.{name}": t.user_attrs.get(name) for name in attrs},
            "sampler": t.sampler,
            "reason": t.reason,
            "end_reason": t.end_reason,
            "duration_s": t.duration_s,
            "created": t.created,
            "started": t.started,
            "finished": t.finished,
            "branch_trial": None if t.branch is None else t.branch.number,
            "branch_step": None if t.branch is None else t.branch.step,
        }
        for t in trials
    ]


def _metric_key(name: str) -> str:
    """Return the key of a metric, such that no metric can take the place of another column."""
    return f"metrics.{name}" if name in _FIXED or name.startswith(_GROUPS) else name


def _value(trial: TrialRecord, path: str) -> Scalar:
    return None if trial.params is None else trial.params.get(path)


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
    partial = path.with_name(f".{path.name}.{new_id(4)}")
    try:
        writers[path.suffix](partial, study, trials, reports)
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
    document = {
        "version": VERSION,
        "study": study.spec.name,
        "objectives": {o.metric: o.direction for o in study.spec.objectives},
        "constraints": [str(c) for c in study.spec.constraints],
        "seed": study.spec.seed,
        "trials": [
            {
                **_plain(row),
                "reports": [
                    {"step": r.step, **_plain({_metric_key(k): v for k, v in r.metrics.items()})}
                    for r in reports.get(trial.number, ())
                ],
            }
            for trial, row in zip(trials, rows(trials), strict=True)
        ],
    }
    path.write_text(json.dumps(document, indent=1, allow_nan=False), encoding="utf-8")


def _write_csv(path: Path, study: StudyRecord, trials: Sequence[TrialRecord], _: object) -> None:
    table = rows(trials)
    # Halves of surrogates, which JSON holds and UTF-8 does not, are written as escapes.
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.DictWriter(file, fieldnames=list(table[0]) if table else ["number", "state"])
        writer.writeheader()
        writer.writerows(table)


def _write_parquet(
    path: Path, study: StudyRecord, trials: Sequence[TrialRecord], _: object
) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtra("export", "Parquet") from None
    table = rows(trials)
    columns = {}
    for key in table[0] if table else ():
        values = [row[key] for row in table]
        name = key.encode("utf-8", "backslashreplace").decode()
        try:
            columns[name] = pa.array(_as_json(values) if _is_mixed(values) else values)
        except (ValueError, TypeError, OverflowError):  # an int of 65 bits, a lone surrogate
            columns[name] = pa.array(_as_json(values))
    pq.write_table(pa.table(columns, metadata={"tunekit.study": study.spec.name}), path)


def _is_mixed(values: Sequence[object]) -> bool:
    """Return whether values have no common plain type, which a column of a table needs."""
    kinds = {type(v) for v in values if v is not None}
    return bool(kinds & {list, tuple, dict}) or not (len(kinds) <= 1 or kinds == {int, float})


def _as_json(values: Sequence[object]) -> list[str | None]:
    return [None if v is None else json.dumps(v) for v in values]


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row with NaN and infinities as text, for which JSON has no number."""
    return {
        k: str(v) if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()
    }
