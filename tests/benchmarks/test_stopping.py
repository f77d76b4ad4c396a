"""The stopping benchmark runs from end to end on tiny curves; no figure is a matter here."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tunekit.testing.stoppers import curves

pytestmark = pytest.mark.slow

RUN = Path(__file__).with_name("stopping.py")


def test_every_rule_has_a_row_for_tuned_and_held_out_tasks(tmp_path: Path) -> None:
    for seed in (1, 2):
        runs = [{"hp": {}, "valid": {"loss": c}} for c in curves(20, seed=seed)]
        with gzip.open(tmp_path / f"task{seed}.json.gz", "wt") as file:
            json.dump(runs, file)
    done = subprocess.run(
        [sys.executable, str(RUN), "--quick", "--data", str(tmp_path), "--stopper", "optuna"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    names = [row[0].removeprefix("| ") for row in rows]
    for name in (
        "second_look",
        "asha",
        "hyperband",
        "median",
        "patience",
        "fast",
        "optuna",
    ):
        assert names.count(name) == 2
    assert names.count("Optuna SuccessiveHalving 4, 2") == 2
    by_name = dict(zip(names, rows, strict=True))
    # The same rule by two hands: the figures of all columns agree.
    assert by_name["asha"][1:] == by_name["Optuna SuccessiveHalving 4, 2"][1:]


def test_a_folder_without_curves_is_an_error(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(RUN), "--data", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "no curves" in done.stderr
