"""`study.optimize` shows that it lives, unless it is to be quiet."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

import tunekit as tk
from tunekit.driver import progress
from tunekit.driver.progress import LiveProgress, LogProgress, SparseProgress, choose_progress
from tunekit.errors import InvalidArgument

CODE = """
import tunekit as tk
study = tk.study("s", space=tk.Space(x=tk.Float(0, 1)), sampler="random", seed=1{storage})
study.optimize(lambda trial: print("mine") or trial.params["x"], n_trials=2{how})
study.optimize(lambda trial: trial.params["x"], n_trials=1{how})
"""


def on_terminal(tmp_path, how="", storage="", **env):
    """Run a script with stderr on a terminal and stdout in a file; return both texts."""
    ours, theirs = pty.openpty()
    code = CODE.format(how=how, storage=storage)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TUNEKIT")}
    with (tmp_path / "stdout").open("w") as out:
        done = subprocess.Popen(
            [sys.executable, "-c", code], stdout=out, stderr=theirs, cwd=tmp_path,
            env={**clean, "TERM": "xterm", **env},
        )  # fmt: skip
        os.close(theirs)
        parts = []
        try:
            while part := os.read(ours, 4096):
                parts.append(part)
        except OSError:  # the terminal is closed with its last process
            pass
        assert done.wait() == 0
    os.close(ours)
    return (tmp_path / "stdout").read_text(), b"".join(parts).decode()


def test_a_terminal_gets_the_block_and_one_hint_and_stdout_stays_the_users(tmp_path):
    out, err = on_terminal(tmp_path)
    assert out == "mine\nmine\n"
    assert "best value" in err and "2 complete" in err
    assert err.count("not stored") == 1
    assert "TUNEKIT_URL" in err


def test_a_stored_study_gets_no_hint(tmp_path):
    _, err = on_terminal(tmp_path, storage=", storage='sqlite:///s.db'")
    assert "best value" in err and "not stored" not in err


@pytest.mark.parametrize("how", [", progress=False", ", show_progress_bar=False"])
def test_a_run_that_is_to_be_quiet_shows_nothing(tmp_path, how):
    assert on_terminal(tmp_path, how)[1] == ""


def test_the_variable_quiet_shows_nothing_unless_it_is_asked_for(tmp_path):
    assert on_terminal(tmp_path, TUNEKIT_QUIET="1")[1] == ""
    assert "best value" in on_terminal(tmp_path, ", show_progress_bar=True", TUNEKIT_QUIET="1")[1]


def test_a_log_gets_a_line_every_30_seconds_and_no_other(monkeypatch, capsys):
    monkeypatch.delenv("TUNEKIT_QUIET", raising=False)
    monkeypatch.setattr(progress, "_is_hinted", True)
    now = [0.0]
    monkeypatch.setattr(SparseProgress.__init__, "__defaults__", (None, lambda: now[0]))

    def objective(trial):
        now[0] += 20
        return trial.params["x"]

    study = tk.study("s", space=tk.Space(x=tk.Float(0, 1)), sampler="random", seed=1)
    study.optimize(objective, n_trials=4)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2  # of 80 seconds
    assert all(line.startswith("s: ") and "/4 trials | best value" in line for line in lines)


def test_true_in_a_log_says_where_it_begins_and_its_events(monkeypatch):
    assert type(choose_progress(True, None)) is LogProgress
    monkeypatch.setenv("TUNEKIT_QUIET", "1")
    assert choose_progress(None, None) is None
    assert type(choose_progress(None, True)) is LogProgress


def test_a_display_of_the_users_own_is_taken():
    own = LiveProgress()
    assert choose_progress(own, None) is own


@pytest.mark.parametrize(("given", "bar"), [("yes", None), (True, False), (1, None)])
def test_words_that_cannot_be_right_are_refused(given, bar):
    with pytest.raises(InvalidArgument, match="progress="):
        choose_progress(given, bar)
