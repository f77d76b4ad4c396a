from contextlib import closing
from dataclasses import replace
from pathlib import Path

from tests.plots.sample_trials import LOSS, SPACE, curve, trials
from tunekit.analysis.charts.curve_store import CurveStore
from tunekit.analysis.charts.curves import curves_chart
from tunekit.plots.curves import curves_figure
from tunekit.plots.figure import MAX_MARKS, Band, Line, PlaneFigure
from tunekit.plots.tables import n_marks
from tunekit.records import StudySpec, TrialRecord, TrialState
from tunekit.storages.base import Reports
from tunekit.storages.urls import open_storage
from tunekit.studies.histories import read_history


def _figure(
    folder: Path, of: list[TrialRecord], reports: Reports, selected: tuple[int, ...] = ()
) -> PlaneFigure:
    with closing(open_storage(folder / "study.db")) as storage:
        record = storage.create_study(StudySpec("s", (LOSS,), space=SPACE))
        storage.add_trials(record.id, of, reports)
        found = read_history(storage, record)
        store = CurveStore(storage, record.id, "loss")
        store.refresh(found)
        chart = curves_chart(found, store, LOSS, selected, seq=1, most=20)
    return curves_figure(chart, selected)


def test_curves_are_bands_and_the_best_single_ones(tmp_path: Path) -> None:
    of = trials(100)
    figure = _figure(tmp_path, of, {t.number: curve(t.metrics["loss"]) for t in of}, (3,))
    bands = [m for m in figure.marks if isinstance(m, Band)]
    lines = [m for m in figure.marks if isinstance(m, Line) and m.number is not None]
    assert [b.name for b in bands] == ["complete (100): 5 to 95 %", "complete (100): 25 to 75 %"]
    best = sorted(of, key=lambda t: t.metrics["loss"])[0].number
    assert {(m.number, m.role) for m in lines} >= {(best, "best"), (3, "selected")}
    assert n_marks(figure) <= MAX_MARKS
    assert f"trial {best} ends lowest" in figure.alt
    assert figure.note.startswith("100 of 100 trials with reports.")


def test_a_stopped_curve_opens_into_the_forecast_that_ended_it(tmp_path: Path) -> None:
    of = trials(10)
    evidence = {"stopper": "curve", "metric": "loss", "predicted": 6.0, "interval": [5.0, 9.0]}
    of[4] = replace(of[4], state=TrialState.STOPPED, stop_evidence=evidence)
    reports = {t.number: curve(t.metrics["loss"], 8 if t.number == 4 else 40) for t in of}
    figure = _figure(tmp_path, of, reports, (4,))
    fan = [m for m in figure.marks if m.name.startswith("trial 4, predicted final 6")]
    band, line = fan
    last = of[4].metrics["loss"] + 1.0
    assert isinstance(band, Band) and isinstance(line, Line)
    assert (band.low, band.high) == ((last, 5.0), (last, 9.0))
    assert line.y == (last, 6.0) and line.x == (8.0, 40.0) and line.is_dashed


def test_without_reports_the_figure_says_so(tmp_path: Path) -> None:
    assert _figure(tmp_path, trials(3), {}).reason == "No trial has reported loss yet."


def test_reports_of_any_size_make_a_figure(tmp_path: Path) -> None:
    of = trials(12)
    reports = {t.number: curve(t.metrics["loss"]) for t in of}
    reports[2] = curve(1.7e308)
    reports[3] = curve(-1.7e308)
    figure = _figure(tmp_path, of, reports)
    assert figure.y.high is not None and figure.y.high < 1e6
    assert "What lies beyond the axis is cut off" in figure.note


def test_one_report_is_a_figure(tmp_path: Path) -> None:
    figure = _figure(tmp_path, trials(1), {0: curve(1.0, 1)})
    assert not figure.reason and n_marks(figure) == 1
