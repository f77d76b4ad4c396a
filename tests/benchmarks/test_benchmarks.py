"""The benchmark runs from end to end at tiny sizes; no figure of it is a matter of this test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

RUN = Path(__file__).with_name("run.py")


def test_the_quick_benchmark_prints_every_table_on_sqlite() -> None:
    done = subprocess.run(
        [sys.executable, str(RUN), "--quick", "--no-postgres"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    titles = [line for line in done.stdout.splitlines() if line.startswith("### ")]
    # start-up, reports, processes, trials, growth, memory, opening, questions
    assert len(titles) == 8
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert len({row.count("|") for row in rows}) > 1
    assert "| SQLite | 120 |" in done.stdout
    assert ">= 30x" in done.stdout


def test_the_quick_prediction_table_shows_three_shares_beside_the_last_value() -> None:
    script = RUN.with_name("curve_prediction.py")
    if not any((p / "shared/data/taskset").is_dir() for p in RUN.parents):
        pytest.skip("no shared/data/taskset: the shared data is not here")
    done = subprocess.run(
        [sys.executable, str(script), "--quick"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| 50, ")]
    shares = ["50, 10%", "50, 25%", "50, 50%"]
    assert [row.split("|")[1].strip() for row in rows] == 2 * shares


def test_the_quick_fidelity_table_has_a_row_for_each_peer() -> None:
    script = RUN.with_name("fidelity.py")
    if not any((p / "shared/data/taskset").is_dir() for p in RUN.parents):
        pytest.skip("no shared/data/taskset: the shared data is not here")
    done = subprocess.run(
        [sys.executable, str(script), "--quick", "--only", "Optuna", "--only", "ASHA"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith(("| Optuna", "| ASHA"))]
    assert len(rows) == 4
    assert all(row.count("+-") == 3 for row in rows)
