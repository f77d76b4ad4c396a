"""The tables and files of a comparison, and the costs of suggestions."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

import tunekit as tk
from tunekit.bench.choices import choices
from tunekit.bench.contenders import Contender, parse_contenders
from tunekit.bench.cost import PROBLEMS, CostTask
from tunekit.bench.finished_cells import Cell
from tunekit.bench.peers.base import PeerProposer
from tunekit.bench.plots import settings_strip
from tunekit.bench.regret import LossScale
from tunekit.bench.report import ComparisonReport, shown, versions
from tunekit.bench.runner import ComparisonPlan, FinishedComparison
from tunekit.bench.sources import SuiteSource
from tunekit.bench.standings import Standings
from tunekit.errors import DISTRIBUTION, InvalidArgument
from tunekit.records import TrialRecord, TrialState
from tunekit.spaces import Params

SCALE = LossScale(0.0, True, (4.0, 2.0), 10.0, 100, 3)
CONTENDERS = (*parse_contenders("good:k=1|2", "sampler"), Contender("sampler", "bad"))


def result(*losses: float | None) -> dict[str, object]:
    n = len(losses)
    return {
        "exact": list(losses),
        "cpu_ms": [1.0] * n,
        "evidence_bytes": [5] * n,
        "reason": "it said <so>",
    }


def report() -> ComparisonReport:
    losses = {"good:k=1": (2.0, 0.0), "good:k=2": (4.0, 1.0), "bad": (None, 6.0)}
    results = {
        Cell(f"{family}/p", 0, name, seed, 2, 1): result(*found)
        for family in ("one", "two")
        for name, found in losses.items()
        for seed in (0, 1)
    }
    scales = {("one/p", 0): SCALE, ("two/p", 0): SCALE}
    broken = {Cell("one/p", 0, "bad", 2, 2, 1): "ValueError: no <data>"}
    plan = ComparisonPlan((SuiteSource("trees"),), CONTENDERS, (0, 1), n_trials=2)
    return ComparisonReport(
        plan, FinishedComparison(results, scales, broken), "tunekit bench x", {"smac": "none"}
    )


def test_standings_hold_the_values_computed_by_hand():
    rows = report().tables()["standings"]
    assert [(r["family"], r["contender"]) for r in rows[:3]] == [
        ("one", "good:k=1"),
        ("one", "good:k=2"),
        ("one", "bad"),
    ]
    # Regret after the two trials: (2/4, 0/2), (4/4, 1/2), (10/4, 6/2).
    assert [r["auc"] for r in rows[:3]] == [0.25, 0.75, 2.75]
    assert [r["final"] for r in rows[:3]] == [0.0, 0.5, 3.0]
    assert [r["rank_auc"] for r in rows[:3]] == [1, 2, 3]
    assert [r["family"] for r in rows] == ["one"] * 3 + ["two"] * 3 + ["all"] * 3
    assert rows[0]["auc_low"] == rows[0]["auc_high"] == 0.25
    assert shown(rows[0])["auc"] == "0.250 [0.250, 0.250]"


def test_ranks_are_of_the_problems_that_all_have_run_on():
    full = report().outcome
    kept = {c: r for c, r in full.results.items() if (c.problem, c.contender) != ("two/p", "bad")}
    rows = Standings(FinishedComparison(kept, full.scales)).table()
    assert [r["contender"] for r in rows if r["family"] == "two"] == ["good:k=1", "good:k=2"]
    overall = {r["contender"]: r for r in rows if r["family"] == "all"}
    assert overall["bad"]["problems"] == 1
    assert overall["bad"]["rank_auc"] == 3


def test_the_spread_over_settings_is_told_of_samplers_with_several():
    rows = report().tables()["settings"]
    assert [(r["family"], r["sampler"], r["settings"]) for r in rows] == [
        ("one", "good", 2),
        ("two", "good", 2),
        ("all", "good", 2),
    ]
    assert (rows[0]["auc_best"], rows[0]["auc_median"], rows[0]["auc_worst"]) == (0.25, 0.5, 0.75)
    assert rows[0]["best"] == "good:k=1"


def test_with_several_numbers_of_workers_each_has_its_spread():
    pytest.importorskip("plotly")
    first = report()
    eight = {replace(cell, workers=8): r for cell, r in first.outcome.results.items()}
    outcome = replace(first.outcome, results={**first.outcome.results, **eight})
    both = replace(first, outcome=outcome)
    rows = [row for row in both.tables()["settings"] if row["family"] == "one"]
    assert [(row["workers"], row["settings"]) for row in rows] == [(1, 2), (8, 2)]
    assert rows[1]["best"] == "good:k=1 x8"
    strip = settings_strip(both.tables()["standings"], {"good:k=1": "good"}, "one")
    assert len(strip.data[0].y) == 2 * 3  # both numbers of workers in two families and in all


def test_a_report_is_one_page_without_links_and_a_csv_for_each_table(tmp_path):
    pytest.importorskip("plotly")
    paths = report().write(tmp_path)
    names = {p.name for p in paths}
    assert {"standings.csv", "settings.csv", "problems.csv", "report.html"} <= names
    with (tmp_path / "standings.csv").open() as file:
        assert float(next(csv.DictReader(file))["auc"]) == 0.25
    page = (tmp_path / "report.html").read_text()
    assert "tunekit bench x" in page and "seeds 0, 1" in page and "numpy " in page
    assert "it said &lt;so&gt;" in page and "no &lt;data&gt;" in page and "smac" in page
    assert "good:k=2" in page and "<script src" not in page and "<link" not in page


def test_the_spaces_of_costs_have_the_sizes_that_their_names_say():
    assert len(PROBLEMS["flat-10d"].space) == 10
    assert len(PROBLEMS["tree-200"].space) == 200


@pytest.mark.parametrize(
    "contender", [Contender("sampler", "tpe"), Contender("peer", "optuna-tpe")]
)
def test_the_cost_of_a_suggestion_is_measured_after_random_trials(contender):
    row = CostTask(contender, "flat-10d", n=15, repeats=3).run()
    assert row["n"] == 15 and row["contender"] == contender.label
    assert 0 < row["cpu_ms_median"] <= row["cpu_ms_max"]
    assert np.isfinite(row["max_by_median"])


class Deaf:
    def ask(self):
        raise AssertionError

    def tell(self, params, loss):
        raise AssertionError


def test_a_peer_that_hears_only_of_its_own_trials_says_so():
    record = TrialRecord(0, TrialState.COMPLETE, params=Params(x=1.0))
    with pytest.raises(InvalidArgument, match="accepts only trials that it proposed"):
        PeerProposer(Deaf(), "deaf").observe(record, 1.0)


def test_the_versions_begin_with_our_own() -> None:
    assert f"{DISTRIBUTION} {tk.__version__}" in versions()


def test_each_choice_is_counted_by_trials_and_by_runs():
    def cell(contender: str, seed: int, workers: int = 1) -> Cell:
        return Cell("cash/p", 0, contender, seed, 2, workers)

    svm = {"model": "svm", "svm.C": 1.0, "svm.shrinking": True}
    found = choices(
        {
            cell("a", 0): {"params": [svm, svm, {"model": "knn"}]},
            cell("a", 1): {"params": [{"model": "knn"}]},
            cell("b", 0): {"params": [{"model": "tree"}]},
            cell("b", 0, workers=8): {"params": [{"model": "knn"}, {"model": 3}]},
        }
    )
    counts = {
        (f"{r['contender']} x{r['workers']}", r["parameter"], r["choice"]): (
            *(r["trials"], r["active"], r["runs"]),
        )
        for r in found
    }
    assert counts["a x1", "model", "svm"] == (2, 4, 1)
    assert counts["a x1", "model", "knn"] == (2, 4, 2)
    assert counts["a x1", "model", "tree"] == (0, 4, 0)
    assert counts["a x1", "svm.shrinking", "True"] == (2, 2, 1)
    assert counts["b x1", "svm.shrinking", "True"] == (0, 0, 0)
    assert counts["b x8", "model", "knn"] == (1, 2, 1)
    assert "svm.C" not in {r["parameter"] for r in found}
    assert choices({cell("a", 0): result(1.0, 2.0)}) == []
