"""The options of charts hold the data of their figures, and JSON that ECharts can draw."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from tunekit.plots.figure import (
    Axis,
    Band,
    Bars,
    Heatmap,
    Line,
    ParallelAxis,
    ParallelFigure,
    PlaneFigure,
    Points,
    Spans,
    TreeFigure,
    TreeFigureNode,
)
from tunekit.plots.palette import LOOKS, NO_VALUE, SCALE
from tunekit_dashboard.charts.echarts import Drawable, draw
from tunekit_dashboard.charts.options import EChart

EVIL = "<img src=x onerror=alert(1)>"

TREE = TreeFigure(
    "tree", "alt",
    (
        TreeFigureNode(0, None, "all", 100, 0.1, 0.2),
        TreeFigureNode(3, 0, "kernel = rbf", 64, 0.1, 0.4),
        TreeFigureNode(4, 1, EVIL, 25, None, None),
        TreeFigureNode(9, 0, "kernel = linear", 36, 0.7, 0.1),
    ),
    "loss", True,
)  # fmt: skip


def _plane(*marks: Any, x: Axis = Axis("x"), y: Axis = Axis("y")) -> EChart:  # noqa: B008
    return draw(PlaneFigure("title", "alt", x, y, marks))


def _tree_item(drawn: EChart, *path: int) -> dict[str, Any]:
    item = drawn.option["series"][0]["data"][0]
    for i in path:
        item = item["children"][i]
    assert isinstance(item, dict)
    return item


def test_points_carry_their_trials_and_a_click_returns_them() -> None:
    drawn = _plane(
        Points("", (1.0, 2.0), (5.0, 6.0), "stopped", (11, 12), is_faint=True),
        Points("", (3.0,), (7.0,), "best", (13,)),
    )
    first, second = drawn.option["series"]
    assert first["data"] == [[1.0, 5.0, 11], [2.0, 6.0, 12]]
    assert first["itemStyle"]["color"] == LOOKS["stopped"].color
    assert first["symbol"] != second["symbol"]
    assert drawn.picked([{"series_index": 0, "data_indices": [1]}]) == (12,)
    assert drawn.picked([{"series_index": 1, "data_indices": [0]}]) == (13,)


def test_a_selection_of_an_earlier_chart_picks_nothing() -> None:
    drawn = _plane(Points("", (1.0,), (5.0,), numbers=(11,)))
    assert drawn.picked([{"series_index": 4, "data_indices": [0]}]) == ()
    assert drawn.picked([{"series_index": 0, "data_indices": [7, -1, "0", None]}]) == ()
    assert drawn.picked([{"series_index": None}, {}]) == ()


def test_a_band_is_its_lower_curve_and_its_height_upon_it() -> None:
    drawn = _plane(Band("90 %", (1.0, 2.0, 3.0), (-2.0, -1.0, None), (1.0, 4.0, 5.0)))
    low, area = drawn.option["series"]
    assert low["data"] == [[1.0, -2.0], [2.0, -1.0], [3.0, None]]
    assert area["data"] == [[1.0, 3.0], [2.0, 5.0], [3.0, None]]
    assert low["stack"] == area["stack"]
    # Else ECharts would not add a positive height to a negative lower curve.
    assert area["stackStrategy"] == "all"


def test_two_bands_do_not_lie_upon_each_other() -> None:
    drawn = _plane(Band("50 %", (1.0,), (1.0,), (2.0,)), Band("90 %", (1.0,), (0.0,), (3.0,)))
    assert len({s["stack"] for s in drawn.option["series"]}) == 2


def test_a_missing_value_interrupts_a_line() -> None:
    (line,) = _plane(Line("l", (1.0, 2.0, 3.0), (1.0, None, 2.0), is_stepped=True)).option[
        "series"
    ]
    assert line["data"] == [[1.0, 1.0], [2.0, None], [3.0, 2.0]]
    assert (line["connectNulls"], line["step"]) == (False, "end")


def test_what_json_and_a_logarithm_cannot_show_is_left_out() -> None:
    values = (math.nan, math.inf, -1.0, 0.0, 1e300, 0.1)
    drawn = _plane(Points("", tuple(map(float, range(6))), values), y=Axis("lr", is_log=True))
    ys = [row[1] for row in drawn.option["series"][0]["data"]]
    assert ys == [None, None, None, None, 1e300, 0.1]
    json.dumps(drawn.option, allow_nan=False)


def test_bars_start_at_zero_and_are_read_from_the_top_with_their_intervals() -> None:
    axis = Axis("parameter", categories=("lr", "depth"))
    drawn = _plane(Bars("", (0.7, 0.3), (0.6, None), (0.8, None)), x=Axis("share"), y=axis)
    (bars,) = drawn.option["series"]
    assert bars["data"] == [0.7, 0.3]
    assert bars["markLine"]["data"] == [[{"coord": [0.6, 0]}, {"coord": [0.8, 0]}]]
    assert drawn.option["yAxis"][0]["inverse"] is True
    assert drawn.option["yAxis"][0]["data"] == ["lr", "depth"]
    assert drawn.option["xAxis"][0]["scale"] is False


def test_points_upon_a_grid_keep_their_exact_places() -> None:
    grid = Heatmap(
        "model", "loss", (0.01, 0.1, 1.0), (0.0, 2.0), ((1.0, 2.0, None), (4.0, 5.0, 6.0))
    )
    points = Points("", (0.05,), (1.7,))
    drawn = _plane(grid, points, x=Axis("lr", is_log=True), y=Axis("depth"))
    cells, dots = drawn.option["series"]
    assert cells["data"] == [[0, 0, 1.0], [1, 0, 2.0], [0, 1, 4.0], [1, 1, 5.0], [2, 1, 6.0]]
    assert (cells["xAxisIndex"], cells["yAxisIndex"]) == (1, 1)
    assert dots["data"] == [[0.05, 1.7]]
    x, y = drawn.option["xAxis"][0], drawn.option["yAxis"][0]
    # Edges of cells lie half a cell outside the centres, on a logarithmic axis by its measure.
    assert x["min"] == pytest.approx(0.01 / math.sqrt(10), rel=1e-6)
    assert x["max"] == pytest.approx(math.sqrt(10), rel=1e-6)
    assert (y["min"], y["max"]) == (-1.0, 3.0)
    colors = drawn.option["visualMap"]
    assert (colors["min"], colors["max"], colors["seriesIndex"]) == (1.0, 6.0, [0])


def test_spans_of_all_roles_lie_in_one_series_and_an_open_one_reaches_the_last_end() -> None:
    axis = Axis("worker", categories=("a", "b"))
    done = Spans("", (0, 1), (10.0, 20.0), (30.0, 50.0), ("#1", "#2"), (1, 2), "complete")
    runs = Spans("", (0,), (40.0,), (None,), ("#3",), (3,), "running")
    drawn = _plane(done, runs, x=Axis("time", is_time=True), y=axis)
    boxes, *entries = drawn.option["series"]
    assert [item["value"] for item in boxes["data"]] == [
        [0, 10000, 10000, 10000, 30000, 30000],
        [1, 20000, 20000, 20000, 50000, 50000],
        [0, 40000, 40000, 40000, 50000, 50000],
    ]
    assert boxes["data"][2]["itemStyle"]["color"] == LOOKS["running"].color
    assert [e["name"] for e in entries] == ["complete", "running"]
    assert drawn.picked([{"series_index": 0, "data_indices": [2]}]) == (3,)


@pytest.mark.parametrize("is_nested", [False, True])
def test_a_click_on_a_tree_counts_in_pre_order_from_an_invisible_root(*, is_nested: bool) -> None:
    drawn = draw(TREE, is_nested=is_nested)
    ids = [drawn.picked([{"series_index": 0, "data_indices": [i]}]) for i in range(5)]
    assert ids == [(), (0,), (3,), (4,), (9,)]
    assert [c["name"] for c in _tree_item(drawn)["children"]] == [
        "kernel = rbf",
        "kernel = linear",
    ]
    assert _tree_item(drawn, 0, 0)["name"] == EVIL  # as text: no formatter makes HTML of it
    assert drawn.option["series"][0]["selectedMode"] == "single"


def test_a_node_shows_trials_by_its_area_the_value_by_colour_and_the_spread_by_border() -> None:
    drawn = draw(TREE)
    root, rbf, evil, linear = (_tree_item(drawn, *p) for p in ((), (0,), (0, 0), (1,)))
    # 64 of 100 trials: eight tenths of the way from the smallest to the largest diameter.
    assert [n["symbolSize"] for n in (root, rbf, evil, linear)] == [40.0, 33.6, 24.0, 27.2]
    colors = [n["itemStyle"]["color"] for n in (root, rbf, evil, linear)]
    assert colors == [SCALE[-1], SCALE[-1], NO_VALUE, SCALE[0]]
    assert [n["itemStyle"]["borderWidth"] for n in (root, rbf, evil, linear)] == [4, 7, 1, 2.5]


def test_the_largest_value_is_best_where_the_study_maximises() -> None:
    figure = TreeFigure("tree", "alt", TREE.nodes, "score", lower_is_better=False)
    assert _tree_item(draw(figure), 1)["itemStyle"]["color"] == SCALE[-1]


def test_a_parameter_that_is_not_active_lies_below_the_range_of_its_axis() -> None:
    figure = ParallelFigure(
        "p", "alt",
        (
            ParallelAxis(Axis("kernel", categories=("rbf", "poly")), (0.0, 1.0, None)),
            ParallelAxis(Axis("gamma", is_log=True), (0.01, None, 1.0)),
            ParallelAxis(Axis("loss"), (0.5, 0.7, 0.9)),
        ),
        (7, 8, 9), ("best", "complete", "complete"), True,
    )  # fmt: skip
    drawn = draw(figure)
    kernel, gamma, loss = drawn.option["parallelAxis"]
    behind, best = drawn.option["series"]
    assert kernel["data"] == ["not active", "rbf", "poly"]
    lane = gamma["min"]
    assert 0 < lane < 0.01
    assert best["data"] == [[1, 0.01, 0.5]]
    assert behind["data"] == [[2, pytest.approx(lane), 0.7], [0, 1.0, 0.9]]
    assert min(gamma["axisLabel"]["customValues"]) == 0.01  # the lane itself has no number
    assert (loss["min"], loss["max"]) == (0.5, 0.9)  # no lane where all are active
    assert "not active" in drawn.note
    assert drawn.picked([{"series_index": 0, "data_indices": [1]}]) == (9,)


def test_no_value_of_parallel_coordinates_is_null() -> None:
    axis = ParallelAxis(Axis("x"), (math.nan, None, math.inf))
    figure = ParallelFigure("p", "alt", (axis,), (1, 2, 3), ("complete",) * 3, True)
    (series,) = draw(figure).option["series"]
    assert all(isinstance(v, float) for row in series["data"] for v in row)


@pytest.mark.parametrize("is_dark", [False, True])
def test_texts_hold_a_contrast_of_four_and_a_half(*, is_dark: bool) -> None:
    option = _plane(Points("a", (1.0,), (2.0,)), Line("b", (1.0,), (2.0,))).option
    assert option["xAxis"][0]["axisLabel"]["color"]
    drawn = draw(PlaneFigure("t", "alt", Axis("x"), Axis("y"), ()), is_dark=is_dark)
    ink = drawn.option["xAxis"][0]["axisLabel"]["color"]
    page = 0.006 if is_dark else 1.0  # luminance
    low, high = sorted((_luminance(ink), page))
    assert (high + 0.05) / (low + 0.05) >= 4.5


def _luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def test_names_of_users_are_cut_and_never_part_of_a_template() -> None:
    name = EVIL + "x" * 300
    axes = (ParallelAxis(Axis(name, categories=(name,)), (0.0,)),)
    figures: list[Drawable] = [
        PlaneFigure(name, "alt", Axis(name), Axis(name, categories=(name,)),
                    (Points(name, (1.0,), (0.0,)), Bars(name, (1.0,)),
                     Spans(name, (0,), (1.0,), (2.0,), (name,)))),
        PlaneFigure(name, "alt", Axis(name), Axis(name),
                    (Heatmap(name, name, (1.0,), (1.0,), ((1.0,),)),)),
        ParallelFigure(name, "alt", axes, (1,), ("complete",), True),
        TreeFigure(name, "alt", (TreeFigureNode(0, None, name, 1, None),), name, True),
    ]  # fmt: skip
    for figure in figures:
        text = json.dumps(draw(figure).option)
        assert "x" * 100 not in text
        assert "formatter" not in text.lower()
