"""The figure of parallel coordinates, over all trials or those of one branch."""

from __future__ import annotations

from collections.abc import Sequence

from tunekit.analysis.charts.records import ParameterAxis as AxisData
from tunekit.analysis.charts.records import PointsChart
from tunekit.analysis.charts.samples import spread
from tunekit.plots.axes import result_axis
from tunekit.plots.figure import MAX_MARKS, Axis, ParallelAxis, ParallelFigure, Role, Values
from tunekit.plots.roles import role_of
from tunekit.plots.texts import amount, best_word, label, path_label, sentences, shown_of
from tunekit.records import TrialState

MAX_AXES = 12
"""Parameters side by side, the most important ones."""

Branch = tuple[str, str]
"""Path of a parameter and the text of its choice."""


def parallel_figure(
    chart: PointsChart, branch: Branch | None = None, *, most_axes: int = MAX_AXES
) -> ParallelFigure:
    """Return one line a trial that has a result, through a lane where a parameter is not active.

    Args:
        chart: the data.
        branch: keep the trials that made this choice; its parameter needs to be in the chart.
        most_axes: parameters to show.
    """
    metric = label(chart.metric)
    title = f"params and {metric}" + (
        f", {path_label(branch[0])}={label(branch[1])}" if branch else ""
    )
    is_lower = chart.direction == "minimize"
    rows = _rows(chart, branch)
    if not rows:
        reason = sentences(f"no trial{' of this branch' if branch else ''} has a result yet")
        return ParallelFigure(title, reason, (), (), (), is_lower, note="", reason=reason)
    able = [i for i in range(len(chart.axes)) if _varies(chart.columns[i], rows)]
    axes = [_axis(chart.axes[i], [chart.columns[i][k] for k in rows]) for i in able[:most_axes]]
    results = [chart.values[k] for k in rows]
    last = result_axis(chart.metric, results, chart.direction)
    axes.append(ParallelAxis(last.axis, tuple(results)))
    note = sentences(
        shown_of(len(rows), chart.total),
        f"{len(axes) - 1:,} of {chart.n_axes:,} parameters, the most important that vary",
        last.note,
    )
    numbers = tuple(chart.numbers[k] for k in rows)
    roles = _roles(chart, rows)
    alt = _alt(chart, rows, axes[:-1])
    return ParallelFigure(title, alt, tuple(axes), numbers, roles, is_lower, note=note)


def parameter_axis(data: AxisData, values: Sequence[float | None]) -> Axis:
    """Return the axis of a parameter: its choices, or the range of its numbers."""
    known = [v for v in values if v is not None]
    if data.choices:
        n = max([len(data.choices), *[int(v) + 1 for v in known]])
        others = [f"choice {i}" for i in range(len(data.choices), n)]
        return Axis(path_label(data.path), categories=(*map(label, data.choices), *others))
    ends = [v for v in (data.low, data.high) if v is not None]
    is_log = data.is_log and min([*known, *ends], default=1.0) > 0
    low = high = None
    if len(ends) == 2:
        low, high = min([*known, *ends]), max([*known, *ends])
    return Axis(path_label(data.path), is_log, low=low, high=high)


def _rows(chart: PointsChart, branch: Branch | None) -> list[int]:
    """Return the places of the trials to show: with a result, of the branch, the good ones all."""
    places = [k for k, value in enumerate(chart.values) if value is not None]
    if branch is not None:
        path, choice = branch
        made = next((i for i, a in enumerate(chart.axes) if a.path == path), None)
        if made is None or choice not in chart.axes[made].choices:
            return []
        place = float(chart.axes[made].choices.index(choice))
        places = [k for k in places if chart.columns[made][k] == place]
    good = set(chart.good)
    kept = [k for k in places if chart.numbers[k] in good][:MAX_MARKS]
    others = [k for k in places if chart.numbers[k] not in good]
    return sorted([*kept, *spread(others, MAX_MARKS - len(kept))])


def _varies(column: Values, rows: Sequence[int]) -> bool:
    return len({column[k] for k in rows}) > 1 or len(rows) == 1


def _axis(data: AxisData, values: Sequence[float | None]) -> ParallelAxis:
    return ParallelAxis(parameter_axis(data, values), tuple(values))


def _roles(chart: PointsChart, rows: Sequence[int]) -> tuple[Role, ...]:
    good = set(chart.good)
    return tuple("best" if chart.numbers[k] in good else role_of(chart.states[k]) for k in rows)


def _alt(chart: PointsChart, rows: Sequence[int], axes: Sequence[ParallelAxis]) -> str:
    complete = [k for k in rows if chart.states[k] == TrialState.COMPLETE]
    is_lower = chart.direction == "minimize"
    best = min(
        complete, key=lambda k: (chart.values[k] or 0.0) * (1 if is_lower else -1), default=None
    )
    if best is None:
        return sentences(f"{len(rows):,} trials, none of them complete")
    idle = sum(None in a.values for a in axes)
    at = rows.index(best)
    params = ", ".join(f"{a.axis.title} {_shown(a, at)}" for a in axes[:5])
    return sentences(
        f"the {best_word(chart.direction)} {label(chart.metric)} of {len(rows):,} trials is "
        f"{amount(chart.values[best])}, of trial {chart.numbers[best]}"
        + (f" with {params}" if params else ""),
        f"{idle:,} of {len(axes):,} parameters are not active in some trials" if idle else "",
    )


def _shown(axis: ParallelAxis, at: int) -> str:
    value = axis.values[at]
    if value is None:
        return "not active"
    return axis.axis.categories[int(value)] if axis.axis.categories else amount(value)
