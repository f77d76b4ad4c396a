"""`tunekit studies health` in a terminal and for programs."""

from __future__ import annotations

import shlex

import tunekit as tk


def _study(folder):
    study = tk.study(
        "h",
        space={"x": tk.Float(0, 1)},
        objectives="loss",
        storage="tunekit.db",
        sampler="random",
        attrs={"max_trials": 60},
    )
    study.optimize(lambda trial: 0.25, n_trials=12)
    return study


def test_a_sick_study_is_told_what_to_do_and_programs_get_the_same_as_json(cli, folder, answer):
    study = _study(folder)
    shown = cli("studies", "health", "h")
    assert shown.exit_code == 0
    assert "loss is 0.25 in all 12 results, whatever the params." in shown.stdout
    assert "Check that the objective uses its params" in shown.stderr
    health = answer("studies", "health", "h")["health"]
    assert health["sick"] == ["predictability"]
    assert health == study.health().to_dict()
    assert [f["verdict"] for f in health["findings"] if f["check"] == "budget"] == ["healthy"]


def test_the_budget_can_be_told_on_the_command_line(cli, folder, answer):
    _study(folder)
    found = answer("studies", "health", "h", "--trials", "12")["health"]["findings"]
    assert found[-1]["check"] == "budget" and found[-1]["verdict"] == "unknown"
    assert "needs 20 results" in found[-1]["text"]


def test_the_advised_commands_can_be_run_as_they_are(cli, folder):
    space = {"lr": tk.Float(1e-5, 1e-3, log=True), "act": ["relu", "gelu", "it's"]}
    study = tk.study(
        "my study", space=space, objectives="loss", storage="tunekit.db", sampler="random", seed=1
    )

    def objective(trial):
        if trial.params["act"] == "it's":
            raise ValueError("no such activation")
        return -trial.params["lr"]

    study.optimize(objective, n_trials=60, progress=False)
    health = study.health()
    assert {f.check for f in health.sick} == {"boundary", "failures"}
    for finding in health.sick:
        words = shlex.split(finding.command)
        assert cli(*words[1:]).exit_code == 0, finding.command
    assert study.space.by_path["lr"].domain.hi == 0.01
    assert list(study.space.by_path["act"].domain.choices) == ["relu", "gelu"]
