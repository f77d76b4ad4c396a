"""The example of `examples/scaling` tunes small transformers, predicts a larger one and checks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TUNE = Path(__file__).parents[2] / "examples" / "scaling" / "tune.py"


@pytest.mark.slow
def test_small_transformers_predict_a_larger_one_and_the_gap_is_printed(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    env = {k: v for k, v in os.environ.items() if not k.startswith("TUNEKIT_")}
    done = subprocess.run(
        [sys.executable, str(TUNE), "--quick", "--workers", "1", "--storage", "sqlite:///c.db"],
        cwd=tmp_path, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "after 5 planned runs" in done.stdout
    losses = [float(v) for v in re.findall(r"sequences: loss (\d\.\d+)", done.stdout)]
    assert len(losses) == 4
    predicted, best = map(
        float,
        re.findall(r"prediction (\d\.\d+), best of the grid (\d\.\d+)", done.stdout)[0],
    )
    assert best == min(losses)
    gap = float(re.findall(r"gap ([+-]\d+\.\d+)%", done.stdout)[0])
    assert gap == pytest.approx(100 * (predicted / best - 1), abs=0.02)
    assert gap < 15  # a model that learnt nothing has twice the loss
