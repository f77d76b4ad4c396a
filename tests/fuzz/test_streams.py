"""Closed or full streams, and an interrupt while it loads: a status and at most one line."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import tunekit as tk
from tunekit.spaces.serialize import space_to_dict

COMMANDS = ["--help", "studies show nobody"]
INTERRUPTED = """
import sys
from tunekit.cli import main
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder())
sys.argv = ["tunekit", "studies", "ls"]
main()
"""
STUDY = """
import tunekit as tk

def objective(trial):
    try:
        print("a line of its own", flush=True)
    except (OSError, ValueError):
        pass
    if trial.number % 2:
        raise ValueError("said in the log")
    return trial.params["x"]

if __name__ == "__main__":
    study = tk.study(space=tk.Space(x=tk.Float(0, 1)), sampler="random")
    ways = [{}, {"progress": True}, {"workers": 2}]
    ends = [study.optimize(objective, n_trials=4, **way) for way in ways]
    with open("said", "w") as file:
        file.write(" ".join(ends))
"""


@pytest.mark.parametrize("streams", [">/dev/full", "2>/dev/full", ">&-", "2>&-", ">&- 2>&-"])
@pytest.mark.parametrize("command", COMMANDS)
def test_streams_that_take_nothing_are_no_traceback(command, streams, tmp_path):
    done = subprocess.run(
        ["sh", "-c", f'exec "{sys.executable}" -m tunekit {command} {streams}'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = done.stdout + done.stderr
    assert "Traceback" not in said and "Exception ignored" not in said
    if streams == ">/dev/full" and command == "--help":
        assert done.returncode == 1 and said.count("\n") == 1 and "cannot write the output" in said


@pytest.mark.parametrize("streams", ["2>/dev/full", "2>&-", ">&- 2>&-"])
def test_a_run_does_not_end_for_a_stream_that_takes_nothing(streams, tmp_path):
    (tmp_path / "study.py").write_text(STUDY)
    subprocess.run(
        ["sh", "-c", f'exec "{sys.executable}" study.py {streams}'],
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
        check=True,
    )
    assert (tmp_path / "said").read_text() == "done done done"


@pytest.mark.parametrize(
    ("streams", "status", "said"),
    [("2>/dev/full", 0, "number"), (">/dev/full", 1, "No space left on device\n")],
)
def test_a_program_is_tuned_whatever_the_streams_take(streams, status, said, tmp_path):
    (tmp_path / "space.json").write_text(json.dumps(space_to_dict(tk.Space(x=tk.Float(0, 1)))))
    command = "run -n 2 --name s --space space.json --sampler random --minimize y"
    done = subprocess.run(
        ["sh", "-c", f"exec '{sys.executable}' -m tunekit {command} {streams} -- echo {{x}}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == status and said in done.stdout + done.stderr
    assert "this is a bug" not in done.stderr
    assert len(tk.load_study("s", storage=tmp_path / "tunekit.db").trials) == 2


@pytest.mark.parametrize("module", ["tunekit.cli.app", "typer", "tunekit.storages.urls"])
def test_an_interrupt_while_it_loads_is_one_line_and_status_130(module, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED.format(module=module)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 130
    assert done.stderr.startswith("tunekit: interrupted") and done.stderr.count("\n") == 1
