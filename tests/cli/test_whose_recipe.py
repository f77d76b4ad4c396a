"""`resume` runs only what this user wrote on this machine, unless somebody says yes."""

from __future__ import annotations

import os

import pytest

import tunekit as tk
from tunekit.cli.recipes import key_file

URL = "sqlite:///tunekit.db"
RUN = (
    "run", "train.py:objective", "-n", "1", "--name", "k", "--sampler", "random",
    "--space", "train.py:space", "--minimize", "error",
)  # fmt: skip


@pytest.fixture
def ran(cli):
    result = cli(*RUN)
    assert result.exit_code == 0, result.stderr
    return tk.load_study("k", storage=URL)


def complete():
    return len(tk.load_study("k", storage=URL).refresh().complete())


def tampered(study, **settings):
    recipe = study.user_attrs["run"]
    study.set_user_attr("run", {**recipe, "settings": {**recipe["settings"], **settings}})


@pytest.mark.usefixtures("ran")
def test_the_own_recipe_is_run_without_a_question(cli):
    result = cli("resume", "k", "-n", "2")
    assert result.exit_code == 0, result.stderr
    assert "Run that?" not in result.stderr
    assert complete() == 2


def test_resume_goes_on_in_the_space_as_it_is_now_where_repeating_the_command_explains(cli, ran):
    assert cli("studies", "widen", "k", "depth", "--hi", "12").exit_code == 0
    again = cli(*RUN)
    assert again.exit_code == 2
    assert "was created with this space and is at version 2 of it now" in again.stderr
    assert "`tunekit resume k`" in again.stderr
    result = cli("resume", "k", "-n", "2")
    assert result.exit_code == 0, result.stderr
    assert complete() == 2
    assert tk.load_study("k", storage=URL).space.by_path["model.tree.depth"].domain.hi == 12


def test_the_key_is_readable_for_its_user_alone(ran):
    assert ran.user_attrs["run"]["seal"]
    assert key_file().stat().st_mode & 0o777 == 0o600
    assert len(key_file().read_bytes()) == 32


@pytest.mark.parametrize("answer", ["n\n", ""])
def test_a_recipe_that_was_changed_is_shown_and_asked_about(cli, folder, ran, answer):
    tampered(ran, objective=None, command=["touch", "\x1b[2Jowned"])
    result = cli("resume", "k", "-n", "2", input=answer)
    assert result.exit_code == 1
    assert '["touch", "\\u001b[2Jowned"]' in result.stderr
    assert "\x1b" not in result.stderr
    assert "Run that?" in result.stderr
    assert not list(folder.glob("*owned"))
    assert complete() == 1


@pytest.mark.parametrize(("words", "answer"), [(("--yes",), None), ((), "y\n")])
def test_another_ones_recipe_runs_once_somebody_agrees(cli, ran, words, answer):
    tampered(ran, seed=None)
    result = cli("resume", "k", "-n", "2", *words, input=answer)
    assert result.exit_code == 0, result.stderr
    assert complete() == 2


@pytest.mark.usefixtures("ran")
@pytest.mark.parametrize("fault", ["gone", "another", "open", "short"])
def test_a_key_that_is_not_the_writers_proves_nothing(cli, fault):
    if fault == "gone":
        key_file().unlink()
    elif fault == "another":
        key_file().write_bytes(os.urandom(32))
    elif fault == "open":
        key_file().chmod(0o644)
    else:
        key_file().write_bytes(b"")
    assert "Run that?" in cli("resume", "k", "-n", "2").stderr
    assert complete() == 1


def test_a_seal_belongs_to_one_study(cli, ran):
    other = tk.study("other", storage=URL, space=ran.space, sampler="random")
    other.set_user_attr("run", ran.user_attrs["run"])
    assert "Run that?" in cli("resume", "other", "-n", "2").stderr


def test_a_recipe_of_another_shape_is_a_sentence(cli, ran):
    ran.set_user_attr("run", ["rm"])
    result = cli("resume", "k", "--yes")
    assert result.exit_code == 2
    assert "expected one written by `tunekit run`" in result.stderr


def test_resume_starts_nothing_where_trials_run_elsewhere(cli, ran):
    ran.enqueue_trial({"lr": 0.1, "model": "linear"})
    ran.ask()
    ran.pause()
    result = cli("resume", "k", "-n", "5")
    assert result.exit_code == 0
    assert "its trials [1] are still running" in result.stderr
    assert str(ran.record().state) == "active"
    assert len(ran.trials) == 2


def test_resume_starts_nothing_where_a_paused_run_waits_on_this_machine(cli, ran):
    recipe = {**ran.user_attrs["run"], "worker": ran._worker.name}
    ran.set_user_attr("run", recipe)
    ran.pause()
    result = cli("resume", "k", "-n", "5")
    assert result.exit_code == 0
    assert "its run is alive on this machine" in result.stderr
    assert str(ran.record().state) == "active"
    assert len(ran.trials) == 1
