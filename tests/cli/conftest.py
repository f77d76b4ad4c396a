"""A folder of its own for each test, the command line in it, and a small finished study."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import tunekit as tk
from tunekit.cli.app import app

TRAIN = """
import tunekit as tk

space = tk.Space(
    lr=tk.Float(1e-3, 1.0, log=True, default=0.5),
    model=tk.Categorical({"linear": None, "tree": tk.Space(depth=tk.Int(1, 9))}),
)


def objective(trial):
    return {"error": abs(trial.params["lr"] - 0.1), "size": float(len(trial.params))}


def broken(trial):
    raise ValueError("no data at /nowhere")


def slow(trial):
    import pathlib, time

    pathlib.Path(f"ran-{trial.number}-{time.time_ns()}").touch()
    time.sleep(0.1)
    return {"error": trial.params["lr"]}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # a command adds the folder of an objective
    monkeypatch.delenv("TUNEKIT_URL", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "train.py").write_text(TRAIN)
    return tmp_path


@pytest.fixture
def cli() -> Callable[..., Any]:
    """Run a command in this process; the result has exit_code, stdout and stderr."""

    def call(*words: str, **options: Any) -> Any:
        return CliRunner().invoke(app, list(words), prog_name="tunekit", **options)

    return call


@pytest.fixture
def shell() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command as a process of its own."""

    def call(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tunekit", *words],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, **env},
        )

    return call


@pytest.fixture
def finished(folder: Path) -> tk.Study:
    """A study "s" in tunekit.db: one good trial, one better, one failed, one that waits."""
    space = tk.Space(
        lr=tk.Float(0.0, 1.0), model=tk.Categorical({"a": None, "b": tk.Space(depth=tk.Int(1, 9))})
    )
    study = tk.study(
        "s",
        space=space,
        objectives={"error": "minimize"},
        storage="sqlite:///tunekit.db",
        sampler="random",
        seed=1,
    )
    for params in ({"lr": 0.5, "model": "a"}, {"lr": 0.25, "model": "b", "depth": 3}):
        study.enqueue_trial(params)
        trial = study.ask()
        trial.report({"error": 0.9}, step=1)
        study.tell(trial, {"error": trial.params["lr"]})
    study.enqueue_trial({"lr": 0.75, "model": "a"})
    study.tell(study.ask(), state="failed", reason="it broke")
    study.enqueue_trial({"lr": 1.0, "model": "a"})
    return study


@pytest.fixture
def answer(cli: Callable[..., Any]) -> Callable[..., Any]:
    """Run a command with --json and return the document, which has to be all of stdout."""

    def call(*words: str) -> Any:
        result = cli(*words, "--json")
        assert result.exit_code == 0, result.stderr
        document = json.loads(result.stdout)
        assert document["version"] == 1
        return document

    return call
