import json
from dataclasses import replace

import pytest

from tests.plots.sample_trials import LOSS, SPACE, history, trials
from tunekit.analysis.charts.branches import importance_chart, tree_chart
from tunekit.analysis.charts.contour import contour_chart
from tunekit.analysis.charts.points import points_chart
from tunekit.analysis.charts.results import history_chart
from tunekit.analysis.charts.timeline import timeline_chart
from tunekit.plots.contour import contour_figure
from tunekit.plots.figure import Axis, Band, Bars, Figure, Line, PlaneFigure, Points
from tunekit.plots.history import history_figure
from tunekit.plots.importance import importance_panels
from tunekit.plots.palette import LOOKS
from tunekit.plots.parallel import parallel_figure
from tunekit.plots.plotly import to_plotly
from tunekit.plots.plotly_axes import edges
from tunekit.plots.slices import slices_figure
from tunekit.plots.tables import n_marks
from tunekit.plots.timeline import timeline_figure
from tunekit.plots.tree import tree_figure
from tunekit.records import ObjectiveSpec

HOSTILE = "<b onmouseover=x>$\\href{javascript:x}{y}$ & %{customdata}"


def _figures(n: int) -> list[Figure]:
    found = history(trials(n))
    points = points_chart(found, SPACE, LOSS, (), seq=1, most=2000, n_axes=12)
    return [
        history_figure(history_chart(found, LOSS, seq=1, most=2000)),
        tree_figure(tree_chart(found, SPACE, LOSS, seq=1, most=150)),
        importance_panels(importance_chart(found, SPACE, quantile=0.25, seq=1, most=60)),
        parallel_figure(points),
        slices_figure(points),
        contour_figure(contour_chart(found, SPACE, LOSS, (), seq=1)),
        timeline_figure(timeline_chart(found, seq=1, most=2000)),
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_figure_is_drawn_with_its_message_and_its_note(theme: str) -> None:
    for figure in _figures(60):
        drawn = to_plotly(figure, theme=theme)  # type: ignore[arg-type]
        assert drawn.layout.meta == {"alt": figure.alt}
        assert drawn.layout.title.text == figure.title
        assert figure.note.split()[0] in drawn.layout.title.subtitle.text
        assert drawn.data
        json.loads(drawn.to_json())


def test_a_figure_without_marks_shows_its_reason() -> None:
    for figure in _figures(0):
        drawn = to_plotly(figure)
        assert not drawn.data
        assert drawn.layout.annotations[0].text.replace("<br>", " ") == figure.reason


def test_nothing_that_a_user_typed_is_markup_tex_or_a_template() -> None:
    points = Points(HOSTILE, (1.0,), (2.0,), numbers=(3,))
    line = Line(HOSTILE, (1.0, 2.0), (2.0, 3.0), number=4)
    band = Band(HOSTILE, (1.0, 2.0), (1.0, 1.0), (2.0, 2.0))
    y = Axis(HOSTILE, categories=(HOSTILE, HOSTILE, HOSTILE))
    plane = PlaneFigure(HOSTILE, HOSTILE, Axis(HOSTILE), y, (points, line, band), note=HOSTILE)
    bars = replace(plane, marks=(Bars(HOSTILE, (1.0, 2.0, 3.0)),))
    objective = ObjectiveSpec(HOSTILE)
    found = history([replace(t, metrics={HOSTILE: 1.0}) for t in trials(20)], (objective,))
    figures: list[Figure] = [
        plane,
        bars,
        replace(plane, marks=(), reason=HOSTILE),
        tree_figure(tree_chart(found, SPACE, objective, seq=1, most=9)),
        parallel_figure(points_chart(found, SPACE, objective, (), seq=1, most=9, n_axes=9)),
        slices_figure(points_chart(found, SPACE, objective, (), seq=1, most=9, n_axes=9)),
    ]
    for figure in figures:
        drawn = to_plotly(figure).to_dict()
        del drawn["layout"]["template"], drawn["layout"]["meta"]
        text = json.dumps(drawn, default=list)
        assert "onmouseover" in text
        assert "<b" not in text.replace("<br>", "") and "$" not in text
        assert "%{customdata} %" not in text and "& %{" not in text


def test_each_role_has_the_colour_and_the_shape_of_the_palette() -> None:
    points = [Points(role, (1.0,), (1.0,), role) for role in LOOKS]
    drawn = to_plotly(PlaneFigure("t", "a", Axis("x"), Axis("y"), tuple(points)))
    looks = {(trace.marker.color, trace.marker.symbol) for trace in drawn.data}
    assert len(looks) == len({(k.color, k.shape) for k in LOOKS.values()})
    assert drawn.data[0].marker.color == LOOKS["complete"].color


def test_parameters_that_are_not_active_lie_below_the_range() -> None:
    found = history(trials(30))
    chart = points_chart(found, SPACE, LOSS, (), seq=1, most=2000, n_axes=12)
    figure = parallel_figure(chart)
    [trace] = to_plotly(figure).data
    at = next(i for i, a in enumerate(figure.axes) if a.axis.title == "model.rbf.gamma")
    gamma = trace.dimensions[at]
    lane = gamma.tickvals[0]
    assert gamma.ticktext[0] == "not active" and lane == gamma.range[0] < -4.0  # log10 of 1e-4
    idle = {i for i, v in enumerate(figure.axes[at].values) if v is None}
    assert idle == {i for i, v in enumerate(gamma.values) if v == lane}
    c = next(d for d in trace.dimensions if d.label == "c")
    assert "not active" not in c.ticktext


def test_whole_numbers_have_whole_ticks() -> None:
    chart = points_chart(history(trials(9)), SPACE, LOSS, (), seq=1, most=2000, n_axes=12)
    values = tuple([float(2 + k % 4) for k in range(9)])
    chart = replace(chart, axes=(replace(chart.axes[0], choices=(), low=2.0, high=5.0),),
                    columns=(values,))  # fmt: skip
    [trace] = to_plotly(parallel_figure(chart)).data
    assert list(trace.dimensions[0].ticktext) == ["2", "3", "4", "5"]


def test_a_result_beyond_the_axis_of_parallel_lines_stays_on_its_end() -> None:
    of = trials(40)
    of[3] = replace(of[3], metrics={"loss": 1e300})
    chart = points_chart(history(of), SPACE, LOSS, (), seq=1, most=2000, n_axes=12)
    [trace] = to_plotly(parallel_figure(chart)).data
    last = trace.dimensions[-1]
    assert max(last.values) == last.range[1] == trace.line.cmax < 1e3


def test_cells_of_a_logarithmic_axis_meet_in_the_middle_of_its_scale() -> None:
    assert edges(Axis("x", is_log=True), (1.0, 100.0)) == pytest.approx([0.1, 10.0, 1000.0])
    assert edges(Axis("x"), (1.0, 2.0, 3.0)) == [0.5, 1.5, 2.5, 3.5]
    assert edges(Axis("x"), (7.0,)) == [6.5, 7.5]


def test_no_more_than_the_marks_of_a_figure_are_drawn() -> None:
    for figure in _figures(2500):
        drawn = to_plotly(figure)
        scatter = [t for t in drawn.data if t.type == "scatter" and t.marker.color is not None]
        points = sum(len(t.x) for t in scatter)
        assert points <= n_marks(figure) <= 2000
