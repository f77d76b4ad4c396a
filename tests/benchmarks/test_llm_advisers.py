"""The benchmark of simulated advisers runs from end to end, and resumes what it has kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

RUN = Path(__file__).with_name("llm_advisers.py")


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(RUN), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_adviser_has_a_row_and_kept_runs_are_not_made_again(tmp_path: Path) -> None:
    kept = tmp_path / "runs.jsonl"
    options = ("--seeds", "1", "--trials", "9", "--problems", "15 knobs", "--runs", str(kept))
    out = run(*options)
    n_kept = len(kept.read_text().splitlines())
    assert n_kept == 10
    rows = [line.strip("| ").split(" | ") for line in out.splitlines() if line.startswith("| ")]
    by_name = {(row[0], row[1]): row for row in rows}
    assert float(by_name["good, error 5%", "15 knobs"][3]) <= 9
    assert ("misleading", "**all**") in by_name and ("random", "15 knobs") in by_name
    assert ("reads the state, not told", "15 knobs") in by_name
    assert ("one point and ranges, misleading", "15 knobs") in by_name
    assert run(*options) == out
    assert len(kept.read_text().splitlines()) == n_kept
