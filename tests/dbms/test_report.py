"""What a tuning run tells: the chart, its figures and tables, and the report in HTML."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import tunekit as tk
from tests.dbms.simulated import Queries, SimulatedTarget
from tunekit.analysis.charts.knob_records import KnobsChart
from tunekit.analysis.charts.knobs import has_knobs, knobs_chart
from tunekit.history import History
from tunekit.plots.knobs import (
    changes_table,
    gains_figure,
    measures_figure,
    measures_table,
    rejections_table,
)
from tunekit.plots.tables import table
from tunekit.storages.codec import from_dict, to_dict
from tunekit_integrations.dbms.journal import Journals
from tunekit_integrations.dbms.protocol_options import ProtocolOptions
from tunekit_integrations.dbms.records import FailureKind, Settings
from tunekit_integrations.dbms.tuning import Tuned, tune_knobs

QUICK = ProtocolOptions(n_blocks=1, round_blocks=1, patience_s=0.0)


def factor(settings: Settings) -> float:
    return (0.8 if settings.get("turbo") else 1.0) * (4 if settings.get("work", 4) > 300 else 1)


def fails(settings: Settings) -> FailureKind | None:
    return FailureKind.OUT_OF_MEMORY if settings.get("work", 4) > 400 else None


def tuned(folder: Path, *, gain: bool) -> Tuned:
    target = SimulatedTarget(
        factor=factor if gain else lambda _: 1.0, fails=fails, slice_sd=0.005, has_twin=True
    )
    return tune_knobs(
        target, Queries(), n_trials=24, sampler="random", only=["turbo", "work"], options=QUICK,
        journals=Journals(folder), progress=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tuned]:
    yield tuned(tmp_path_factory.mktemp("journals"), gain=True)


@pytest.fixture(scope="module")
def chart(found: Tuned) -> KnobsChart:
    return knobs_chart(found.study.user_attrs, found.study.history, seq=1)


def test_the_verdict_has_its_numbers(chart: KnobsChart) -> None:
    assert (chart.server, chart.workload, chart.verdict) == (
        "simulated 1.0", "simulated queries", "faster",
    )  # fmt: skip
    assert chart.sentence.startswith("1.2")
    assert "beats the 1.0" in chart.sentence
    assert chart.comparisons[0].name == "default against itself"
    assert chart.comparisons[-1].estimate.mean == pytest.approx(1.25, rel=0.02)
    assert any("on two servers side by side" in line for line in chart.method)


def test_no_gain_is_told_as_such_with_the_numbers_of_the_closest(tmp_path: Path) -> None:
    study = tuned(tmp_path, gain=False).study
    chart = knobs_chart(study.user_attrs, study.history, seq=1)
    assert chart.verdict == "no significant gain"
    assert chart.changes == ()
    assert chart.sentence.startswith("No significant gain: the best candidate is ")
    assert "does not beat" in chart.sentence
    assert len(chart.measures) == 5


def test_the_change_has_units_reason_restart_and_risk(chart: KnobsChart) -> None:
    rows = {row[0]: row for row in changes_table(chart).rows}
    assert rows["turbo"] == ("turbo", "off", "on", "goes faster", "no", "low", "")
    if "work" in rows:
        assert rows["work"][1] == "4 MB"
        assert rows["work"][5] == "memory"


def test_every_rejection_says_why(chart: KnobsChart) -> None:
    by_kind = {r.kind: r for r in chart.rejections}
    assert {"oom", "stopped", "slower"} <= set(by_kind)
    assert by_kind["oom"].why == "the work ended by oom."
    assert by_kind["stopped"].why.startswith(("cut off at 2.5 times", "given up"))
    assert by_kind["stopped"].factor is not None
    assert by_kind["oom"].factor is None
    assert len(rejections_table(chart).rows) == len(chart.rejections)


def test_before_and_after_have_intervals(chart: KnobsChart) -> None:
    names = [m.name for m in chart.measures]
    assert names == [
        "throughput", "latency p50", "latency p95", "latency p99", "server CPU per unit",
    ]  # fmt: skip
    p50 = chart.measures[1]
    assert p50.before.low < p50.before.mean < p50.before.high
    assert p50.after.mean / p50.before.mean == pytest.approx(0.8, rel=0.02)
    assert "(" in measures_table(chart).rows[0][1]  # type: ignore[operator]


def test_figures_have_a_table_twin_and_draw(chart: KnobsChart) -> None:
    from tunekit.plots.plotly import to_plotly

    for figure in (gains_figure(chart), measures_figure(chart)):
        assert table(figure).rows
        assert to_plotly(figure).to_json()
    assert len(measures_figure(chart).panels) == 5


def test_it_comes_back_from_the_wire_as_it_was(chart: KnobsChart) -> None:
    text = json.dumps(to_dict(chart))
    assert from_dict(KnobsChart, json.loads(text)) == chart


def test_the_html_report_has_the_verdict_and_escapes_what_it_quotes(
    found: Tuned, tmp_path: Path
) -> None:
    from tunekit.driver.study_reader import StudyReader
    from tunekit.studies.report import report_html

    reader = StudyReader(found.study.storage, found.study.record())
    reader.refresh()
    html = report_html(reader)
    for text in ("knobs: simulated 1.0", "changed knobs", "rejected", "before and after", "turbo"):
        assert text in html


def test_other_studies_have_no_such_page() -> None:
    study = tk.study(space={"x": tk.Float(0, 1)}, attrs={"knobs": "mine"})
    study.optimize(lambda trial: trial.params["x"], n_trials=1, progress=False)
    assert not has_knobs(study.user_attrs, study.history)
    assert knobs_chart(study.user_attrs, study.history, seq=1).reason
    assert not has_knobs({}, History(study.history.objectives, (), {}))
