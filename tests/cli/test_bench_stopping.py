"""`tunekit bench stopping`: which stopper suits the curves of a study."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tunekit as tk
from tunekit.testing.stoppers import curves


def recorded(url: str, n: int) -> None:
    """Store a study of complete trials with recorded curves."""
    made = tk.study("s", space={"x": tk.Float(0, 1)}, sampler="random", storage=url, seed=1)
    for curve in curves(n, seed=1):
        trial = made.ask()
        for step, loss in enumerate(curve):
            trial.report(float(loss), step)
        made.tell(trial, float(curve[-1]))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    found = f"sqlite:///{tmp_path_factory.mktemp('bench')}/s.db"
    recorded(found, 30)
    return found


def test_rules_of_tunekit_and_peers_are_compared_on_the_curves_of_a_study(cli, url: str) -> None:
    words = ("bench", "stopping", "s", "--storage", url, "--streams", "4", "--json")
    rows = json.loads(cli(*words).stdout)["rules"]
    names = {row["rule"] for row in rows}
    assert {"second_look", "asha", "median", "Optuna SuccessiveHalving 4, 2"} <= names
    by_name = {row["rule"]: row for row in rows}
    assert all(row["speed_up"] >= 1 and row["n_streams"] == 4 for row in rows)
    # The same rule by two hands.
    ours, peers = by_name["asha"], by_name["Optuna SuccessiveHalving 4, 2"]
    assert {k: v for k, v in ours.items() if k != "rule"} == {
        k: v for k, v in peers.items() if k != "rule"
    }
    assert [r["speed_up"] for r in rows] == sorted((r["speed_up"] for r in rows), reverse=True)


def test_rules_and_numbers_of_workers_are_chosen(cli, url: str) -> None:
    words = ("bench", "stopping", "s", "--storage", url, "--streams", "2", "--rule", "fast")
    result = cli(*words, "-w", "1", "-w", "4")
    rows = [line.split() for line in result.stdout.splitlines()[1:]]
    assert [row[:2] for row in rows if row[0] == "fast" and row[1] != "with"] == [
        ["fast", "1"],
        ["fast", "4"],
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--metric", "vaule"), 'did you mean "value"'),
        (("--rule", "none"), "no rule begins with none"),
    ],
)
def test_what_does_not_exist_is_told_in_a_sentence(cli, url: str, words, says: str) -> None:
    result = cli("bench", "stopping", "s", "--storage", url, *words)
    assert result.exit_code != 0 and says in result.stderr


def test_a_study_with_few_whole_curves_cannot_say(cli, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/few.db"
    recorded(url, 5)
    result = cli("bench", "stopping", "s", "--storage", url)
    assert result.exit_code != 0
    assert "5 complete trials have equally many reports of value" in result.stderr
