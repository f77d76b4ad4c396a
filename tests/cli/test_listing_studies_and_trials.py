"""The forms of what the reading commands print."""

from __future__ import annotations

import csv
import io
import json

import pytest
import yaml

import tunekit as tk

pytestmark = pytest.mark.usefixtures("finished")


def test_the_table_of_trials_is_this(cli):
    result = cli("trials", "ls", "s", "--fields", "number,state,metrics,params.lr,end_reason")
    assert result.exit_code == 0
    assert result.stdout == (
        "number  state     metrics.error  params.lr  end_reason\n"
        "0       complete  0.5            0.5\n"
        "1       complete  0.25           0.25\n"
        "2       failed    -              0.75       it broke\n"
        "3       waiting   -              1\n"
    )
    assert result.stderr == ""


def test_the_table_without_fields_has_the_objective_and_the_params_in_one_column(cli):
    lines = cli("trials", "ls", "s", "--limit", "3").stdout.splitlines()
    assert lines[0].split() == [
        "number", "state", "error", "params", "duration_s", "end_reason",
    ]  # fmt: skip
    assert "lr=0.25 model=b depth=3" in lines[1]


def test_the_json_of_a_trial_keeps_its_keys(answer):
    (trial,) = [t for t in answer("trials", "ls", "s")["trials"] if t["number"] == 1]
    assert set(trial) == {
        "number", "state", "metrics", "params", "sampler", "reason", "end_reason", "error",
        "branch", "user_attrs", "duration_s", "created", "started", "finished",
    }  # fmt: skip
    assert trial["params"] == {"lr": 0.25, "model": "b", "model.b.depth": 3}
    assert trial["metrics"] == {"error": 0.25}
    assert trial["sampler"] == "user"


def test_csv_has_a_line_for_each_trial_and_a_column_for_each_parameter(cli):
    rows = list(csv.DictReader(io.StringIO(cli("trials", "ls", "s", "--format", "csv").stdout)))
    assert [r["params.lr"] for r in rows] == ["0.5", "0.25", "0.75", "1.0"]
    assert [r["params.model.b.depth"] for r in rows] == ["", "3", "", ""]


def test_yaml_holds_the_same_as_json(cli, answer):
    assert yaml.safe_load(cli("studies", "best", "s", "--format", "yaml").stdout) == answer(
        "studies", "best", "s"
    )


def test_studies_are_listed_with_their_counts_and_best(answer):
    (row,) = answer("studies", "ls")["studies"]
    created = row.pop("created")
    assert created.endswith("Z")
    assert row == {
        "name": "s",
        "state": "active",
        "trials": 4,
        "complete": 2,
        "stopped": 0,
        "running": 0,
        "failed": 1,
        "best": 0.25,
        "best_trial": 1,
        "pareto": [],
        "objectives": {"error": "minimize"},
    }


def test_a_study_is_shown_with_its_best_and_its_last_failure(answer):
    study = answer("studies", "show", "s")["study"]
    assert study["best"]["number"] == 1
    assert study["last_failure"] == "trial 2: it broke"
    assert study["trials"] == {"total": 4, "complete": 2, "failed": 1, "waiting": 1}


def test_the_best_of_several_objectives_is_the_front(answer, cli):
    study = tk.study(
        "two",
        space=tk.Space(x=tk.Float(0, 1)),
        objectives=["a", "b"],
        storage="sqlite:///tunekit.db",
        sampler="random",
    )
    for a, b in ((1, 3), (2, 2), (3, 3)):
        study.tell(study.ask(), {"a": a, "b": b})
    assert [t["number"] for t in answer("studies", "best", "two")["best"]] == [0, 1]
    assert cli("studies", "best", "two").stdout.startswith(
        "number  a  b  params\n0       1  3  x="
    )


def test_a_trial_is_shown_with_its_reports(answer, cli):
    assert answer("trials", "show", "s", "0")["trial"]["reports"] == [
        {"step": 1, "metrics": {"error": 0.9}}
    ]
    assert "step 1: error=0.9" in cli("trials", "show", "s", "0").stdout


def test_a_state_filters_and_a_limit_takes_the_latest(answer):
    numbers = [
        t["number"]
        for t in answer("trials", "ls", "s", "--state", "complete", "--limit", "1")["trials"]
    ]
    assert numbers == [1]


def test_a_name_with_brackets_is_printed_as_it_is(cli):
    tk.study("[red]x", space=tk.Space(x=[1, 2]), storage="sqlite:///tunekit.db", sampler="random")
    assert "[red]x" in cli("studies", "ls").stdout


def test_a_metric_that_is_not_finite_is_text_in_json(answer):
    study = tk.load_study("s", storage="sqlite:///tunekit.db")
    study.tell(study.ask(), {"error": float("nan")})
    assert answer("trials", "show", "s", "3")["trial"]["metrics"] == {"error": "nan"}


def test_quiet_leaves_stderr_empty(cli):
    assert "latest 1 of 4" in cli("trials", "ls", "s", "--limit", "1").stderr
    assert cli("trials", "ls", "s", "--limit", "1", "--quiet").stderr == ""


@pytest.mark.parametrize("ending", ["json", "csv", "parquet"])
def test_export_writes_a_file_and_prints_its_name(cli, folder, ending):
    result = cli("export", "s", f"out.{ending}")
    assert (result.exit_code, result.stdout) == (0, f"out.{ending}\n")
    assert (folder / f"out.{ending}").stat().st_size > 0
    if ending == "json":
        assert len(json.loads((folder / "out.json").read_text())["trials"]) == 4


def test_a_study_is_removed_after_a_yes(cli, answer):
    assert cli("studies", "rm", "s", input="n\n").exit_code == 1
    assert len(answer("studies", "ls")["studies"]) == 1
    assert cli("studies", "rm", "s", "--yes").exit_code == 0
    assert answer("studies", "ls")["studies"] == []


def test_a_point_is_put_into_the_queue(cli, answer):
    result = cli("trials", "enqueue", "s", "model=b", "depth=7")
    assert result.stdout == "4\n"
    assert answer("trials", "show", "s", "4")["trial"]["params"] == {
        "model": "b",
        "model.b.depth": 7,
    }


def test_a_waiting_trial_is_stopped_once(cli, answer):
    assert "is cancelled" in cli("trials", "stop", "s", "3", "--reason", "enough").stderr
    assert answer("trials", "show", "s", "3")["trial"]["end_reason"] == "enough"
    assert "had ended" in cli("trials", "stop", "s", "3").stderr


@pytest.mark.parametrize(
    ("verb", "state"), [("pause", "paused"), ("stop", "stopped"), ("cancel", "cancelled")]
)
def test_a_study_is_asked_to_change_its_state(cli, answer, verb, state):
    assert cli(verb, "s").exit_code == 0
    assert answer("studies", "ls")["studies"][0]["state"] == state
    result = cli("resume", "s")
    assert (result.exit_code, answer("studies", "ls")["studies"][0]["state"]) == (0, "active")
    assert "not made by `tunekit run`" in result.stderr
