"""Ctrl-C pressed on a real terminal: once drains, twice stops, three times ends at once."""

from __future__ import annotations

import os
import pty
import re
import select
import sys
import time
from pathlib import Path

import pytest

import tunekit as tk

CTRL_C = b"\x03"
URL = "sqlite:///tunekit.db"
PATIENCE_S = 60

GATED = """
import pathlib, time
import tunekit as tk

space = tk.Space(x=tk.Float(0, 1))


def objective(trial):
    pathlib.Path(f"began-{trial.number}").touch()
    is_open = False
    while not is_open:
        try:
            is_open = pathlib.Path("gate").exists()
            time.sleep(0.01)
        except BaseException:
            if not pathlib.Path("stubborn").exists():
                raise
    return trial.params["x"]


if __name__ == "__main__":
    tk.study("s", space=space, storage="sqlite:///tunekit.db").optimize(objective, n_trials=9)
"""

COMMAND = "-m tunekit run gated.py:objective --space gated.py:space -n 9 --name s".split()

pytestmark = pytest.mark.faults


class Keyboard:
    """A program on a terminal of its own, and the keys that are pressed there."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.text = ""
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.environ["TERM"] = "xterm"
            os.execv(sys.executable, [sys.executable, *words])

    def press(self, keys: bytes) -> None:
        os.write(self._terminal, keys)

    def wait_for(self, found) -> None:
        """Read what the program writes until `found()` is true."""
        end = time.monotonic() + PATIENCE_S
        while not found():
            assert time.monotonic() < end, f"silent for {PATIENCE_S} s:\n{self.text}"
            assert self._read(wait_s=0.05), f"it ended first:\n{self.text}"

    def says(self, words: str) -> None:
        self.wait_for(lambda: words in self.text)

    def finish(self) -> tuple[int, str]:
        """Return its exit status, and the text without what moves the cursor or colours it."""
        while self._read():
            pass
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.pid = 0
        return status, re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", self.text)

    def close(self) -> None:
        if self.pid:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
        os.close(self._terminal)

    def _read(self, wait_s: float = PATIENCE_S) -> bool:
        """Take what has been written within a time; return whether the program is still there."""
        if not select.select([self._terminal], [], [], wait_s)[0]:
            return wait_s < PATIENCE_S
        try:
            part = os.read(self._terminal, 4096)
        except OSError:  # its last process has closed the terminal
            return False
        self.text += part.decode(errors="replace")
        return bool(part)


@pytest.fixture
def press(tmp_path):
    """Start a program on a terminal and wait until its first trial has begun."""
    (tmp_path / "gated.py").write_text(GATED)
    opened = []

    def start(*words):
        keyboard = Keyboard(tmp_path, *words)
        opened.append(keyboard)
        keyboard.wait_for((tmp_path / "began-0").exists)
        return keyboard

    yield start
    for keyboard in opened:
        keyboard.close()


def states(folder):
    study = tk.load_study("s", storage=f"sqlite:///{folder}/tunekit.db")
    return [str(t.state) for t in study.trials]


def test_the_first_ctrl_c_lets_the_trial_finish(press, tmp_path):
    keyboard = press(*COMMAND)
    keyboard.press(CTRL_C)
    keyboard.says("interrupted: finishing the running trials; Ctrl-C again stops them")
    (tmp_path / "gate").touch()
    status, text = keyboard.finish()
    assert (status, states(tmp_path)) == (130, ["complete"])
    assert "tunekit: study 's' was interrupted; its state is saved" in text
    assert f"go on: tunekit resume s  (in {URL})" in text
    assert "Traceback" not in text


def test_the_second_ctrl_c_gives_the_trial_back(press, tmp_path):
    keyboard = press(*COMMAND)
    keyboard.press(CTRL_C)
    keyboard.says("Ctrl-C again stops them")
    keyboard.press(CTRL_C)
    status, text = keyboard.finish()
    assert (status, states(tmp_path)) == (130, ["waiting"])
    assert "interrupted again: stopping the running trials, they will run again" in text
    assert "go on: tunekit resume s" in text
    assert "Traceback" not in text


def test_the_third_ctrl_c_ends_a_stubborn_trial_at_once(press, tmp_path):
    (tmp_path / "stubborn").touch()
    keyboard = press(*COMMAND)
    keyboard.press(CTRL_C)
    keyboard.says("Ctrl-C again stops them")
    keyboard.press(CTRL_C)
    keyboard.says("interrupted again")
    keyboard.press(CTRL_C)
    status, text = keyboard.finish()
    assert (status, states(tmp_path)) == (130, ["waiting"])
    assert "go on: tunekit resume s" in text
    assert "Traceback" not in text
    assert not text.rstrip().endswith("tunekit:")


def test_a_script_of_python_ends_with_its_own_words(press, tmp_path):
    keyboard = press("gated.py")
    keyboard.press(CTRL_C)
    keyboard.says("Ctrl-C again stops them")
    keyboard.press(CTRL_C)
    status, text = keyboard.finish()
    assert (status, states(tmp_path)) == (-2, ["waiting"])
    assert "KeyboardInterrupt: study 's' was interrupted; its state is saved" in text
