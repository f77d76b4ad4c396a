"""What a command finds out is its result: on standard output, also with notes switched off."""

from __future__ import annotations

import pytest

import tunekit as tk


@pytest.mark.parametrize("name", ["audit", "llm"])
def test_what_was_found_is_printed_on_standard_output_also_when_quiet(cli, folder, name):
    study = tk.study("s", space={"x": tk.Float(0, 1)}, storage="sqlite:///tunekit.db", seed=1)
    study.optimize(lambda trial: trial.params["x"], 3, executor="inline")
    done = cli("studies", name, "s", "--quiet")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.strip() and not done.stderr


def test_a_study_that_no_language_model_was_asked_for_says_so(cli, folder):
    tk.study("s", space={"x": tk.Float(0, 1)}, storage="sqlite:///tunekit.db", seed=1)
    assert "no language model has been asked for study s" in cli("studies", "llm", "s").stderr
