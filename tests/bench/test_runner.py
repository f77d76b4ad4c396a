"""A comparison is resumable at any point, in processes that may die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tunekit.bench.contenders import Contender, parse_contenders, parse_options
from tunekit.bench.finished_cells import FILE, FinishedCells
from tunekit.bench.problem import Problem
from tunekit.bench.runner import ComparisonPlan, run
from tunekit.bench.standings import Standings, failures
from tunekit.bench.workforce import perform
from tunekit.errors import InvalidArgument
from tunekit.samplers.threads import one_thread
from tunekit.testing.problems import two


@dataclass(frozen=True)
class Toys:
    seed: int = 0
    variant: str = ""

    def problems(self) -> Any:
        return two()


class Failing(Toys):
    def problems(self) -> Any:
        return [Problem("toy/flat", two()[1].space, lambda params: {"loss": {}["z"]})]


def plan(**options: Any) -> ComparisonPlan:
    options.setdefault(
        "contenders", (Contender("sampler", "random"), Contender("sampler", "sobol"))
    )
    return ComparisonPlan((Toys(),), seeds=(0, 1), n_trials=6, n_pool=200, **options)


def heard_in(folder: Path, **options: Any) -> tuple[Any, list[str]]:
    """Return the outcome and what was run anew."""
    heard: list[str] = []
    outcome = run(
        plan(**options), folder, jobs=0, listen=lambda what, n, total: heard.append(what)
    )
    return outcome, [what for what in heard if not what.startswith("random points")]


def test_every_contender_runs_on_every_problem_with_every_seed(tmp_path):
    outcome, heard = heard_in(tmp_path)
    assert len(heard) == len(outcome.results) == 2 * 2 * 2
    assert set(outcome.scales) == {("toy/tree", 0), ("toy/flat", 0)}
    assert all(len(r["losses"]) == len(r["cpu_ms"]) == 6 for r in outcome.results.values())


def test_a_rerun_runs_nothing_and_gives_the_same(tmp_path):
    first, _ = heard_in(tmp_path)
    second, heard = heard_in(tmp_path)
    assert heard == []
    assert second.results == first.results and second.scales == first.scales


def test_a_cut_file_loses_only_its_last_line(tmp_path):
    first, _ = heard_in(tmp_path)
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:-30])
    second, heard = heard_in(tmp_path)
    assert len(heard) == 1
    keys = [json.loads(line)["cell"] for line in path.read_text().splitlines()]
    assert len(keys) == 8 and len(FinishedCells(tmp_path).results) == 8
    assert [r["losses"] for r in second.results.values()] == [
        r["losses"] for r in first.results.values()
    ]


def test_more_seeds_and_contenders_run_only_what_is_new(tmp_path):
    heard_in(tmp_path)
    more = (Contender("sampler", "random"), Contender("sampler", "auto", (("budget", 6),)))
    _, heard = heard_in(tmp_path, contenders=more)
    assert len(heard) == 4 and all("auto:budget=6" in what for what in heard)
    _, heard = heard_in(tmp_path, workers=(1, 3))
    assert len(heard) == 8


def test_a_contender_that_cannot_run_is_told_and_tried_again(tmp_path):
    broken = (Contender("sampler", "random"), Contender("sampler", "auto", (("bad", 1),)))
    outcome, _ = heard_in(tmp_path, contenders=broken)
    assert len(outcome.errors) == 4 and len(outcome.results) == 4
    row = failures(outcome.errors)[0]
    assert row["contender"] == "auto:bad=1" and row["runs"] == 4 and "bad" in row["why"]
    assert len(heard_in(tmp_path, contenders=broken)[1]) == 4


def test_a_contender_whose_trials_fail_is_told_with_the_first_error(tmp_path):
    heard: list[str] = []
    run(
        ComparisonPlan((Failing(),), (Contender("sampler", "random"),), seeds=(0,), n_trials=6),
        tmp_path,
        jobs=0,
        listen=lambda what, n, total: heard.append(what),
    )
    assert heard[0] == "toy/flat random seed 0: 6 of 6 trials failed, the first with KeyError: 'z'"


def test_a_broken_line_in_the_middle_is_named(tmp_path):
    heard_in(tmp_path)
    path = tmp_path / FILE
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:40], *lines[2:]]) + "\n")
    with pytest.raises(InvalidArgument, match="line 2"):
        FinishedCells(tmp_path)


def test_two_comparisons_do_not_write_to_one_folder(tmp_path):
    with FinishedCells(tmp_path).writing(), pytest.raises(InvalidArgument, match="another"):
        heard_in(tmp_path)


def test_standings_rank_and_sort_by_regret(tmp_path):
    outcome, _ = heard_in(tmp_path)
    rows = Standings(outcome).table()
    assert [row["family"] for row in rows] == ["toy", "toy"]
    assert rows[0]["auc"] <= rows[1]["auc"]
    assert sum(row["rank_auc"] for row in rows) == pytest.approx(3.0)
    assert all(row["auc_low"] <= row["auc"] <= row["auc_high"] for row in rows)
    assert {row["problems"] for row in rows} == {2} and {row["runs"] for row in rows} == {4}


def test_several_numbers_of_workers_stand_side_by_side(tmp_path):
    outcome, _ = heard_in(tmp_path, workers=(1, 3))
    labels = {row["contender"] for row in Standings(outcome).table()}
    assert labels == {"random x1", "random x3", "sobol x1", "sobol x3"}


def test_a_plan_without_parts_or_with_one_twice_is_refused():
    with pytest.raises(InvalidArgument, match="has no contenders"):
        plan(contenders=())
    with pytest.raises(InvalidArgument, match="twice"):
        plan(contenders=(Contender("sampler", "random"),) * 2)


def test_alternatives_make_one_contender_each():
    found = parse_contenders("bayesian:kernel=block|flat,n=4,on=true", "sampler")
    assert [c.label for c in found] == [
        "bayesian:kernel=block,n=4,on=true",
        "bayesian:kernel=flat,n=4,on=true",
    ]
    assert dict(found[0].options) == {"kernel": "block", "n": 4, "on": True}
    assert parse_options("trees", "suite") == ("trees", {})


@pytest.mark.parametrize("text", ["", ":a=1", "x:", "x:a", "x:a=", "x:a=1,a=2", "x:1a=2"])
def test_a_malformed_contender_is_refused(text):
    with pytest.raises(InvalidArgument, match="sampler"):
        parse_contenders(text, "sampler")


@dataclass(frozen=True)
class Odd:
    n: int

    def run(self) -> Any:
        if self.n == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.n == 2:
            raise ValueError("no such thing")
        import numpy  # noqa: F401 - brings a BLAS library
        from threadpoolctl import threadpool_info

        with one_thread():
            return self.n, [x["num_threads"] for x in threadpool_info()]


def test_a_process_that_dies_takes_only_its_own_task_with_it(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    done = {d.task.n: d for d in perform([Odd(n) for n in range(5)], jobs=2)}
    for n in (0, 4):
        number, threads = done[n].result
        assert number == n and set(threads) == {1}
    assert done[1].error == "the worker process died (exit code -9)"
    assert done[2].error == "ValueError: no such thing" and "run" in done[2].trace


SEEDS = 40
"""So many that a comparison is far from its end when a busy machine sends the signal."""


def command(folder: Path) -> list[str]:
    words = "-m tunekit bench --problem tunekit.testing.problems:two --sampler random"
    words += (
        f" --sampler sobol --trials 120 --seeds {SEEDS} --pool-size 100 --jobs 2 --out {folder}"
    )
    return [sys.executable, *words.split(), "--format", "json"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_comparison_goes_on_where_it_was(tmp_path, number, request):
    # Below `nohup` and in the background of a script the signal is ignored, here and below.
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, ours))
    started = subprocess.Popen(
        command(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert started.stderr is not None
    while not started.stderr.readline().startswith("3/"):
        assert started.poll() is None
    if number == signal.SIGTERM:
        started.send_signal(number)  # to the parent alone, as a service manager does
    else:
        os.killpg(started.pid, number)
    started.communicate()  # returns when the workers, which share stderr, are gone too
    assert started.returncode == (-number if number == signal.SIGKILL else 128 + number)
    kept = set(FinishedCells(tmp_path).results)
    assert 3 <= len(kept) < 4 * SEEDS
    done = subprocess.run(command(tmp_path), capture_output=True, text=True, check=True)
    first = done.stderr.splitlines()[0]
    assert first.startswith(f"{len(kept) + 1}/{4 * SEEDS} ")
    rows = json.loads(done.stdout)["standings"]
    assert [row["runs"] for row in rows] == [2 * SEEDS, 2 * SEEDS]
    assert len(FinishedCells(tmp_path).results) == 4 * SEEDS
