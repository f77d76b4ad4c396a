"""Defines the data of the chart of two parameters."""

from __future__ import annotations

from dataclasses import dataclass

from tunekit.analysis.charts.records import Chart, ParameterAxis
from tunekit.records import Direction


@dataclass(frozen=True, slots=True)
class ContourChart(Chart):
    """Two parameters and what a model of the trials expects of them.

    Where the model predicts, the other parameters are those of the base.

    Attributes:
        axes: of the two parameters; empty if there is nothing to show.
        base: number of the trial whose other params hold.
        x, y: values of the two at the columns and rows of the grid; of a categorical, places.
        mean, sd: one row for each y, one value for each x; `None` where a parameter is not active.
        numbers, states, points_x, points_y, values: trials in which both are active.
        n_fitted: trials that the model knows.
        reason: why there is no model.
    """

    metric: str
    direction: Direction = "minimize"
    axes: tuple[ParameterAxis, ...] = ()
    base: int | None = None
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()
    mean: tuple[tuple[float | None, ...], ...] = ()
    sd: tuple[tuple[float | None, ...], ...] = ()
    numbers: tuple[int, ...] = ()
    states: tuple[str, ...] = ()
    points_x: tuple[float | None, ...] = ()
    points_y: tuple[float | None, ...] = ()
    values: tuple[float | None, ...] = ()
    n_fitted: int = 0
    reason: str = ""
