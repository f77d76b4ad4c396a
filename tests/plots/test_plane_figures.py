import math
from dataclasses import replace

import numpy as np
import pytest

from tests.plots.sample_trials import LOSS, SPACE, history, trials
from tunekit.analysis.audit import stop_audit
from tunekit.analysis.charts.contour import contour_chart
from tunekit.analysis.charts.points import points_chart
from tunekit.analysis.charts.records import StopsChart, StopVerdict
from tunekit.analysis.charts.results import front_chart
from tunekit.analysis.charts.timeline import budget_chart, timeline_chart
from tunekit.plots.axes import result_axis
from tunekit.plots.budget import best_figure, budget_figure
from tunekit.plots.contour import contour_figure
from tunekit.plots.figure import (
    MAX_MARKS,
    Figure,
    Heatmap,
    Line,
    PanelFigure,
    PlaneFigure,
    Points,
    Spans,
)
from tunekit.plots.front import front_figure
from tunekit.plots.slices import slices_figure
from tunekit.plots.stops import stops_figure
from tunekit.plots.tables import n_marks, table
from tunekit.plots.timeline import duration, idle_gaps, timeline_figure
from tunekit.records import MetricConstraint, ObjectiveSpec, TrialRecord, TrialState

GOALS = (LOSS, ObjectiveSpec("speed", "maximize"), ObjectiveSpec("c"))


def _several(of: list[TrialRecord]) -> list[TrialRecord]:
    return [
        replace(t, metrics={"loss": x, "speed": x**0.5, "c": float((t.params or {})["c"])})
        for t in of
        for x in [t.metrics["loss"]]
    ]


def _front(n: int, n_goals: int, bound: str = "") -> Figure:
    constraints = (MetricConstraint.parse(bound),) if bound else ()
    found = history(_several(trials(n)), GOALS[:n_goals], constraints=constraints)
    return front_figure(front_chart(found, seq=1, most=2000))


def test_slices_share_the_marks_and_keep_the_good_trials() -> None:
    chart = points_chart(history(trials(3000)), SPACE, LOSS, (), seq=1, most=2000, n_axes=12)
    figure = slices_figure(chart)
    assert [p.title for p in figure.panels] == ["c", "model", "model.rbf.gamma"]
    assert n_marks(figure) <= MAX_MARKS
    good = [m for m in figure.panels[0].marks if isinstance(m, Points) and m.role == "best"]
    assert [len(m.numbers) for m in good] == [300]
    assert "In 300 good trials, c lies between" in figure.alt
    assert figure.panels[1].x.categories == ("rbf", "linear")


def test_a_contour_stays_within_the_marks_and_names_its_base() -> None:
    figure = contour_figure(contour_chart(history(trials(900)), SPACE, LOSS, (), seq=1))
    assert isinstance(figure.marks[0], Heatmap) and n_marks(figure) == MAX_MARKS
    assert figure.y.is_log and not figure.x.is_log
    assert "The other parameters are those of trial" in figure.note.replace("; the", ". The")
    assert "The model expects the lowest loss" in figure.alt


def test_a_front_of_two_is_a_line_and_of_three_are_pairs() -> None:
    two, three = _front(60, 2), _front(60, 3)
    assert isinstance(two, PlaneFigure) and isinstance(three, PanelFigure)
    assert [type(m) for m in two.marks].count(Line) == 1
    assert [p.title for p in three.panels] == [
        "speed against loss",
        "c against loss",
        "c against speed",
    ]
    assert n_marks(_front(3000, 3)) <= MAX_MARKS


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_line_of_a_front_joins_only_what_some_trial_reaches(direction: str) -> None:
    sign = 1.0 if direction == "minimize" else -1.0
    goals = (ObjectiveSpec("a", direction), ObjectiveSpec("b"))  # type: ignore[arg-type]
    points = [(1.0, 9.0), (2.0, 4.0), (6.0, 1.0)]
    of = [replace(t, metrics={"a": sign * a, "b": b})
          for t, (a, b) in zip(trials(3), points, strict=True)]  # fmt: skip
    figure = front_figure(front_chart(history(of, goals), seq=1, most=9))
    assert isinstance(figure, PlaneFigure)
    line = next(m for m in figure.marks if isinstance(m, Line))
    # Between two points, the b that is reached is that of the one with the better a.
    assert (line.x, line.y) == (tuple(sign * a for a, _ in points), (9.0, 4.0, 1.0))


def test_no_trial_of_a_front_lies_beyond_the_axis() -> None:
    values = [(k / 10, 100.0 - k / 10) for k in range(40)] + [(40.0, 0.5)]
    of = [
        replace(t, metrics={"loss": a, "c": b})
        for t, (a, b) in zip(trials(41), values, strict=True)
    ]
    figure = front_figure(front_chart(history(of, (LOSS, GOALS[2])), seq=1, most=99))
    assert "beyond the axis" not in figure.note


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_an_axis_has_finite_ends_whatever_the_results(direction: str) -> None:
    random = np.random.default_rng(1)
    samples = [
        [1e-300, 1e-300, *(10.0 ** random.uniform(290, 308, 50))],
        [-1.7e308, 1.7e308, *random.uniform(-8e307, 8e307, 50)],
        [1.7e308, *random.uniform(0.0, 1.0, 50)],
        [1.0] * 50 + [-1.7e308],
        [5e-324, *random.uniform(0.0, 1e-320, 50)],
    ]
    for values in samples:
        for keep in ([], values):
            axis = result_axis("y", values, direction, keep=keep).axis
            ends = [v for v in (axis.low, axis.high) if v is not None]
            assert all(map(math.isfinite, ends)) and ends == sorted(ends)
            assert not axis.is_log or all(v > 0 for v in ends)


def test_a_front_shows_what_constraints_rule_out() -> None:
    figure = _front(60, 2, "speed >= 3")
    assert isinstance(figure, PlaneFigure)
    bound = next(m for m in figure.marks if isinstance(m, Line) and m.role == "reference")
    assert bound.name == "speed >= 3" and bound.y == (3.0, 3.0)
    barred = [t.number for t in trials(60) if t.metrics["loss"] ** 0.5 < 3.0]
    points = next(m for m in figure.marks if isinstance(m, Points) and m.role == "failed")
    assert sorted(points.numbers) == barred
    assert f"{len(barred)} of 60 trials violate speed >= 3" in figure.note


def test_one_objective_has_no_front_and_says_so() -> None:
    assert _front(10, 1).reason == "The study has one objective; a front needs two or more."
    assert "No trial is complete yet." in (_front(0, 2).reason, _front(0, 3).reason)
    alone = front_figure(front_chart(history(_several(trials(9)), GOALS[:2], constraints=(
        MetricConstraint("loss", "<=", -1.0),)), seq=1, most=9))  # fmt: skip
    assert alone.alt.startswith("None of 9 complete trials satisfies the constraints.")


def test_a_timeline_has_a_row_a_worker_and_names_the_longest_idle_time() -> None:
    of = trials(20)
    of[19] = replace(of[19], state=TrialState.RUNNING, finished=None)
    of[4] = replace(of[4], finished=1041.0)
    chart = timeline_chart(history(of), seq=1, most=1000)
    figure = timeline_figure(chart)
    assert figure.y.categories == ("host/0", "host/1")
    assert sum(len(m.rows) for m in figure.marks if isinstance(m, Spans)) == 20
    gaps = idle_gaps(chart)
    assert max(end - start for _, start, end in gaps) == 19.0  # trial 4 ended 7 s early
    assert "longest idle time is 19 s, of host/0" in figure.alt
    assert "1 are not finished" in figure.alt
    row = dict(zip(table(figure).columns, table(figure).rows[0], strict=True))
    assert row["start"] == "1970-01-01 00:16:40+00:00"


def test_durations_read_as_people_say_them() -> None:
    assert [duration(s) for s in (12.0, 210.0, 7560.0, 200000.0)] == [
        "12 s", "3.5 min", "2.1 h", "2.31 d",
    ]  # fmt: skip


def test_a_budget_burns_down_to_its_end_at_the_recent_pace() -> None:
    chart = budget_chart(history(trials(40)), LOSS, 100, seq=1, most=500)
    figure = budget_figure(chart)
    left, forecast = figure.marks
    assert isinstance(left, Line) and isinstance(forecast, Line)
    assert (left.y[0], left.y[-1]) == (99.0, 60.0)
    assert forecast.x[1] == pytest.approx(1398.0 + 60 * 10)  # one trial each 10 s
    assert "40 of 100 trials ended, 60 are left" in figure.alt
    without = budget_figure(budget_chart(history(trials(40)), LOSS, None, seq=1, most=500))
    assert "the study has no budget" in without.alt and without.title == "trials ended"


def test_the_best_result_over_time_keeps_each_improvement_of_a_long_study() -> None:
    of = trials(3000)
    chart = budget_chart(history(of), LOSS, None, seq=1, most=60)
    losses = [t.metrics["loss"] for t in of]
    falls = {min(losses[: i + 1]) for i in range(len(of))}
    assert set(chart.best) == falls and len(chart.times) == 60
    assert f"of trial {losses.index(min(losses))}" in best_figure(chart).alt


def test_the_audit_shows_predictions_beside_what_came() -> None:
    verdicts = (
        StopVerdict(5, "complete", "", True, 4.0, 3.5),
        StopVerdict(4, "complete", "", True, 5.0, 0.5),
        StopVerdict(3, "stopped", "", False, 6.0, None),
    )
    audit = replace(stop_audit(history([]), {}), n_stopped=1, n_audited=2, false_stops=(4,),
                    false_stop_rate=0.5, interval=(0.1, 0.9))  # fmt: skip
    figure = stops_figure(StopsChart(1, 3, 3, audit, verdicts, "loss"))
    roles = {m.role: m.numbers for m in figure.marks if isinstance(m, Points)}
    assert roles == {"stopped": (5,), "failed": (4,)}
    assert "1 of 2 audited trials turned out best: a rate of 50.0%" in figure.alt
    nothing = stops_figure(StopsChart(1, 0, 0, stop_audit(history([]), {}), (), "loss"))
    assert nothing.reason.startswith("No condemned trial has run to its end")


@pytest.mark.parametrize("n", [0, 1, 2])
@pytest.mark.parametrize("value", [None, 1e300, -1e300])
def test_hardly_any_trial_and_any_result_make_figures(n: int, value: float | None) -> None:
    of = [t if value is None else replace(t, metrics={"loss": value}) for t in trials(n)]
    found = history(of)
    budget = budget_chart(found, LOSS, 10, seq=1, most=500)
    figures: list[Figure] = [
        slices_figure(points_chart(found, SPACE, LOSS, (), seq=1, most=9, n_axes=9)),
        contour_figure(contour_chart(found, SPACE, LOSS, (), seq=1)),
        timeline_figure(timeline_chart(found, seq=1, most=9)),
        budget_figure(budget),
        best_figure(budget),
    ]
    for figure in figures:
        assert figure.alt.endswith(".")
        assert bool(figure.reason) == (n_marks(figure) == 0)
        assert len(table(figure).rows) == n_marks(figure)
