"""Every example runs as a user would run it, and says what it found."""

from __future__ import annotations

import difflib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tunekit
from tunekit.storages.urls import open_storage

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(command: list[str], folder: Path, **variables: str) -> str:
    """Return the standard output of a command that has to succeed, run in `folder`."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("TUNEKIT_")}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    done = subprocess.run(
        command, cwd=folder, env=env | variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "script", sorted(p.name for p in EXAMPLES.glob("*.py") if p.stem != "quickstart")
)
def test_the_example_runs_and_prints_a_result(script: str, tmp_path: Path) -> None:
    assert run([sys.executable, str(EXAMPLES / script)], tmp_path, TRIALS="100").strip()


def test_the_quickstart_prints_a_result_and_goes_on_with_the_study_that_it_finds(
    tmp_path: Path,
) -> None:
    first = run([sys.executable, str(EXAMPLES / "quickstart.py")], tmp_path)
    second = run([sys.executable, str(EXAMPLES / "quickstart.py")], tmp_path)
    assert first == second == "forest 0.1\n"
    (study,) = open_storage(f"sqlite:///{tmp_path / 'first.db'}").list_studies()
    assert study.n_trials == 80


def test_the_ported_script_differs_in_its_import_and_its_constructor_only() -> None:
    original, port = (
        (EXAMPLES / name).read_text().splitlines()
        for name in ("optuna_original.py", "optuna_port.py")
    )
    changed = [line for line in difflib.ndiff(original, port) if line[0] in "+-"]
    assert changed == [
        "- import optuna as hpo",
        "+ import tunekit as hpo",
        '- study = hpo.create_study(direction="minimize")',
        '+ study = hpo.study(direction="minimize")',
    ]


def test_a_program_in_another_language_is_tuned_through_the_shell(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shell.db'}"
    script = EXAMPLES / "shell_command" / "run.sh"
    run(["sh", str(script)], tmp_path, TRIALS="6", TUNEKIT_URL=url)
    study = tunekit.load_study("shell", storage=url)
    assert len(study.trials) == 6
    assert set(study.best_trial.metrics) == {"loss", "cost"}
