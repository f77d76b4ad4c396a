"""The benchmark of verdicts on knobs runs from end to end and keeps its promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

RUN = Path(__file__).with_name("knob_verdicts.py")


def test_every_planted_case_is_judged() -> None:
    command = [sys.executable, str(RUN), "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line.strip("| ").split(" | ") for line in done.stdout.splitlines()]
    rows = {line[0]: line[1:] for line in lines if len(line) > 1}
    assert rows["30 % gain, three comparisons"] == ["20 of 20"] * 4
    assert rows["8 % gain, three comparisons"][0] == "20 of 20"
    assert rows["1.5 x in its trial, .63 x in truth"][0].startswith("0 of 20")
