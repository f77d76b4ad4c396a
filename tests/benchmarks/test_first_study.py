"""The table of a first study runs from end to end; no figure of it is a matter of this test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_the_table_of_a_first_study_has_a_row_for_each_number_of_trials() -> None:
    script = Path(__file__).with_name("first_study.py")
    done = subprocess.run(
        [sys.executable, str(script), "--rounds", "1"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("x** |") == 3
