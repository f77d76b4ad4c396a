"""The workers of `examples/service`, one of which is only curl, on a real service."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tunekit as tk
from tunekit.records import TrialState
from tunekit.service.app import Service
from tunekit.storages.urls import open_storage
from tunekit.testing.service import running_service

EXAMPLES = Path(__file__).parents[2] / "examples" / "service"
SPACE = {"lr": tk.Float(0.01, 0.9)}


@pytest.fixture
def url(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with running_service(Service(open_storage(tmp_path / "team.db"))) as url:
        yield url


@pytest.fixture
def study(url):
    storage = open_storage(f"{url}/vision")

    def make(**options):
        given = {"objectives": {"loss": "minimize"}, "sampler": "random", "seed": 1}
        return tk.study("descent", space=SPACE, storage=storage, **given, **options)

    yield make
    storage.close()


def run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def loss_of(trial):
    return 9 * (1 - 2 * trial.params["lr"]) ** 16


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@needs_curl
def test_a_worker_that_is_only_curl_asks_reports_and_tells(url, study):
    made = study()
    said = run("sh", EXAMPLES / "worker.sh", url, "vision", "descent", 3)
    assert said.count("complete") == 3
    assert made.refresh().counts() == {TrialState.COMPLETE: 3}
    for trial in made.trials:
        assert trial.metrics["loss"] == pytest.approx(loss_of(trial), abs=1e-4)
        assert [r.step for r in made.reports()[trial.number]] == list(range(1, 9))


@needs_curl
def test_the_stopper_of_the_study_ends_a_trial_of_the_shell_script(url, study):
    made = study(stopper="threshold", stopper_options={"bound": 1e-9})
    said = run("sh", EXAMPLES / "worker.sh", url, "vision", "descent", 2)
    assert said.count("stopped") == 2
    assert made.refresh().counts() == {TrialState.STOPPED: 2}
    assert all(t.end_reason for t in made.trials)


def test_the_same_worker_in_python(url, study):
    made = study()
    said = run(sys.executable, EXAMPLES / "thin_worker.py", f"{url}/vision", "descent", 4)
    assert said == "4 trials done\n"
    assert made.refresh().counts() == {TrialState.COMPLETE: 4}
    for trial in made.trials:
        assert trial.metrics["loss"] == pytest.approx(loss_of(trial), abs=1e-9)
