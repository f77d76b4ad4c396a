"""Ctrl-C and the words of other processes: drained, stopped or cancelled, never lost."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import tunekit as tk

SCRIPT = Path(__file__).with_name("interrupted.py")

pytestmark = pytest.mark.faults


class Driver:
    def __init__(self, folder, workers):
        self.url = f"sqlite:///{folder}/i.db"
        self.gate = folder / "gate"
        command = [sys.executable, str(SCRIPT), self.url, str(workers), str(self.gate)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.workers = workers

    def wait_for(self, text, times=1):
        """Read output until a text has appeared so many times."""
        seen = 0
        for line in self.process.stdout:
            seen += text in line
            if seen == times:
                return
        raise AssertionError(f"the driver ended before it said {text!r} {times} times")

    def finish(self):
        self.process.communicate(timeout=60)
        return self.process.returncode, tk.load_study("s", storage=self.url)


@pytest.fixture(params=[1, 2], ids=["inline", "process"])
def driver(request, tmp_path):
    driver = Driver(tmp_path, request.param)
    driver.wait_for("running", driver.workers)
    yield driver
    driver.process.kill()
    driver.process.communicate()


def states(study):
    return [str(t.state) for t in study.trials]


def test_the_first_interrupt_finishes_the_running_trials(driver):
    driver.process.send_signal(signal.SIGINT)
    driver.wait_for("interrupted: finishing")
    driver.gate.touch()
    status, study = driver.finish()
    assert status == 130
    assert states(study) == ["complete"] * driver.workers


def test_the_second_interrupt_gives_the_trials_back_and_they_run_on_resume(driver):
    driver.process.send_signal(signal.SIGINT)
    driver.wait_for("interrupted: finishing")
    driver.process.send_signal(signal.SIGINT)
    status, study = driver.finish()
    assert status == 130
    assert states(study) == ["waiting"] * driver.workers
    params = [t.params for t in study.trials]
    assert study.optimize(lambda trial: 1.0, total_trials=6) == "done"
    assert [t.params for t in study.trials][: driver.workers] == params
    assert states(study) == ["complete"] * 6


def test_sigterm_gives_the_trials_back_at_once(driver):
    driver.process.send_signal(signal.SIGTERM)
    status, study = driver.finish()
    assert status == 130
    assert states(study) == ["waiting"] * driver.workers


def test_stop_from_another_process_finishes_the_running_trials(driver):
    tk.load_study("s", storage=driver.url).stop()
    driver.gate.touch()
    status, study = driver.finish()
    assert status == 0
    assert set(states(study)) == {"complete"}
    assert len(study.trials) <= 2 * driver.workers


@pytest.mark.parametrize("driver", [2], indirect=True)
def test_cancel_from_another_process_ends_the_running_trials(driver):
    tk.load_study("s", storage=driver.url).cancel()
    status, study = driver.finish()
    assert status == 0
    assert states(study) == ["cancelled", "cancelled"]
