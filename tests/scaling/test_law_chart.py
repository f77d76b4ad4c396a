"""The law of a study as its page shows it, over the wire and back."""

from __future__ import annotations

import json

import pytest

import tunekit as tk
from tests.scaling.sweeps import rows
from tunekit.history import History
from tunekit.plots.figure import Axis, Bars, PanelFigure, PlaneFigure
from tunekit.plots.figure_records import LawChart, panel_figure, panel_record
from tunekit.plots.tables import table
from tunekit.records import ObjectiveSpec, TrialRecord, TrialState
from tunekit.scaling.law_chart import law_chart
from tunekit.scaling.law_figures import optima_figure
from tunekit.storages.codec import from_dict, to_dict
from tunekit.storages.http.messages import MAX_ANSWER_BYTES

SPACE = tk.Space(
    lr=tk.Float(1e-5, 1.0, log=True),
    bs=tk.Int(2**10, 2**24, log=True),
    params=tk.Int(10**5, 10**9, log=True, scale="N"),
    tokens=tk.Int(10**7, 10**11, log=True, scale="D"),
)


def history_of(runs: list[dict[str, float]]) -> History:
    history = History((ObjectiveSpec("loss"),), (), SPACE.target)
    trials = []
    for number, run in enumerate(runs):
        values = {"lr": run["lr"], "bs": round(run["bs"])}
        values |= {"params": round(run["N"]), "tokens": round(run["D"])}
        is_finite = run["loss"] == run["loss"]
        state = TrialState.COMPLETE if is_finite else TrialState.DIVERGED
        point = SPACE.validate(values)
        metrics = {"loss": run["loss"]} if is_finite else {}
        trials.append(TrialRecord(number, state, seq=number + 1, params=point, metrics=metrics))
    history.update(trials, len(trials))
    return history


@pytest.fixture(scope="module")
def chart() -> LawChart:
    return law_chart("sweep", history_of(rows()), SPACE, seq=7)


def test_it_predicts_at_the_largest_cell_of_the_space(chart: LawChart) -> None:
    assert chart.reason == ""
    assert chart.shown == len(rows())
    assert "lr" in "\n".join(chart.prediction) or "learning rate" in "\n".join(chart.prediction)
    assert [record.title for record in chart.figures][:2] == [
        "optimum of each cell and the law",
        "from the runs to N=1e+09, D=1e+11",
    ]


def test_it_comes_back_from_the_wire_as_it_was_and_fits_an_answer(chart: LawChart) -> None:
    text = json.dumps(to_dict(chart))
    assert len(text) <= MAX_ANSWER_BYTES
    assert from_dict(LawChart, json.loads(text)) == chart


def test_the_figure_of_a_record_shows_the_numbers_of_the_first() -> None:
    figure = optima_figure(tk.scaling.fit(rows(), method="surface"))
    again = panel_figure(panel_record(figure))
    for ours, theirs in zip(table(again).rows, table(figure).rows, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert a == (pytest.approx(b, rel=1e-5) if isinstance(b, float) else b)


def test_a_study_with_too_few_runs_says_why_there_is_no_law() -> None:
    found = law_chart("sweep", history_of(rows()[:2]), SPACE, seq=1)
    assert found.figures == ()
    assert found.reason


def test_a_mark_without_a_place_in_a_record_is_refused() -> None:
    bars = PlaneFigure("t", "a", Axis("x"), Axis("y"), (Bars("b", (1.0,)),))
    with pytest.raises(TypeError, match="Bars has no place"):
        panel_record(PanelFigure("t", "a", (bars,)))
