"""Every exit status, with the words that go with it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import tunekit as tk
from tunekit.cli.command import exit_status
from tunekit.errors import StorageDenied, StorageError, StorageUnreachable

RANDOM = ("--sampler", "random", "--space", "train.py:space", "--minimize", "error")


def test_0_a_run_that_reaches_its_goal(cli):
    result = cli("run", "train.py:objective", "-n", "3", *RANDOM)
    assert result.exit_code == 0, result.stderr
    assert "metrics.error" in result.stdout


def test_1_a_bug_is_one_line_and_with_v_a_traceback(cli, monkeypatch):
    def broken(flag):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("tunekit.cli.stores.open_existing", broken)
    result = cli("studies", "ls")
    assert result.exit_code == 1
    assert result.stderr.startswith("tunekit: ZeroDivisionError: oops\n")
    assert "Traceback" not in result.stderr
    assert "Traceback" in cli("studies", "ls", "-v").stderr


def test_1_a_package_of_an_extra_that_is_missing_wherever_it_is_imported(cli, monkeypatch):
    def imports_it(flag):
        raise ModuleNotFoundError("No module named 'plotly.io'", name="plotly.io")

    monkeypatch.setattr("tunekit.cli.stores.open_existing", imports_it)
    result = cli("studies", "ls")
    assert result.exit_code == 1
    assert result.stderr == (
        "tunekit: TK501 importing plotly needs the plots extra: pip install 'tunekit-hpo[plots]'\n"
    )


def test_1_more_failures_than_allowed(cli):
    words = ("run", "train.py:broken", "-n", "9", "--max-failed", "1", *RANDOM)
    result = cli(*words)
    assert result.exit_code == 1
    assert "more than max_failed_trials=1" in result.stderr
    assert len(tk.load_study("train", storage="sqlite:///tunekit.db").trials) == 2


@pytest.mark.ray
def test_1_no_ray_cluster_at_the_address(cli):
    words = ("run", "train.py:objective", "-n", "1", "--executor", "ray", *RANDOM)
    result = cli(*words, "--ray-address", "127.0.0.1:9")
    assert result.exit_code == 1
    assert "no Ray cluster can be reached at 127.0.0.1:9" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run"], "tunekit.yaml does not exist"),
        (["run", "nothing-like-this"], "neither a function nor a program"),
        (["run", "train.py:objective", *RANDOM], "would never end"),
        (["run", "trian.py:objective", "-n", "1"], 'did you mean "train.py"?'),
        (["run", "train.py:objectiv", "-n", "1"], 'did you mean "objective"?'),
        (["run", "train.py:space", "-n", "1"], "expected a function that takes a trial"),
        (["run", "no_such_module:f", "-n", "1"], "ModuleNotFoundError"),
        (["run", "train.py:objective", "-n", "0"], "greater than or equal to 1"),
        (["run", "train.py:objective", "-n", "1", "--workers", "0"], '"workers" is 0'),
        (["run", "train.py:objective", "-n", "1", "--timeout", "soon"], "soon"),
        (["run", "train.py:objective", "-n", "1", "--memory", "much"], '"memory" is'),
        (["run", "train.py:objective", "-n", "1", "--resources", "gpu"], "NAME=AMOUNT"),
        (["run", "train.py:objective", "-n", "1", "--objective", "error=less"], "METRIC=minimize"),
        (["run", "train.py:objective", "-n", "1", "--minimize", "a", "--maximize", "a"], "twice"),
        (["run", "train.py:objective", "-n", "1", "--space", "no.yaml"], "no.yaml"),
        (["run", "train.py:slow", "-n", "1", "--space", "train.py:slow"], "a tunekit.Space"),
        (["run", "train.py:objective", "-n", "1", "--executor", "rey"], "'process' or 'ray'"),
        (["run", "train.py:objective", "-n", "1", "--ray-address", "h:1"], "--executor ray"),
        (["run", "train.py:objective", "-n", "1", "--sampler", "tep"], 'did you mean "tpe"?'),
        (["run", "train.py:objective", "-n", "1", "--constraint", "fast"], "latency_ms <= 8"),
        (["run", "train.py:objective", "-n", "1", "--storage", "mysql://x"], "mysql"),
        (["run", "-n", "1", "--", "echo", "{lr}"], "needs a declared space"),
        (["run", "-n", "1", "--space", "train.py:space", "--", "echo", "{lrr}"], 'mean "lr"?'),
        (["runn"], "No such command"),
        (["trials", "ls"], "Missing argument"),
    ],
)  # fmt: skip
def test_2_what_was_given_cannot_be_right(cli, folder, words, said):
    result = cli(*words)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", " ").split())
    assert result.stdout == ""
    assert not (folder / "tunekit.db").exists(), "nothing is half done"


@pytest.mark.usefixtures("finished")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trials", "ls", "s", "--fields", "numbr"], 'did you mean "number"?'),
        (["trials", "ls", "s", "--state", "faild"], 'did you mean "failed"?'),
        (["trials", "enqueue", "s"], "give PARAM=VALUE"),
        (["trials", "enqueue", "s", "lr"], "expected PARAM=VALUE"),
        (["trials", "enqueue", "s", "modle=a"], 'did you mean "model"?'),
        (["trials", "enqueue", "s", "lr=7"], "expected a value in"),
        (["export", "s", "out.xls"], ".parquet"),
    ],
)
def test_2_a_wrong_word_about_a_study(cli, words, said):
    result = cli(*words)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.usefixtures("finished")
def test_3_no_such_study_trial_or_database(cli, folder):
    result = cli("studies", "show", "z", "--storage", "sqlite:///tunekit.db")
    assert (result.exit_code, result.stdout) == (3, "")
    assert cli("trials", "show", "s", "99").exit_code == 3
    result = cli("studies", "ls", "--storage", "sqlite:///other.db")
    assert result.exit_code == 3
    assert "no database" in result.stderr
    assert not (folder / "other.db").exists()


def test_3_a_wrong_name_gets_the_closest_one(cli):
    tk.study("resnet", space=tk.Space(x=[1]), storage="sqlite:///tunekit.db", sampler="random")
    said = cli("studies", "best", "restnet").stderr
    assert 'did you mean "resnet"?' in said
    assert f"there is 1 study in sqlite:///{Path('tunekit.db').resolve()};" in said


def test_4_no_permission():
    try:
        try:
            raise PermissionError(13, "Permission denied")
        except PermissionError as error:
            raise StorageError("cannot write") from error
    except StorageError as error:
        assert exit_status(error) == 4
    assert exit_status(PermissionError()) == exit_status(StorageDenied("read-only")) == 4
    assert exit_status(StorageError("full disk")) == 1


def test_5_the_time_is_over_before_all_trials_ran(cli):
    result = cli("run", "train.py:slow", "-n", "10000", "--timeout", "1s", *RANDOM)
    assert result.exit_code == 5, result.stderr
    assert "params.lr" in result.stdout


def test_6_every_trial_failed(cli):
    result = cli("run", "train.py:broken", "-n", "2", *RANDOM)
    assert (result.exit_code, result.stdout) == (6, "")
    assert "no data at /nowhere" in result.stderr
    assert "has no complete trial (2 failed)" in result.stderr


def test_6_no_trial_keeps_the_constraint(cli):
    result = cli("run", "train.py:objective", "-n", "2", *RANDOM, "--constraint", "size <= 1")
    assert result.exit_code == 6
    assert "size <= 1" in result.stderr


def test_7_the_storage_does_not_answer(cli):
    pytest.importorskip("psycopg2")
    result = cli("studies", "ls", "--storage", "postgresql://u:secret@127.0.0.1:1/db")
    assert result.exit_code == StorageUnreachable.exit_status == 7
    assert "secret" not in result.stderr


def test_130_an_interrupt_saves_the_state(folder):
    with subprocess.Popen(
        [sys.executable, "-m", "tunekit", "run", "train.py:slow", "-n", "1000", *RANDOM],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stderr:
            if "best so far" in line:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
    assert process.returncode == 130, rest
    assert "finishing the running trials" in rest
    study = tk.load_study("train", storage="sqlite:///tunekit.db")
    assert not [t for t in study.trials if t.state == "running"]
    assert study.best_trial.state == "complete"


AS_NOBODY = """
import os, sys
from typer.testing import CliRunner
from tunekit.cli.app import app

def pause(path):
    return CliRunner().invoke(app, ["pause", "s", "--storage", path])

assert pause(sys.argv[2]).exit_code == 0  # imports all that it needs while it still may
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
result = pause(sys.argv[1])
print(result.exit_code, result.stderr, result.exception)
"""


@pytest.mark.usefixtures("finished")
def test_4_a_database_that_is_read_only(folder):
    # pytest's own temporary folder is closed to other users.
    with tempfile.TemporaryDirectory(prefix="tunekit-read-only-") as name:
        closed = Path(name)
        for path in folder.glob("tunekit.db*"):
            shutil.copy(path, closed / path.name).chmod(0o444)
        closed.chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, closed / "tunekit.db", folder / "tunekit.db"],
            capture_output=True,
            text=True,
        )
        closed.chmod(0o755)
    assert done.stdout.startswith("4 tunekit: TK404"), done.stdout + done.stderr
