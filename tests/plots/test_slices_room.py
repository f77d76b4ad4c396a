"""A slice leaves room for the trials that are not good, however many good ones there are."""

from __future__ import annotations

from tunekit.analysis.charts.records import ParameterAxis, PointsChart
from tunekit.plots.figure import Points
from tunekit.plots.slices import slices_figure


def test_half_of_a_slice_is_for_trials_that_are_not_good() -> None:
    n = 6000
    column = tuple(i / n for i in range(n))
    chart = PointsChart(
        9, n, n, "loss", 1, axes=(ParameterAxis("lr", 0.0, 1.0),), numbers=tuple(range(n)),
        states=("complete",) * n, values=column, columns=(column,), good=tuple(range(3000)),
    )  # fmt: skip
    (panel,) = slices_figure(chart).panels
    sizes = {m.role: len(m.x) for m in panel.marks if isinstance(m, Points)}
    assert sizes == {"best": 1000, "complete": 1000}
