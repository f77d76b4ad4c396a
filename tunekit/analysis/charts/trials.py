"""The table of trials, page by page, and all that is known of one trial."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from tunekit.analysis.charts.records import (
    TrialChart,
    TrialCurve,
    TrialParam,
    TrialRow,
    TrialsChart,
)
from tunekit.analysis.charts.samples import cut, interval, number, predicted, spread
from tunekit.errors import UnknownTrial
from tunekit.history import History
from tunekit.records import ObjectiveSpec, Report, TrialRecord
from tunekit.spaces import Constant, Scalar, Space

MAX_ROWS = 200
"""Rows of one page of the table."""
MAX_COLUMNS = 12
"""Parameters in the table, unless some are asked for."""
MAX_ERROR = 20_000
"""Characters of an error; its end says the most."""
MAX_STEPS = 400
"""Reports of one metric of a trial."""
MAX_METRICS = 12
"""Metrics whose reports are shown."""
MAX_LINEAGE = 50
"""Ancestors and children of a trial."""

Sort: TypeAlias = Literal["number", "value", "duration", "state", "worker"]


def trials_chart(
    history: History,
    space: Space,
    objective: ObjectiveSpec,
    paths: Sequence[str],
    *,
    sort: Sort,
    descending: bool,
    offset: int,
    seq: int,
    most: int,
) -> TrialsChart:
    """Return one page of the table of a study's trials.

    Args:
        history: the trials.
        space: their space.
        objective: the shown metric.
        paths: parameters to show; by default those that vary, in the order of the space.
        sort: what to sort by; trials without it come last.
        descending: the largest first.
        offset: place of the first row.
        seq: of the study.
        most: rows.
    """
    trials = _sorted(list(history), _KEYS[sort](objective), descending=descending)
    shown = list(paths) or _varying(trials, space)
    rows = [_row(t, objective, shown) for t in trials[offset : offset + min(most, MAX_ROWS)]]
    return TrialsChart(
        seq, len(rows), len(trials), objective.metric, offset, len(space), tuple(shown),
        tuple(rows),
    )  # fmt: skip


def trial_chart(
    history: History,
    space: Space,
    objective: ObjectiveSpec,
    asked: int,
    read: Callable[[Sequence[int]], Mapping[int, Sequence[Report]]],
    *,
    seq: int,
    most: int,
) -> TrialChart:
    """Return all that is known of one trial.

    Args:
        history: the trials.
        space: their space.
        objective: the shown metric.
        asked: number of the trial.
        read: returns the reports of trials by number.
        seq: of the study.
        most: parameters.

    Raises:
        UnknownTrial: there is none with this number.
    """
    t = history.get(asked)
    if t is None:
        raise UnknownTrial(f"the study has no trial {asked}; it has {len(history)} trials.")
    able = [x for x in history.complete() if history.violation(x) == 0.0]
    able = [x for x in able if objective.metric in x.metrics]
    able.sort(key=lambda x: (objective.loss(x.metrics[objective.metric]), x.number))
    places = {x.number: i + 1 for i, x in enumerate(able)}
    best = able[0] if able else None
    reports = read([t.number] if best is None else [t.number, best.number])
    others = _curves(reports.get(best.number, ()), objective.metric) if best is not None else ()
    params = _params(t, best, space)
    error = t.error[-MAX_ERROR:]
    children = [x.number for x in history if x.branch and x.branch.number == t.number]
    return TrialChart(
        seq, min(len(params), most), len(params),
        t.number, str(t.state), objective.metric,
        {cut(k, 300): number(v) for k, v in list(t.metrics.items())[:200]},
        tuple(params[:most]), t.sampler, cut(t.reason, 2000), cut(t.end_reason, 2000),
        error, len(t.error), cut(json.dumps(dict(t.user_attrs), default=str), 4000), t.worker,
        t.epoch, t.space_version, t.created, t.started, t.finished,
        places.get(t.number), len(able), None if best is None else best.number,
        _violation(history, t), predicted(t, objective.metric), "audit" in t.stop_evidence,
        interval(t, objective.metric), _curves(reports.get(t.number, ()), objective.metric),
        next((c for c in others if c.metric == cut(objective.metric, 300)), None),
        _lineage(history, t),
        tuple(children[:MAX_LINEAGE]), tuple([c.step for c in t.checkpoints]),
    )  # fmt: skip


def _sorted(
    trials: list[TrialRecord], key: Callable[[TrialRecord], Any], *, descending: bool
) -> list[TrialRecord]:
    known = [t for t in trials if key(t) is not None]
    known.sort(key=key, reverse=descending)
    return [*known, *(t for t in trials if key(t) is None)]


_KEYS: Mapping[Sort, Callable[[ObjectiveSpec], Callable[[TrialRecord], Any]]] = {
    "number": lambda _: lambda t: t.number,
    "value": lambda o: lambda t: number(t.metrics.get(o.metric)),
    "duration": lambda _: lambda t: t.duration_s,
    "state": lambda _: lambda t: str(t.state),
    "worker": lambda _: lambda t: t.worker or None,
}


def _varying(trials: Sequence[TrialRecord], space: Space) -> list[str]:
    """Return the first parameters with more than one value among a sample of the trials."""
    sampled = [t.params for t in spread(trials, 500) if t.params is not None]
    found: list[str] = []
    for p in space:
        if len(found) == MAX_COLUMNS:
            break
        values = {params.get(p.path) for params in sampled}
        if not isinstance(p.domain, Constant) and len(values) > 1:
            found.append(p.path)
    return found


def _row(t: TrialRecord, objective: ObjectiveSpec, paths: Sequence[str]) -> TrialRow:
    params: Mapping[str, Scalar] = t.params or {}
    return TrialRow(
        t.number, str(t.state), number(t.metrics.get(objective.metric)),
        {path: _shown(params[path]) for path in paths if path in params},
        t.sampler, cut(t.worker), t.started, number(t.duration_s), cut(t.end_reason, 160),
    )  # fmt: skip


def _params(t: TrialRecord, best: TrialRecord | None, space: Space) -> list[TrialParam]:
    """Return the parameters that the trial or the best one has, in the order of the space."""
    own: Mapping[str, Scalar] = t.params or {}
    others: Mapping[str, Scalar] = (best.params if best is not None else None) or {}
    paths = [p.path for p in space if p.path in own or p.path in others]
    paths += [path for path in {**own, **others} if path not in space.by_path]
    return [
        TrialParam(path, _maybe(own, path), _default(space, path), _maybe(others, path))
        for path in paths
    ]


def _default(space: Space, path: str) -> Scalar | None:
    p = space.by_path.get(path)
    return None if p is None else _shown(p.domain.default_value())


def _maybe(params: Mapping[str, Scalar], path: str) -> Scalar | None:
    return _shown(params[path]) if path in params else None


def _shown(value: Scalar) -> Scalar:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return cut(value) if isinstance(value, str) else value


def _violation(history: History, t: TrialRecord) -> float | None:
    return number(history.violation(t)) if t.metrics else None


def _curves(reports: Sequence[Report], first: str) -> tuple[TrialCurve, ...]:
    """Return the curve of each metric, that of the shown one first."""
    names = dict.fromkeys([first, *(name for r in reports for name in r.metrics)])
    curves = []
    for name in list(names)[:MAX_METRICS]:
        having = spread([r for r in reports if name in r.metrics], MAX_STEPS)
        if having:
            steps = tuple([r.step for r in having])
            values = tuple([number(r.metrics[name]) for r in having])
            curves.append(TrialCurve(cut(name, 300), steps, values))
    return tuple(curves)


def _lineage(history: History, t: TrialRecord) -> tuple[tuple[int, int], ...]:
    """Return the checkpoints that the trial goes back to, the nearest first."""
    found: list[tuple[int, int]] = []
    above: TrialRecord | None = t
    while above is not None and above.branch is not None and len(found) < MAX_LINEAGE:
        if above.branch.number in [n for n, _ in found]:
            break
        found.append((above.branch.number, above.branch.step))
        above = history.get(above.branch.number)
    return tuple(found)
