from dataclasses import replace

import pytest

from tests.plots.sample_trials import LOSS, history, trials
from tunekit.analysis.charts.records import HistoryChart
from tunekit.analysis.charts.results import history_chart
from tunekit.plots.figure import MAX_MARKS, Line, PlaneFigure, Points
from tunekit.plots.history import history_figure
from tunekit.plots.tables import n_marks, table
from tunekit.records import ObjectiveSpec, TrialRecord, TrialState


def _figure(of: list[TrialRecord], objective: ObjectiveSpec = LOSS) -> PlaneFigure:
    found = history(of, (objective,))
    return history_figure(history_chart(found, objective, seq=1, most=2000))


def _points(figure: PlaneFigure, role: str) -> Points:
    return next(m for m in figure.marks if isinstance(m, Points) and m.role == role)


def test_the_best_so_far_only_falls_and_reaches_the_last_trial() -> None:
    figure = _figure(trials(60))
    line = next(m for m in figure.marks if isinstance(m, Line))
    losses = [t.metrics["loss"] for t in trials(60)]
    assert line.is_stepped and line.role == "best"
    assert list(line.y) == sorted(line.y, reverse=True)  # type: ignore[type-var]
    assert line.y[-1] == min(losses) and line.x[-1] == 59.0
    assert figure.note.startswith("60 of 60 trials")
    assert f"{min(losses):.4g}, of trial {losses.index(min(losses))}" in figure.alt


def test_a_stopped_trial_stands_faint_at_its_predicted_final_value() -> None:
    of = trials(12)
    evidence = {"stopper": "curve", "metric": "loss", "predicted": 7.5}
    of[4] = replace(of[4], state=TrialState.STOPPED, stop_evidence=evidence)
    stopped = _points(_figure(of), "stopped")
    assert stopped.is_faint and stopped.y == (7.5,) and stopped.numbers == (4,)


def test_a_forecast_of_another_metric_is_no_forecast_of_the_shown_one() -> None:
    of = trials(12)
    evidence = {"stopper": "curve", "metric": "accuracy", "predicted": 0.9}
    of[4] = replace(of[4], state=TrialState.STOPPED, stop_evidence=evidence)
    assert _points(_figure(of), "stopped").y == (of[4].metrics["loss"],)


def test_a_trial_whose_second_metric_is_nan_has_no_place_by_it() -> None:
    of = [replace(t, metrics=dict(t.metrics, ms=float("nan" if t.number % 2 else t.number)))
          for t in trials(10)]  # fmt: skip
    ms = ObjectiveSpec("ms")
    figure = history_figure(history_chart(history(of), ms, seq=1, most=2000))
    assert "5 without a result (5 complete) not drawn" in figure.note
    assert figure.alt.startswith("The lowest ms of 10 trials is 0, of trial 0.")


def test_trials_without_a_result_are_counted_beside_the_figure() -> None:
    of = trials(12)
    of[3] = replace(of[3], state=TrialState.FAILED, metrics={})
    of[5] = replace(of[5], state=TrialState.RUNNING, metrics={})
    assert "2 without a result (1 failed, 1 running) not drawn" in _figure(of).note


def test_a_huge_result_leaves_the_others_apart() -> None:
    of = trials(30)
    of[7] = replace(of[7], metrics={"loss": 1e300})
    figure = _figure(of)
    assert figure.y.high is not None and figure.y.high < 1e3
    assert "1 result lies beyond the axis" in figure.note
    assert 1e300 in [row[-1] for row in table(figure).rows]


def test_the_best_result_is_never_beyond_the_axis_because_it_is_good() -> None:
    of = [
        replace(t, metrics={"loss": t.metrics["loss"] - 90.0 * (t.number == 7)})
        for t in trials(40)
    ]
    assert _figure(of).y.low is None


def test_a_long_study_has_at_most_the_allowed_marks() -> None:
    n = 3000
    falling = HistoryChart(
        1, n, n, "loss", numbers=tuple(range(n)), states=("complete",) * n,
        values=tuple([float(n - i) for i in range(n)]), predicted=(None,) * n,
        improvements=tuple(range(n)),
    )  # fmt: skip
    figure = history_figure(falling)
    assert n_marks(figure) <= MAX_MARKS
    assert figure.note.startswith("1,499 of 3,000 trials")


def test_without_a_result_the_figure_says_so() -> None:
    assert _figure([]).reason == "No trial has a result of loss yet."
    running = [replace(t, state=TrialState.RUNNING, metrics={}) for t in trials(3)]
    assert "3 without a result (3 running)" in _figure(running).reason


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_one_trial_is_a_figure(direction: str) -> None:
    figure = _figure(trials(1), ObjectiveSpec("loss", direction))  # type: ignore[arg-type]
    assert n_marks(figure) == 2 and "of trial 0" in figure.alt


def test_a_name_of_a_metric_stays_on_one_short_line() -> None:
    name = "<img src=x onerror=alert(1)>\n\x1b[31m" + "m" * 300
    objective = ObjectiveSpec(name)
    figure = _figure([replace(t, metrics={name: 1.0}) for t in trials(5)], objective)
    for text in (figure.title, figure.y.title, figure.alt, figure.note):
        assert "\n" not in text and "\x1b" not in text and "m" * 49 not in text
    assert "<img src=x" in figure.y.title
