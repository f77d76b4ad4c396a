"""The example of `examples/knobs`, on SQLite and on a PostgreSQL with TPC-H."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tunekit.testing.postgres import find_binaries

TUNE = Path(__file__).parents[2] / "examples" / "knobs" / "tune.py"


def tuned(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, str(TUNE), *words],
        cwd=folder,
        env={**os.environ, "XDG_STATE_HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_tunes_the_shop_without_a_server(tmp_path: Path) -> None:
    said = tuned(tmp_path, "--trials", "3", "--scale", "0.02")
    assert "A/A 3 of 3" in said
    assert said.splitlines()[-1].startswith("worth changing: ")


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.skipif(find_binaries() is None, reason="no PostgreSQL server is installed")
def test_it_tunes_a_postgresql_of_its_own_under_tpch(tmp_path: Path) -> None:
    pytest.importorskip("sqlglot")
    said = tuned(tmp_path, "--workload", "tpch", "--scale", "0.01", "--trials", "2")
    assert "preparing the data of the workload" in said
    assert said.splitlines()[-1].startswith("worth changing: ")
