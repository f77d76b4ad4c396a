"""A table of the trials with the columns of Optuna's `trials_dataframe`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tunekit.checks import shown
from tunekit.errors import InvalidArgument, MissingExtra, did_you_mean
from tunekit.records import OPTUNA_STATES, ObjectiveSpec, TrialRecord

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "number", "value", "values", "datetime_start", "datetime_complete", "duration", "params",
    "user_attrs", "intermediate_values", "last_step", "state", "sampler", "reason", "end_reason",
)  # fmt: skip


def optuna_frame(
    trials: Sequence[TrialRecord],
    objectives: Sequence[ObjectiveSpec],
    attrs: Sequence[str],
    *,
    multi_index: bool,
) -> pd.DataFrame:
    """Return one row per trial; a mapping becomes one column per key, as in `params_x`.

    Args:
        trials: the rows.
        objectives: of several, "value" becomes one column each, such as `values_0`.
        attrs: of `COLUMNS`, in this order.
        multi_index: two levels of columns in place of joined names.

    Raises:
        InvalidArgument: another attribute.
        MissingExtra: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtra("export", "A DataFrame") from None
    for attr in attrs:
        if attr not in COLUMNS:
            raise InvalidArgument(
                f"attrs={shown(attr)}{did_you_mean(attr, COLUMNS)}, expected some of "
                f"{list(COLUMNS)}."
            )
    several = len(objectives) > 1
    wanted = ["values" if a == "value" and several else a for a in attrs]
    names = _names(objectives)
    rows = [_row(t, wanted, names) for t in trials]
    columns = [key for attr in wanted for key in _keys(rows, attr)]
    if not rows:
        return pd.DataFrame()
    frame = pd.DataFrame(rows, columns=pd.MultiIndex.from_tuples(columns))
    if not multi_index:
        frame.columns = pd.Index(["_".join(part for part in c if part) for c in columns])
    return frame


def _names(objectives: Sequence[ObjectiveSpec]) -> list[str]:
    """Return how Optuna calls the objectives: by position where nobody named them."""
    metrics = [o.metric for o in objectives]
    if metrics == [f"value_{i}" for i in range(len(metrics))] or metrics == ["value"]:
        return [str(i) for i in range(len(metrics))]
    return metrics


def _row(
    trial: TrialRecord, attrs: Sequence[str], names: Sequence[str]
) -> dict[tuple[str, str], Any]:
    row: dict[tuple[str, str], Any] = {}
    for attr in attrs:
        if attr == "values":
            values = trial.values
            row |= {(attr, n): None if values is None else values[i] for i, n in enumerate(names)}
        elif attr == "value":
            row[attr, "" if names == ["0"] else names[0]] = trial.value
        elif attr == "state":
            row[attr, ""] = OPTUNA_STATES[trial.state]
        elif isinstance(value := getattr(trial, attr), Mapping):
            row |= {(attr, str(key)): v for key, v in value.items()}
        elif attr != "params":  # which are `None` before the proposal
            row[attr, ""] = value
    return row


def _keys(rows: Sequence[Mapping[tuple[str, str], Any]], attr: str) -> list[tuple[str, str]]:
    found = dict.fromkeys(key for row in rows for key in row if key[0] == attr)
    return list(found) if attr in ("values", "value") else sorted(found)
