from dataclasses import replace

import numpy as np
import pytest

from tests.plots.sample_trials import LOSS, SPACE, history, trials
from tunekit.analysis.charts.contour import MAX_COLUMNS, N_CELLS, contour_chart
from tunekit.records import ObjectiveSpec, TrialRecord, TrialState
from tunekit.spaces import Float, Space


def test_the_model_finds_the_best_value_of_a_parameter() -> None:
    chart = contour_chart(history(trials(150)), SPACE, LOSS, (), seq=1)
    assert [a.path for a in chart.axes] == ["c", "model.rbf.gamma"]
    mean = np.array(chart.mean, dtype=float)
    assert mean.shape == (N_CELLS, N_CELLS) == (len(chart.y), len(chart.x))
    at = chart.x[int(np.argmin(mean.mean(axis=0)))]
    assert abs(at - 3.0) < 0.5  # the loss is (c - 3)^2 + 1
    middle = mean[:, int(np.argmin(np.abs(np.array(chart.x) - 6.0)))]
    # the grid has a value within 0.13 of 6, where the loss is 10 and its slope 6
    assert np.allclose(middle, 10.0, atol=1.2)
    assert chart.base == min(trials(150), key=lambda t: t.metrics["loss"]).number


def test_where_a_choice_switches_a_parameter_off_there_is_no_expectation() -> None:
    asked = ("model", "model.rbf.gamma")
    chart = contour_chart(history(trials(60)), SPACE, LOSS, asked, seq=1)
    assert chart.axes[0].choices == ("rbf", "linear") and chart.x == (0.0, 1.0)
    columns = list(zip(*chart.mean, strict=True))
    assert None not in columns[0] and set(columns[1]) == {None}


def test_a_maximised_metric_is_expected_in_its_own_sign() -> None:
    of = [replace(t, metrics={"accuracy": 100.0 - t.metrics["loss"]}) for t in trials(150)]
    goal = ObjectiveSpec("accuracy", "maximize")
    chart = contour_chart(history(of, (goal,)), SPACE, goal, (), seq=1)
    best = max(v for row in chart.mean for v in row if v is not None)
    assert best == pytest.approx(99.0, abs=0.5)


def test_with_many_parameters_the_model_knows_the_two_alone() -> None:
    n = MAX_COLUMNS + 20
    space = Space({f"p{i}": Float(0.0, 1.0) for i in range(n)})
    random = np.random.default_rng(1)
    of = []
    for i in range(60):
        values = random.uniform(size=n)
        params = space.complete({f"p{k}": float(v) for k, v in enumerate(values)})
        loss = float((values[3] - 0.2) ** 2)
        of.append(
            TrialRecord(i, TrialState.COMPLETE, i + 1, params=params, metrics={"loss": loss})
        )
    chart = contour_chart(history(of), space, LOSS, ("p3", "p5"), seq=1)
    mean = np.array(chart.mean, dtype=float)
    assert chart.x[int(np.argmin(mean.mean(axis=0)))] == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize(
    ("n", "paths", "reason"),
    [
        (0, (), "no two parameters"),
        (5, (), "there are 3"),  # of 5 trials, 2 are of the other branch
        (60, ("c", "c"), "no two parameters"),
        (60, ("c", "none such"), "no two parameters"),
    ],
)
def test_what_a_model_lacks_is_said(n: int, paths: tuple[str, ...], reason: str) -> None:
    chart = contour_chart(history(trials(n)), SPACE, LOSS, paths, seq=1)
    assert chart.mean == () and reason in chart.reason


@pytest.mark.parametrize("value", [1e300, -1e300])
def test_a_huge_result_does_not_break_the_model(value: float) -> None:
    of = trials(40)
    of[7] = replace(of[7], metrics={"loss": value})
    chart = contour_chart(history(of), SPACE, LOSS, (), seq=1)
    assert chart.n_fitted == 26


def test_trials_of_an_earlier_space_are_shown_but_not_learnt_from() -> None:
    narrow = Space({"c": Float(0.1, 5.0), "d": Float(0.0, 1.0)})
    of = [
        TrialRecord(i, TrialState.COMPLETE, i + 1, metrics={"loss": float(i)},
                    params=Space({"c": Float(0.1, 10.0), "d": Float(0.0, 1.0)}).complete(
                        {"c": 0.1 + i / 4, "d": (i * 7 % 11) / 11}))
        for i in range(30)
    ]  # fmt: skip
    chart = contour_chart(history(of), narrow, LOSS, ("c", "d"), seq=1)
    assert chart.shown == 30 and chart.n_fitted == 20
