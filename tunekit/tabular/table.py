"""Reads a table of recorded results into points of a space and losses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

import numpy as np

from tunekit.checks import is_number
from tunekit.errors import InvalidArgument, InvalidParams, did_you_mean
from tunekit.history import History
from tunekit.noise.replicates import Key, key_of
from tunekit.records import Direction, ObjectiveSpec
from tunekit.spaces import Constant, Int, Parameter, Params, Scalar, Space
from tunekit.spaces.domains import plain
from tunekit.spaces.versions import fitted

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


class RecordedStudy(Protocol):
    """The part of a study that a table needs."""

    @property
    def space(self) -> Space: ...  # noqa: D102
    @property
    def objectives(self) -> tuple[ObjectiveSpec, ...]: ...  # noqa: D102
    def refresh(self) -> History: ...  # noqa: D102


Data: TypeAlias = "pd.DataFrame | Sequence[Mapping[str, Any]] | RecordedStudy"

MIN_ROWS = 10
"""Minimum number of different points to predict others."""

NAMED = 5
"""Maximum number of rows that a message names."""


@dataclass(frozen=True)
class RecordedPoints:
    """Recorded points and their results.

    Attributes:
        points: distinct points of the space; losses of equal ones are averaged.
        losses: `(n,)` losses, less is better.
        rows: for each point the number of its first row in the data, from 0, or the number of
            its trial in a study.
    """

    space: Space
    objective: ObjectiveSpec
    points: list[Params]
    losses: NDArray[np.float64]
    rows: list[int]


def read(
    data: Data, space: Space | None, objective: str | Mapping[str, Direction] | None
) -> RecordedPoints:
    """Return the table in the data; see `tunekit.offline`.

    Raises:
        InvalidArgument: the data are not a table, lack a column, contain a non-finite result, or
            have too few rows.
        InvalidParams: a value lies outside the space; the message gives its row.
    """
    if hasattr(data, "refresh") and hasattr(data, "objectives"):
        table = _of_study(cast(RecordedStudy, data), space, objective)
    else:
        records = _records(data)
        if not isinstance(space, Space):
            raise InvalidArgument(
                f"offline: space={space!r}, expected a Space for a table; give space=... ."
            )
        table = _of_records(records, space, _objective(objective, "value"))
    if len(table.points) < MIN_ROWS:
        raise InvalidArgument(
            f"offline: {len(table.points)} different point(s) with a result, expected {MIN_ROWS} "
            "or more; record more results, or tune online."
        )
    return table


def _of_study(
    study: RecordedStudy, space: Space | None, objective: str | Mapping[str, Direction] | None
) -> RecordedPoints:
    history = study.refresh()
    wanted = _objective(objective, study.objectives[0].metric)
    for known in study.objectives:
        if known.metric == wanted.metric and not isinstance(objective, Mapping):
            wanted = known
    to = study.space if space is None else space
    trials = [t for t in history.complete() if history.violation(t) == 0.0]
    found = []
    for t in trials:
        point = fitted(t.params or {}, to)
        value = t.metrics.get(wanted.metric, math.nan)
        if point is not None and math.isfinite(value):
            found.append((t.number, point, wanted.loss(value)))
    return _merged(to, wanted, found)


def _of_records(
    records: list[dict[str, Any]], space: Space, objective: ObjectiveSpec
) -> RecordedPoints:
    if not records:
        return _merged(space, objective, [])
    columns = list(dict.fromkeys(key for record in records for key in record))
    if objective.metric not in columns:
        hint = did_you_mean(objective.metric, columns)
        raise InvalidArgument(
            f'offline: the data have no column "{objective.metric}"{hint}; they have '
            f"{', '.join(columns)}. Name the result with objective=... ."
        )
    names = _names(columns, space, objective.metric)
    bad = [i for i, record in enumerate(records) if not _is_finite(record.get(objective.metric))]
    if bad:
        shown = ", ".join(map(str, bad[:NAMED])) + (", ..." if len(bad) > NAMED else "")
        raise InvalidArgument(
            f'offline: "{objective.metric}" is not a finite number in row(s) {shown}; leave '
            "these rows out."
        )
    found = []
    for i, record in enumerate(records):
        given = {path: record.get(column) for path, column in names.items()}
        found.append((i, _point(space, given, i), objective.loss(float(record[objective.metric]))))
    return _merged(space, objective, found)


def _records(data: object) -> list[dict[str, Any]]:
    to_dict = getattr(data, "to_dict", None)
    if callable(to_dict) and hasattr(data, "columns"):  # a DataFrame
        return [{str(k): v for k, v in row.items()} for row in to_dict("records")]
    if isinstance(data, Iterable) and not isinstance(data, str | bytes | Mapping):
        records = list(data)
        if all(isinstance(record, Mapping) for record in records):
            return [{str(k): v for k, v in record.items()} for record in records]
    raise InvalidArgument(
        f"offline: data of type {type(data).__name__}, expected a DataFrame, a list of mappings "
        "(one per row), or a study."
    )


def _names(columns: Sequence[str], space: Space, metric: str) -> dict[str, str]:
    """Return path -> column, for columns named by path or unique short name.

    Either may have the prefix `params.`, as in tables that a study exports.
    """
    names: dict[str, str] = {}
    for column in columns:
        try:
            path = space.resolve(column.removeprefix("params."))
        except KeyError:
            continue
        if column != metric:
            names.setdefault(path, column)
    missing = [
        p.path
        for p in space
        if not p.conditions and p.path not in names and not isinstance(p.domain, Constant)
    ]
    if missing:
        raise InvalidArgument(
            f"offline: the data have no column for {', '.join(missing)}; they have "
            f"{', '.join(columns) or 'none'}. Add the value of every row."
        )
    return names


def _point(space: Space, given: Mapping[str, Any], row: int) -> Params:
    """Return the point of a row, ignoring cells of inactive parameters."""
    point: dict[str, Scalar] = {}
    try:
        for p in space:
            if not p.is_active(point):
                continue
            if isinstance(p.domain, Constant):
                point[p.path] = p.domain.value
            else:
                point[p.path] = _cell(p, given.get(p.path))
    except InvalidParams as error:
        text = f"offline: row {row}: {error.message} Correct or remove the row."
        raise InvalidParams(text) from None
    return Params(point, space)


def _cell(p: Parameter, given: object) -> Scalar:
    try:
        value = plain(given)
    except TypeError as error:
        raise InvalidParams(f'parameter "{p.path}": {error}.') from None
    if isinstance(value, float) and math.isnan(value):  # an empty cell of a DataFrame
        value = None
    if isinstance(p.domain, Int) and isinstance(value, float) and value.is_integer():
        value = int(value)  # ... which turns the whole column into floats
    if value is None and None not in getattr(p.domain, "choices", ()):
        raise InvalidParams(f'no value for the active parameter "{p.path}".')
    return p.domain.validate(value, p.path)


def _merged(
    space: Space, objective: ObjectiveSpec, found: Sequence[tuple[int, Params, float]]
) -> RecordedPoints:
    groups: dict[Key, list[int]] = {}
    for i, (_, point, _) in enumerate(found):
        groups.setdefault(key_of(point), []).append(i)
    firsts = [members[0] for members in groups.values()]
    losses = [float(np.mean([found[i][2] for i in members])) for members in groups.values()]
    return RecordedPoints(
        space,
        objective,
        [found[i][1] for i in firsts],
        np.array(losses),
        [found[i][0] for i in firsts],
    )


def _objective(given: str | Mapping[str, Direction] | None, default: str) -> ObjectiveSpec:
    if given is None:
        return ObjectiveSpec(default)
    if isinstance(given, str):
        return ObjectiveSpec(given)
    if isinstance(given, Mapping) and len(given) == 1:
        ((metric, direction),) = given.items()
        return ObjectiveSpec(metric, direction)
    raise InvalidArgument(
        f'offline: objective={given!r}, expected the name of a column or {{"error": "minimize"}}.'
    )


def _is_finite(value: object) -> bool:
    try:
        number = plain(value)
    except TypeError:
        return False
    if not is_number(number):
        return False
    return math.isfinite(number)
