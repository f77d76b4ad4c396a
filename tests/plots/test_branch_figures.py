from dataclasses import replace

import pytest

from tests.plots.sample_trials import LOSS, SPACE, history, trials
from tunekit.analysis.charts.branches import importance_chart, tree_chart
from tunekit.analysis.charts.points import points_chart
from tunekit.history import History
from tunekit.plots.figure import MAX_MARKS, Bars, PlaneFigure
from tunekit.plots.importance import importance_figure, importance_panels
from tunekit.plots.parallel import parallel_figure
from tunekit.plots.tables import INACTIVE, n_marks, table
from tunekit.plots.tree import tree_figure
from tunekit.records import ObjectiveSpec, TrialRecord, TrialState
from tunekit.spaces import Categorical, Float, Space


def _importance(found: History, space: Space = SPACE, place: int = 0) -> PlaneFigure:
    chart = importance_chart(found, space, quantile=0.25, seq=1, most=60)
    return importance_figure(chart, place)


def _shares(figure: PlaneFigure) -> dict[str, float | None]:
    bars = figure.marks[0]
    assert isinstance(bars, Bars)
    return dict(zip(figure.y.categories, bars.lengths, strict=True))


def test_a_branch_shows_only_the_parameters_that_it_leaves_open() -> None:
    found = history(trials(120))
    assert set(_shares(_importance(found))) == {"c", "model.rbf.gamma", "model"}
    linear = _importance(found, place=2)
    assert set(_shares(linear)) == {"c"}
    assert linear.note == "40 of 120 trials (model=linear)."


def test_a_parameter_that_no_good_trial_has_is_named_as_inactive() -> None:
    of = [
        replace(t, metrics={"loss": t.metrics["loss"] + 1000.0 * bool(t.number % 3)})
        for t in trials(120)
    ]
    figure = _importance(history(of))
    assert "model.rbf.gamma: inactive in the good region (n=80)" in figure.y.categories
    assert "1 of 3 parameters inactive among those" in figure.alt


def test_too_few_trials_give_the_reason_in_place_of_shares() -> None:
    for of in ([], trials(1), trials(9)):
        figure = _importance(history(of))
        assert figure.marks == () and "10" in figure.reason
    chart = importance_chart(history([]), SPACE, quantile=0.25, seq=1, most=60)
    assert importance_panels(chart).reason


def test_many_parameters_are_summed_up_in_a_last_bar() -> None:
    space = Space({f"p{i}": Float(0.0, 1.0) for i in range(2000)})
    points = [{f"p{k}": ((i * 37 + k) % 101) / 101 for k in range(2000)} for i in range(12)]
    of = [
        TrialRecord(i, TrialState.COMPLETE, i + 1, params=p, metrics={"loss": float(i)})
        for i, p in enumerate(map(space.complete, points))
    ]
    figure = _importance(history(of), space)
    assert figure.y.categories[-1] == "40 others together" and len(figure.y.categories) == 21
    lines = parallel_figure(
        points_chart(history(of), space, LOSS, (), seq=1, most=2000, n_axes=60)
    )
    assert "12 of 2,000 parameters" in lines.note


def test_the_tree_counts_trials_and_keeps_the_best_of_each_branch() -> None:
    figure = tree_figure(tree_chart(history(trials(120)), SPACE, LOSS, seq=1, most=150))
    assert [(n.parent, n.size) for n in figure.nodes] == [(None, 120), (0, 80), (0, 40)]
    assert figure.nodes[1].label.startswith("model=rbf n=80 best ")
    assert figure.nodes[0].value == figure.nodes[1].value
    assert "Most went to model=rbf (80)" in figure.alt
    assert table(figure).rows[2][:2] == (f"{figure.nodes[0].label} / {figure.nodes[2].label}", 40)


def test_the_tree_says_where_trials_were_stopped_and_failed() -> None:
    of = trials(30)
    of[1] = replace(of[1], state=TrialState.STOPPED)
    of[2] = replace(of[2], state=TrialState.FAILED, metrics={})
    of[3] = replace(of[3], state=TrialState.LOST, metrics={})
    figure = tree_figure(tree_chart(history(of), SPACE, LOSS, seq=1, most=150))
    assert [(n.n_stopped, n.n_failed) for n in figure.nodes] == [(1, 2), (1, 1), (0, 1)]
    assert table(figure).columns[-2:] == ("stopped", "failed")


def test_what_is_left_out_of_a_tree_stands_folded_below_its_parent() -> None:
    inner = Space({"b": Categorical({"x": Space({"lr": Float(0.0, 1.0)}), "y": Space({})})})
    space = Space({"a": Categorical({f"v{i}": inner for i in range(9)})})
    points = [
        {"a": f"v{i % 9}", f"a.v{i % 9}.b": "y" if i % 2 else "x"}
        | ({} if i % 2 else {f"a.v{i % 9}.b.x.lr": 0.5})
        for i in range(90)
    ]
    of = [
        TrialRecord(i, TrialState.COMPLETE, i + 1, params=space.complete(p), metrics={"loss": 1.0})
        for i, p in enumerate(points)
    ]
    figure = tree_figure(tree_chart(history(of), space, LOSS, seq=1, most=5))
    folded = [n for n in figure.nodes if n.is_folded]
    assert folded and all(n.label.startswith("+") for n in folded)
    assert figure.note == "5 of 28 nodes."
    below_root = [n for n in figure.nodes if n.parent == 0]
    assert sum(n.size for n in below_root) == 90
    for place, node in enumerate(figure.nodes):
        assert node.parent is None or node.parent < place


def test_results_near_the_largest_number_do_not_break_the_tree() -> None:
    of = [replace(t, metrics={"loss": 1.5e308 if t.number % 2 else -1e300}) for t in trials(30)]
    figure = tree_figure(tree_chart(history(of), SPACE, LOSS, seq=1, most=150))
    assert figure.nodes[0].value == -1e300 and figure.nodes[0].spread is not None


def test_a_program_that_discovers_its_space_has_a_tree_of_one_node() -> None:
    figure = tree_figure(tree_chart(history(trials(5)), Space({}), LOSS, seq=1, most=150))
    assert len(figure.nodes) == 1 and "no branches" in figure.note
    assert tree_figure(tree_chart(history([]), Space({}), LOSS, seq=1, most=150)).reason


def test_parallel_lines_pass_a_lane_where_a_parameter_is_not_active() -> None:
    chart = points_chart(history(trials(60)), SPACE, LOSS, (), seq=1, most=2000, n_axes=60)
    figure = parallel_figure(chart)
    gamma = next(a for a in figure.axes if a.axis.title == "model.rbf.gamma")
    assert [v is None for v in gamma.values] == [n % 3 == 0 for n in figure.numbers]
    assert (gamma.axis.low, gamma.axis.high, gamma.axis.is_log) == (1e-4, 1.0, True)
    rows = [dict(zip(table(figure).columns, r, strict=True)) for r in table(figure).rows]
    assert rows[0]["model.rbf.gamma"] == INACTIVE and rows[0]["model"] == "linear"
    assert "1 of 3 parameters are not active in some trials" in figure.alt


def test_a_branch_drops_the_axes_that_are_the_same_for_all_its_trials() -> None:
    chart = points_chart(history(trials(60)), SPACE, LOSS, (), seq=1, most=2000, n_axes=60)
    figure = parallel_figure(chart, ("model", "linear"))
    assert [a.axis.title for a in figure.axes] == ["c", "loss"]
    assert set(figure.numbers) == {n for n in range(60) if n % 3 == 0}
    assert parallel_figure(chart, ("model", "none such")).reason


def test_parallel_lines_are_bounded_and_keep_the_good_ones() -> None:
    chart = points_chart(history(trials(5000)), SPACE, LOSS, (), seq=1, most=4000, n_axes=60)
    figure = parallel_figure(chart)
    assert n_marks(figure) == MAX_MARKS
    assert figure.roles.count("best") == 500
    assert figure.note.startswith("2,000 of 5,000 trials")


@pytest.mark.parametrize("n", [0, 1])
def test_hardly_any_trial_is_a_figure(n: int) -> None:
    of = trials(n)
    chart = points_chart(history(of), SPACE, ObjectiveSpec("loss"), (), seq=1, most=9, n_axes=60)
    assert bool(parallel_figure(chart).reason) == (n == 0)
