"""`kill -9` of a run at a random moment; the same command, or `resume`, goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import tunekit as tk
from tunekit.testing.killable import wait_beside

RUN = (
    "run", "train.py:slow", "-n", "8", "--space", "train.py:space", "--minimize", "error",
    "--sampler", "random", "--seed", "7", "--workers", "2", "--name", "k",
)  # fmt: skip
ROUNDS = int(os.environ.get("TUNEKIT_FAULT_ROUNDS", "2"))


def kill_after(n_started, *words):
    """Start a run and kill it when so many more trials have begun."""
    before = len(list(Path().glob("ran-*")))
    process = subprocess.Popen([sys.executable, "-m", "tunekit", *words, "-q"])
    wait_beside(process, lambda: len(list(Path().glob("ran-*"))) >= before + n_started)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.faults
@pytest.mark.parametrize("round_", range(ROUNDS))
def test_a_killed_run_goes_on_and_nothing_is_lost_or_doubled(shell, round_):
    for _ in range(2):
        kill_after(random.Random(round_).randint(1, 3), *RUN)
    done = shell(*RUN)
    assert done.returncode == 0, done.stderr
    trials = tk.load_study("k", storage="sqlite:///tunekit.db").trials
    assert [t.number for t in trials] == list(range(8))
    assert {t.state for t in trials} == {"complete"}
    undisturbed = tk.study(
        space=tk.load_study("k", storage="sqlite:///tunekit.db").space, sampler="random", seed=7
    )
    assert [t.params for t in trials] == [undisturbed.ask().params for _ in trials]


@pytest.mark.faults
def test_resume_goes_on_with_the_recipe_of_the_study(shell, folder, answer):
    kill_after(3, *RUN)
    done = shell("resume", "k")
    assert done.returncode == 0, done.stderr
    assert answer("studies", "ls")["studies"][0]["complete"] == 8


def test_resume_with_more_trials_in_another_folder_is_refused_unless_it_is_meant(
    shell, folder, answer, monkeypatch
):
    words = [*RUN]
    words[1], words[3] = "train.py:objective", "2"
    assert shell(*words).returncode == 0
    other = folder / "other"
    other.mkdir()
    monkeypatch.chdir(other)
    url = f"sqlite:///{folder}/tunekit.db"
    done = shell("resume", "k", "-n", "4", "--storage", url)
    assert done.returncode == 2
    assert str(folder) in done.stderr
    (other / "train.py").write_text((folder / "train.py").read_text())
    done = shell("resume", "k", "-n", "4", "--storage", url, "--here")
    assert done.returncode == 0, done.stderr
    assert answer("studies", "ls", "--storage", url)["studies"][0]["complete"] == 4


def test_a_run_that_is_done_already_only_says_its_best(shell):
    words = [*RUN]
    words[1], words[3] = "train.py:objective", "2"
    first, second = shell(*words), shell(*words)
    assert (first.returncode, second.returncode) == (0, 0)
    assert first.stdout == second.stdout


def test_the_same_name_with_another_space_is_refused(shell, folder):
    words = [*RUN]
    words[1], words[3] = "train.py:objective", "1"
    assert shell(*words).returncode == 0
    text = (folder / "train.py").read_text()
    (folder / "train.py").write_text(text.replace("depth=tk.Int(1, 9)", "depth=tk.Int(1, 5)"))
    done = shell(*words)
    assert done.returncode == 2
    assert "exists with another space" in done.stderr
