"""Paired differences between contenders, computed by hand."""

import math

import pytest

from tunekit.bench.differences import check_against, differences, shown_difference
from tunekit.bench.finished_cells import Cell
from tunekit.bench.regret import LossScale
from tunekit.bench.runner import FinishedComparison
from tunekit.bench.standings import Standings
from tunekit.errors import InvalidArgument

SCALE = LossScale(0.0, True, (1.0, 1.0), 10.0, 100, 0)  # so that regret is the loss


def standings(finals):
    """Return standings of (family, contender, workers, seed) -> loss of both trials."""
    results = {
        Cell(f"{family}/p", 0, name, seed, 2, workers): {
            "exact": [loss, loss],
            "cpu_ms": [1.0, 1.0],
        }
        for (family, name, workers, seed), loss in finals.items()
    }
    scales = {(cell.problem, 0): SCALE for cell in results}
    return Standings(FinishedComparison(results, scales))


def test_a_difference_is_the_mean_over_pairs_with_the_standard_error():
    bases, others = (0.5, 0.7, 0.9), (0.4, 0.3, 0.8)  # differences -.1, -.4, -.1
    finals = {("one", "base", 1, i): loss for i, loss in enumerate(bases)}
    finals |= {("one", "new", 1, i): loss for i, loss in enumerate(others)}
    (row,) = differences(standings(finals), "base")
    assert (row["family"], row["contender"], row["against"]) == ("one", "new", "base")
    assert row["pairs"] == 3 and row["final"] == pytest.approx(-0.2)
    assert row["final_error"] == pytest.approx(math.sqrt(0.03) / math.sqrt(3))
    assert shown_difference(row)["final"] == "-0.200 +- 0.100"


def test_only_runs_with_the_same_problem_and_seed_form_a_pair():
    finals = {("one", "base", 1, 0): 0.5, ("one", "base", 1, 1): 0.1, ("two", "base", 1, 0): 0.2}
    finals |= {("one", "new", 1, 1): 0.4, ("one", "new", 1, 2): 9.0, ("two", "new", 1, 0): 0.1}
    rows = {row["family"]: row for row in differences(standings(finals), "base")}
    assert {name: row["pairs"] for name, row in rows.items()} == {"one": 1, "two": 1, "all": 2}
    assert rows["one"]["final"] == pytest.approx(0.3) and rows["one"]["final_error"] is None
    assert shown_difference(rows["one"])["final"] == "+0.300"
    assert rows["all"]["final"] == pytest.approx(0.1)


def test_entries_are_paired_at_their_own_workers_and_the_base_with_its_fewest():
    finals = {("one", "base", w, 0): 0.1 * w for w in (1, 8)}
    finals |= {("one", "new", w, 0): 0.2 * w for w in (1, 8)}
    found = {
        (row["contender"], row["against"]): row["final"]
        for row in differences(standings(finals), "base")
    }
    assert found == {
        ("base x8", "base x1"): pytest.approx(0.7),
        ("new x1", "base x1"): pytest.approx(0.1),
        ("new x8", "base x8"): pytest.approx(0.8),
    }


def test_a_base_that_does_not_take_part_is_refused_with_the_nearest_name():
    with pytest.raises(InvalidArgument, match='did you mean "auto"'):
        check_against("atuo", ["auto", "random"])
