"""`tunekit scaling` fits, predicts, checks and plans, from files and from studies."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import tunekit as tk
from tests.scaling.sweeps import rows

FIT = ["scaling", "fit", "runs.csv", "--lr", "lr", "--bs", "bs", "--n", "N", "--d", "D"]
FIT += ["--loss", "loss", "--method", "surface"]


@pytest.fixture
def runs(folder: Path) -> Path:
    path = folder / "runs.csv"
    table = rows()
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    return path


@pytest.fixture
def law(runs: Path, cli) -> str:
    assert cli(*FIT, "--out", "law.json").exit_code == 0
    return "law.json"


def document(result) -> dict:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_fit_prints_the_law_and_writes_it(runs, cli):
    wanted = tk.scaling.fit(runs, method="surface")
    shown = cli(*FIT, "--out", "law.json")
    assert shown.stdout.strip() == str(wanted)
    assert "written to law.json" in shown.stderr
    found = document(cli(*FIT, "--format", "json"))["law"]
    assert found == json.loads(json.dumps(wanted.summary()))
    assert found["lr"]["exponents"]["n"]["sd"] > 0
    assert len(found["cells"]) == 9
    assert tk.scaling.load("law.json").predict(1e9, 1e11) == wanted.predict(1e9, 1e11)


def test_predict_gives_intervals_and_warnings(law, cli):
    shown = cli("scaling", "predict", law, "--n", "7e9", "--d", "1.4e12")
    assert "x the largest compute" in shown.stdout
    found = document(
        cli("scaling", "predict", law, "--n", "7e9", "--d", "1.4e12", "--format", "json")
    )["prediction"]
    assert found["N"] == 7e9
    assert found["lr"]["low90"] < found["lr"]["median"] < found["lr"]["high90"]
    assert found["excess_high"] > 0
    assert "extrapolation" in {w["name"] for w in found["warnings"]}
    fixed = cli("scaling", "predict", law, "--n", "7e9", "--d", "1e12", "--bs", "65536")
    assert "bs   6.554e+04 tokens" in fixed.stdout


def test_validate_lists_the_gap_of_every_cell(law, cli):
    found = document(cli("scaling", "validate", law, "--format", "json"))["validation"]
    assert len(found["cells"]) == 9
    assert found["mean_gap"] == pytest.approx(sum(c["gap"] for c in found["cells"]) / 9)
    rival = cli("scaling", "validate", law, "--published", "step_law", "--format", "json")
    assert document(rival)["validation"]["mean_gap"] > found["mean_gap"]


def test_a_published_law_predicts_without_any_run(cli):
    words = ["scaling", "predict", "step_law", "--n", "7e9", "--d", "1.4e12", "--format", "json"]
    found = document(cli(*words))["prediction"]
    assert found["lr"]["median"] == pytest.approx(9.17e-4, rel=0.01)
    assert found["bs"]["median"] == pytest.approx(5.0e6, rel=0.02)


def test_plan_proposes_runs_and_enqueues_them_in_a_study(law, cli):
    plan = ["scaling", "plan", law, "--budget", "1e20", "--n", "256e6", "--d", "1e10"]
    found = document(cli(*plan, "--format", "json"))["runs"]
    assert 0 < sum(r["flops"] for r in found) <= 1e20
    assert cli(*plan).stdout.splitlines()[0].split() == list("N D lr bs flops purpose".split())
    space = tk.Space(
        lr=tk.Float(1e-8, 1, log=True),
        bs=tk.Float(16, 1e8, log=True),
        N=tk.Float(1e5, 1e9, log=True, scale="N"),
        D=tk.Float(1e6, 1e12, log=True, scale="D"),
    )
    study = tk.study("next", space=space, storage="sqlite:///tunekit.db", sampler="random")
    put = document(cli(*plan, "--enqueue", "next", "--format", "json"))["runs"]
    assert [r["trial"] for r in put] == list(range(len(found)))
    assert study.ask().params["lr"] == pytest.approx(found[0]["lr"])


def test_a_study_is_a_source_too_and_roles_can_be_named(folder, cli):
    space = tk.Space(
        rate=tk.Float(1e-8, 1, log=True),
        size=tk.Float(1e5, 1e9, log=True, scale="N"),
        tokens=tk.Float(1e6, 1e12, log=True, scale="D"),
    )
    study = tk.study(
        "sweep", space=space, storage="sqlite:///tunekit.db", sampler="random", seed=0
    )
    for row in rows():
        if row["bs"] == 65536 * (row["D"] / 1e8) ** 0.5:
            study.enqueue_trial({"rate": row["lr"], "size": row["N"], "tokens": row["D"]})
            trial = study.ask()
            study.tell(trial, row["loss"])
    words = ["--role", "lr=rate", "--role", "bs=65536", "--format", "json"]
    found = document(cli("scaling", "predict", "sweep", *words))["prediction"]
    assert (found["N"], found["D"]) == (1e9, 1e12)
    assert found["bs"]["median"] > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fit", "gone.csv"], "cannot be read"),
        (["fit", "runs.csv", "--lr", "rate"], "no such column"),
        (["fit", "runs.csv", "--prior", "lr_n"], 'no published law "lr_n"'),
        (["fit", "runs.csv", "--prior", "step_law", "--prior", "bs_n=none"], "give it alone"),
        (["predict", "step_law"], "give --n and --d"),
        (["validate", "law.json", "--published", "steplaw"], 'did you mean "step_law"'),
        (["fit", "runs.csv", "--prior", "lr_n=a,b"], "expected a mean"),
        (["fit", "runs.csv", "--method", "best"], "expected auto"),
        (["predict", "law.json", "--role", "lr=lr"], "leave it out"),
        (["predict", "law.json", "--n", "-1", "--d", "1"], "above 0"),
        (["predict", "law.json"], "expected the parameters of the model"),
        (["predict", "runs.csv", "--role", "rl=lr"], "there is no role rl"),
        (["predict", "none"], "no database"),
        (["predict", "stp_law", "--n", "1", "--d", "1"], 'did you mean "step_law"'),
        (["plan", "law.json", "--budget", "0"], "above 0"),
        (["plan", "law.json", "--budget", "1", "--n", "1e9", "--d", "1e10"], "no run fits"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(words, said, law, cli):
    result = cli("scaling", *words)
    assert result.exit_code == 2 or "database" in said
    assert result.exit_code != 0
    assert said in result.stderr


def test_a_length_of_a_sequence_that_is_no_number_is_refused(runs, cli):
    words = ["--n", "1e9", "--d", "2e10", "--role", "sequence_length=abc"]
    refused = cli("scaling", "predict", "runs.csv", *words)
    assert refused.exit_code != 0
    assert "sequence_length=abc: expected the number of tokens" in " ".join(refused.stderr.split())
