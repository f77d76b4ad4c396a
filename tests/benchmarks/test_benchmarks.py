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
    assert len(titles) == 7  # start-up, reports, processes, trials, growth, memory, opening
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert len({row.count("|") for row in rows}) > 1
    assert "| SQLite | 120 |" in done.stdout
    assert ">= 30x" in done.stdout
