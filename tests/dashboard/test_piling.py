"""The shares of the good trials at the ends of a range."""

from __future__ import annotations

from tunekit.analysis.charts.records import ParameterAxis, PointsChart
from tunekit_dashboard.piling import pilings


def _chart(
    column: tuple[float | None, ...], axis: ParameterAxis, good: tuple[int, ...]
) -> PointsChart:
    n = len(column)
    return PointsChart(
        9, n, n, "loss", 1, axes=(axis,), numbers=tuple(range(n)), states=("complete",) * n,
        values=(1.0,) * n, columns=(column,), good=good,
    )  # fmt: skip


def test_shares_count_the_good_trials_alone_on_the_scale_of_the_axis() -> None:
    axis = ParameterAxis("lr", 1e-4, 1.0, is_log=True)
    column = (1e-4, 2e-4, 0.5, 0.9, 1e-2, 1e-2, 1e-4, 1e-4)
    (found,) = pilings(_chart(column, axis, (0, 1, 2, 3, 4)))
    assert (found.n, found.low, found.high) == (5, 0.4, 0.4)
    linear = ParameterAxis("lr", 1e-4, 1.0)
    (found,) = pilings(_chart(column, linear, (0, 1, 2, 3, 4)))
    assert (found.low, found.high) == (0.6, 0.0)  # 0.01 is low on a linear scale, 0.5 is not high


def test_what_has_no_range_or_is_not_active_is_left_out() -> None:
    good = (0, 1)
    assert (
        list(pilings(_chart((0.0, 1.0), ParameterAxis("model", choices=("a", "b")), good))) == []
    )
    assert list(pilings(_chart((1.0, 1.0), ParameterAxis("x", 1.0, 1.0), good))) == []
    (found,) = pilings(_chart((None, None), ParameterAxis("x", 0.0, 1.0), good))
    assert (found.n, found.low, found.high) == (0, 0.0, 0.0)
