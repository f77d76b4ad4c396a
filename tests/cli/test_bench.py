"""`tunekit bench`: standings on stdout, notes on stderr, files in the folder."""

from __future__ import annotations

import csv
import io
import subprocess
import sys

import pytest

WORDS = "bench --problem tunekit.testing.problems:two --trials 6 --seeds 2 --pool-size 50".split()

OWN = """
from tunekit import Float, Space
from tunekit.bench.problem import Problem

mine = Problem("mine/x", Space(x=Float(0, 1)), lambda p: p["x"])


def drawn(seed):
    return [Problem(f"mine/{k}", Space(x=Float(0, 1)), lambda p: p["x"] + seed) for k in "ab"]


other = 5
"""


def test_a_comparison_prints_its_standings_and_writes_its_files(cli, answer, folder):
    result = cli(*WORDS, "--sampler", "random", "--sampler", "sobol", "--out", "r")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].split()[:3] == ["family", "contender", "runs"] and len(lines) == 3
    assert "8/8" in result.stderr and "report.html" in result.stderr
    page = (folder / "r" / "report.html").read_text()
    assert "--sampler random --sampler sobol" in page and "--trials 6" in page
    rows = answer(*WORDS, "--sampler", "random", "--sampler", "sobol", "--out", "r")["standings"]
    assert {row["contender"]: row["runs"] for row in rows} == {"random": 4, "sobol": 4}
    assert all(row["auc_low"] <= row["auc"] <= row["auc_high"] for row in rows)


def test_paired_differences_follow_the_standings_and_are_written(cli, folder):
    words = ["--sampler", "random", "--sampler", "sobol", "--out", "r", "-q"]
    plain = cli(*WORDS, *words)
    shown = cli(*WORDS, *words, "--against", "random")
    assert shown.exit_code == 0 and shown.stdout.startswith(plain.stdout)
    lines = shown.stdout.removeprefix(plain.stdout).split("\n")
    assert lines[1].split() == ["family", "contender", "against", "pairs", "auc", "final"]
    assert lines[2].split()[:4] == ["toy", "sobol", "random", "4"] and "+-" in lines[2]
    with (folder / "r" / "differences.csv").open() as file:
        assert next(csv.DictReader(file))["pairs"] == "4"
    refused = cli(*WORDS, *words, "--against", "sobel")
    assert refused.exit_code == 2 and 'did you mean "sobol"' in refused.stderr


def test_options_with_alternatives_show_the_spread_over_settings(cli):
    result = cli(*WORDS, "--sampler", "tpe:n_startup_trials=2|4", "--out", "r", "-q")
    assert result.exit_code == 0 and result.stderr == ""
    assert "auc_worst" in result.stdout and "tpe:n_startup_trials=4" in result.stdout


def test_own_problems_come_from_a_file_with_or_without_a_seed(cli, folder):
    (folder / "own.py").write_text(OWN)
    words = ["bench", "--problem", "own.py:mine", "--problem", "own.py:drawn", "--trials", "3"]
    words += ["--seeds", "1", "--pool-size", "20", "--suite-seed", "1", "--suite-seed", "2"]
    result = cli(*words, "--sampler", "random", "--format", "csv", "-q")
    assert result.exit_code == 0, result.stderr
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [(row["family"], row["problems"]) for row in rows] == [("mine", "6")]
    only = cli(*words, "--only", "mine/[ab]", "--sampler", "random", "--format", "csv", "-q")
    assert next(csv.DictReader(io.StringIO(only.stdout)))["problems"] == "4"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "has no contenders"),
        (["--sampler", "rnadom"], "did you mean"),
        (["--sampler", "auto:wrong=1"], "wrong"),
        (["--peer", "optuna-tep"], "did you mean"),
        (["--sampler", "random", "--suite", "treez"], "did you mean"),
        (["--sampler", "random", "--only", "nothing*"], "matches no problem; there are"),
        (["--sampler", "random", "--problem", "own.py:other"], "expected a tunekit.bench"),
        (["--sampler", "random", "--sampler", "random"], "twice"),
    ],
)
def test_bad_flags_end_with_status_2_before_anything_runs(cli, folder, words, said):
    (folder / "own.py").write_text(OWN)
    result = cli(*WORDS, *words)
    assert result.exit_code == 2 and result.stdout == ""
    assert said in result.stderr and len(result.stderr.splitlines()) == 1
    assert not (folder / "bench-results").exists()


def test_a_peer_that_is_not_installed_is_left_out_and_named(cli, monkeypatch):
    monkeypatch.setattr("tunekit.bench.peers.base.find_spec", lambda name: None)
    result = cli(*WORDS, "--sampler", "random", "--peer", "smac", "--out", "r")
    assert result.exit_code == 0
    assert 'the peer "smac" is not installed: pip install smac' in result.stderr
    assert cli(*WORDS, "--peer", "smac").exit_code == 1


def test_an_objective_of_a_trial_is_a_problem_with_its_space(cli):
    words = ["bench", "--problem", "train.py:objective", "--space", "train.py:space"]
    words += ["--minimize", "error", "--trials", "4", "--seeds", "2", "--pool-size", "30"]
    result = cli(*words, "--sampler", "random", "--sampler", "sobol", "--format", "csv", "-q")
    assert result.exit_code == 0, result.stderr
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [(row["family"], row["runs"]) for row in rows] == [("own", "2")] * 2
    assert cli(*words, "--maximize", "error", "--sampler", "random").exit_code == 2


def test_ls_shows_what_there_is_and_what_is_missing(answer):
    rows = answer("bench", "ls")["parts"]
    found = {(row["kind"], row["name"]) for row in rows}
    assert {("suite", "trees"), ("sampler", "auto"), ("peer", "optuna-gp")} <= found


def test_cost_prints_a_row_for_each_space_and_size(cli, answer):
    words = ["bench", "cost", "--sampler", "random", "--peer", "optuna-random", "-n", "5"]
    rows = answer(*words, "--repeats", "2")["costs"]
    assert [(row["space"], row["n"]) for row in rows] == [("flat-10d", 5)] * 2 + [
        ("tree-200", 5)
    ] * 2
    assert cli(*words, "--space", "round").exit_code == 2


def test_a_script_without_a_guard_starts_its_workers_once(folder):
    # As some packagers write it: no `if __name__ == "__main__"` around the call.
    (folder / "own.py").write_text(OWN)
    script = folder / "launch.py"
    script.write_text("import sys\nfrom tunekit.cli import main\nsys.exit(main())\n")
    words = [*WORDS, "--sampler", "random"]
    done = subprocess.run(
        [sys.executable, script, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "random" in done.stdout
