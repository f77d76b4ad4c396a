"""The benchmark of scaling laws runs from end to end on a synthetic table."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from tests.surrogates.scaling.surfaces import grid

pytestmark = pytest.mark.slow

RUN = Path(__file__).with_name("scaling_laws.py")


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(RUN), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_table_has_rows_with_figures_and_targets(tmp_path: Path) -> None:
    runs = grid([(n, n * r) for n in (1e8, 2e8, 4e8) for r in (20, 40, 80)])
    path = tmp_path / "runs.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["lr", "bs", "N", "D", "loss"])
        writer.writerows(zip(runs.lr, runs.bs / 2048, runs.n, runs.d, runs.loss, strict=True))
    out = run("--quick", "--data", str(path))
    rows = [line.strip("| ").split(" | ") for line in out.splitlines() if line.startswith("| ")]
    by_name = {row[0]: row for row in rows}
    assert float(by_name["auto"][1]) < float(by_name["mup exponents, anchored"][1])
    assert float(by_name["the law and 5 runs"][1]) < 0.2
    assert by_name["surface"][-1] == "85-95 %"
    assert "35 planned in any cell, from deepseek" in by_name
    assert float(by_name["0.0003"][1]) < 0.005
    assert by_name["learning rate"][-1] == "0.000917"


def test_absent_data_are_named_and_skipped(tmp_path: Path) -> None:
    assert run("--data", str(tmp_path / "none.csv")).startswith("skipped: there is no")
