"""The example of `examples/decoding`, with a simulated model and with a file of questions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tunekit.testing.answerer import SimulatedAnswerer
from tunekit.testing.openai_server import running_endpoint

TUNE = Path(__file__).parents[2] / "examples" / "decoding" / "tune.py"


def tuned(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, str(TUNE), "--trials", "2", *words],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_runs_against_the_simulated_model(tmp_path: Path) -> None:
    assert tuned(tmp_path).startswith("trial ")


def test_it_runs_against_an_endpoint_and_a_file_of_questions(tmp_path: Path) -> None:
    model = SimulatedAnswerer(n=40)
    lines = "\n".join(json.dumps(q) for q in model.questions())
    (tmp_path / "questions.jsonl").write_text(lines)
    with running_endpoint(model) as endpoint:
        said = tuned(tmp_path, "--base", endpoint.base, "--questions", "questions.jsonl")
        assert said.startswith("trial ") and len(endpoint.requests) >= 40
