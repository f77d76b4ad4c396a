"""Tags, the archive, retried trials and edits of the space on the command line."""

from __future__ import annotations

import tunekit as tk
from tunekit.checkpoints.base import Checkpoints


def test_tags_are_added_taken_away_and_used_to_list(cli, finished, answer):
    assert cli("studies", "tag", "s", "nlp", "old").stdout.split() == ["nlp", "old"]
    assert cli("studies", "tag", "s", "--remove", "old").stdout.split() == ["nlp"]
    assert [s["name"] for s in answer("studies", "ls", "--tag", "nlp")["studies"]] == ["s"]
    assert answer("studies", "ls", "--tag", "old")["studies"] == []
    wrong = cli("studies", "tag", "s", "--remove", "new")
    assert wrong.exit_code != 0 and 'has no tag "new"; it has nlp' in wrong.stderr


def test_an_archived_study_is_listed_apart_and_not_resumed_until_restored(cli, finished, answer):
    assert "restore s" in cli("studies", "archive", "s").stderr
    assert answer("studies", "ls")["studies"] == []
    assert [s["state"] for s in answer("studies", "ls", "--archived")["studies"]] == ["stopped"]
    assert "is archived" in cli("resume", "s", "--no-run").stderr
    cli("studies", "restore", "s")
    assert cli("resume", "s", "--no-run").exit_code == 0
    assert len(answer("studies", "ls")["studies"]) == 1


def test_a_renamed_study_runs_on_with_its_own_recipe_and_checkpoints(cli, folder, answer):
    words = ("train:objective", "--space", "train:space", "--minimize", "error", "-n", "2")
    assert cli("run", *words, "--name", "old", "--sampler", "random").exit_code == 0
    study = tk.load_study("old", storage="tunekit.db")
    place = Checkpoints("kept").of_study(study.record())
    assert "old is called new now" in cli("studies", "rename", "old", "new").stderr
    assert Checkpoints("kept").of_study(study.record()) == place
    assert cli("resume", "new", "-n", "3").exit_code == 0  # without asking whose recipe it is
    assert [s["name"] for s in answer("studies", "ls")["studies"]] == ["new"]
    assert len(study.trials) == 3


def test_a_failed_trial_is_retried_by_its_number(cli, finished):
    n = len(finished.trials)
    assert cli("trials", "retry", "s", "0", "1").stdout.split() == [str(n), str(n + 1)]
    trials = finished.trials
    assert [trials[n + i].params for i in (0, 1)] == [trials[i].params for i in (0, 1)]


def test_a_space_is_widened_and_narrowed_as_the_health_checks_advise(cli, finished, answer):
    edit = answer("studies", "widen", "s", "lr", "--hi", "2", "--dry-run")["edit"]
    assert edit["changes"] == ["lr: bounds [0.0, 1.0] -> [0.0, 2.0] (widening)"]
    assert finished.space.by_path["lr"].domain.hi == 1.0
    cli("studies", "widen", "s", "lr", "--hi", "2")
    assert finished.space.by_path["lr"].domain.hi == 2.0
    out = cli("studies", "narrow", "s", "model", "--without", "b")
    assert "choices ['b'] removed" in out.stdout and "outside" in out.stderr
    assert list(finished.space.by_path["model"].domain.choices) == ["a"]
    cli("studies", "widen", "s", "model", "--choice", "c")
    assert list(finished.space.by_path["model"].domain.choices) == ["a", "c"]
    assert "no choice 'z'" in cli("studies", "narrow", "s", "model", "--without", "z").stderr
