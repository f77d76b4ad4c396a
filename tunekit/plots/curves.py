"""The figure of learning curves: bands over many trials, a few single ones, their forecasts."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tunekit.analysis.charts.records import CurveLine, CurvesChart
from tunekit.analysis.charts.records import ReportQuantiles as BandData
from tunekit.plots.axes import result_axis, step_axis
from tunekit.plots.figure import MAX_MARKS, Band, Line, Mark, PlaneFigure, Role, Values
from tunekit.plots.roles import role_of
from tunekit.plots.texts import amount, best_word, label, sentences, shown_of
from tunekit.records import TrialState

MAX_BANDS = 3
"""States with bands: those with the most curves."""
MIN_CURVES = 5
"""Curves from which quantiles are drawn."""
_COMPLETE, _RUNNING = str(TrialState.COMPLETE), str(TrialState.RUNNING)


def curves_figure(chart: CurvesChart, selected: Collection[int] = ()) -> PlaneFigure:
    """Return bands of all curves by state, and the best, running and selected curves.

    Args:
        chart: the data.
        selected: numbers of the trials that the reader has chosen.
    """
    metric = label(chart.metric)
    title = f"{metric} by step"
    bands = _largest(chart)
    axis = result_axis(chart.metric, _heights(chart), chart.direction)
    x = step_axis(chart.steps)
    if not chart.lines and not bands:
        reason = sentences(f"no trial has reported {metric} yet")
        return PlaneFigure(title, reason, x, axis.axis, (), note="", reason=reason)
    marks: list[Mark] = [mark for band in bands for mark in _band(chart, band)]
    n_drawn = sum(len(m.x) for m in marks if isinstance(m, Band | Line))
    for line in chart.lines:
        of_line = _line(chart, line, selected)
        n_drawn += sum(len(m.x) for m in of_line)
        if n_drawn > MAX_MARKS:
            break
        marks += of_line
    n_lines = len({m.number for m in marks if isinstance(m, Line) and m.number is not None})
    note = sentences(
        f"{shown_of(chart.shown, chart.total)} with reports",
        f"{n_lines:,} of them as single curves",
        "a band covers the trials that got as far as the step" if bands else "",
        "what lies beyond the axis is cut off" if axis.n_beyond else "",
    )
    return PlaneFigure(title, _alt(chart, metric), x, axis.axis, tuple(marks), note=note)


def _largest(chart: CurvesChart) -> list[BandData]:
    able = [b for b in chart.bands if max(b.n, default=0) >= MIN_CURVES]
    return sorted(able, key=lambda b: -max(b.n))[:MAX_BANDS]


def _heights(chart: CurvesChart) -> Iterator[float | None]:
    for band in chart.bands:
        for line in band.quantiles[1:4]:
            yield from line
    for curve in chart.lines:
        yield from curve.values


def _band(chart: CurvesChart, band: BandData) -> tuple[Mark, ...]:
    steps: Values = tuple([float(s) for s in chart.steps])
    role = role_of(band.state)
    q5, q25, q50, q75, q95 = band.quantiles
    name = f"{band.state} ({max(band.n):,})"
    return (
        Band(f"{name}: 5 to 95 %", steps, q5, q95, role),
        Band(f"{name}: 25 to 75 %", steps, q25, q75, role),
        Line(f"{name}: median", steps, q50, role),
    )


def _line(chart: CurvesChart, line: CurveLine, selected: Collection[int]) -> list[Line | Band]:
    role: Role = role_of(line.state)
    if line.number in selected:
        role = "selected"
    elif line.state == _COMPLETE:
        role = "best"  # the chart adds only the best of the complete ones
    steps: Values = tuple([float(s) for s in line.steps])
    name = f"trial {line.number}, {line.state}"
    return [Line(name, steps, line.values, role, line.number), *_fan(chart, line)]


def _fan(chart: CurvesChart, line: CurveLine) -> list[Line | Band]:
    """Return the forecast of a stopper, from the last report to the end of the chart."""
    if line.predicted is None or not line.steps or line.steps[-1] >= chart.steps[-1]:
        return []
    x: Values = (float(line.steps[-1]), float(chart.steps[-1]))
    last = line.values[-1]
    name = f"trial {line.number}, predicted final {amount(line.predicted)}"
    fan: list[Line | Band] = [
        Line(name, x, (last, line.predicted), "model", line.number, is_dashed=True)
    ]
    if len(line.interval) == 2 and None not in line.interval:
        low, high = line.interval
        fan.insert(0, Band(f"{name}, interval", x, (last, low), (last, high), "model"))
    return fan


def _alt(chart: CurvesChart, metric: str) -> str:
    is_lower = chart.direction == "minimize"
    ends = [(c.values[-1], c) for c in chart.lines if c.values and c.values[-1] is not None]
    best = min(ends, key=lambda e: (e[0] or 0.0) * (1 if is_lower else -1), default=None)
    complete = next((b for b in chart.bands if b.state == _COMPLETE and max(b.n) > 0), None)
    median = None if complete is None else _last(complete.quantiles[2])
    running = sum(c.state == _RUNNING for c in chart.lines)
    return sentences(
        f"the curves of {metric} of {chart.shown:,} trials, up to step {chart.steps[-1]:,}",
        f"the median of the complete ones ends at {amount(median)}" if median is not None else "",
        f"of the single curves, trial {best[1].number} ends {best_word(chart.direction)}, at "
        f"{amount(best[0])}" if best else "",
        f"{running:,} are running" if running else "",
    )  # fmt: skip


def _last(values: Values) -> float | None:
    return next((v for v in reversed(values) if v is not None), None)
