"""Laws from studies and tables: who plays which role, and what is left out."""

from __future__ import annotations

import csv
import math
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

import tunekit as tk
from tests.scaling.sweeps import CELLS, best_bs, best_lr, loss_of, rows
from tunekit.errors import InvalidArgument

fit = partial(tk.scaling.fit, method="surface")  # the quickest

SPACE = tk.Space(
    lr=tk.Float(1e-6, 1, log=True),
    batch=tk.Int(64, 2**22, log=True),
    width=tk.Int(10**5, 64 * 10**6, log=True, scale="N"),
    tokens=tk.Int(10**7, 64 * 10**8, log=True, scale="D"),
)


def trained(trial: tk.Trial) -> float:
    p = trial.params
    return loss_of(p["lr"], p["batch"], p["width"], p["tokens"])


def swept(name: str = "sweep", cells=CELLS, space: tk.Space = SPACE, objective=trained):
    study = tk.study(
        name, space=space, objectives={"perplexity": "minimize"}, sampler="random", seed=0
    )
    table = rows(cells)
    for row in table:
        study.enqueue_trial(
            {"lr": row["lr"], "batch": round(row["bs"]), "width": row["N"], "tokens": row["D"]}
        )
    study.optimize(objective, n_trials=len(table))
    return study


def names(law) -> set[str]:
    return {c.name for c in law.warnings}


def cautious(law, name: str) -> str:
    return next(c.sentence for c in law.warnings if c.name == name)


def test_a_law_of_a_study_finds_the_roles_and_the_optimum_far_outside_what_was_run():
    law = fit(swept())
    assert (law.roles.n, law.roles.d, law.roles.lr) == (
        "params.width",
        "params.tokens",
        "params.lr",
    )
    assert (law.roles.bs, law.roles.loss) == ("params.batch", "perplexity")
    at = law.predict(N=256e6, D=6.4e9)
    assert at.lr.low90 < best_lr(256e6, 6.4e9) < at.lr.high90
    assert at.bs.low90 < best_bs(6.4e9) < at.bs.high90
    assert at.lr.low90 < at.lr.low50 < at.lr.median < at.lr.high50 < at.lr.high90
    assert at.extrapolation == pytest.approx(256e6 * 6.4e9 / (16e6 * 16e8))
    assert {c.name for c in at.cautions} >= {"extrapolation"}
    assert 0 < at.excess_low < at.excess_high
    assert at.loss is not None
    assert "times" in str(law.predict(256e6, 6.4e9).cautions[-1])
    assert f"lr   {at.lr.median:.4g}" in str(at)


def test_the_target_of_a_law_is_the_largest_cell_of_the_study():
    law = fit(swept())
    assert law.target == (64e6, 64e8)
    assert law.predict() == law.predict(64e6, 64e8)
    assert law.as_prior("lr") == law.as_prior("params.lr", N=64e6, D=64e8)


def test_a_study_its_exports_and_its_rows_give_the_same_law(tmp_path: Path):
    study = swept()
    law = fit(study)
    wanted = law.predict(1e8, 1e10)
    given = {"n": "width", "d": "tokens", "loss": "perplexity"}
    for kind in ("csv", "parquet"):
        path = study.export(tmp_path / f"runs.{kind}")
        assert fit(path, **given).predict(1e8, 1e10) == wanted
    table = rows(noise=0)
    frame = pd.DataFrame(table)
    by_column = {name: frame[name].to_numpy() for name in frame}
    laws = [fit(source) for source in (table, frame, by_column, frame.to_dict("list"))]
    assert len({law.predict(1e8, 1e10) for law in laws}) == 1


def test_several_studies_are_one_table_and_may_have_an_offset_each():
    small = swept("adamw", CELLS[:6])
    large = swept("muon", CELLS[3:])
    law = fit([small, large])
    assert len(law.optima) == 9
    by_study = fit([small, large], factor="study")
    assert by_study.fitted.factors == ("adamw", "muon")
    with pytest.raises(InvalidArgument, match="adamw, muon"):
        by_study.predict(1e8, 1e9)
    assert by_study.predict(1e8, 1e9, factor="muon").lr.median > 0


def test_a_role_is_played_by_an_attribute_a_metric_a_number_or_a_function():
    space = tk.Space(
        opt=tk.Categorical({"adamw": tk.Space(lr=tk.Float(1e-6, 1, log=True))}),
        layers=tk.Int(1, 4),
    )
    study = tk.study(space=space, objectives=["loss", "seconds"], sampler="random", seed=0)

    def train(trial):
        n = 1e6 * 4.0 ** trial.params["layers"]
        trial.set_user_attr("size", n)
        d = 1e8
        loss = loss_of(trial.params["lr"], 65536, n, d)
        return {"loss": loss, "seconds": 1.0, "seen": d * (1 + trial.params["layers"] % 2)}

    for layers in (1, 2, 3, 4):
        for i in range(-3, 4):
            study.enqueue_trial({"lr": 3e-3 * 2.0 ** (i - layers), "layers": layers})
    study.optimize(train, n_trials=28)
    law = fit(study, loss="loss", n="size", d="seen", bs=65536)
    assert law.roles.n == "attrs.size"
    assert law.roles.lr == "params.opt.adamw.lr"
    assert law.roles.d == "seen"
    assert set(law.runs.bs) == {65536}
    computed = fit(
        study, loss="loss", n=lambda row: 1e6 * 4.0 ** row["params.layers"], d="seen", bs=65536
    )
    assert computed.predict(1e9, 1e8) == law.predict(1e9, 1e8)


def test_batches_in_sequences_are_turned_into_tokens_and_back():
    table = [{**row, "bs": row["bs"] / 1024} for row in rows(noise=0)]
    law = fit(table, sequence_length=1024)
    assert law.predict(1e8, 1e10) == fit(rows(noise=0)).predict(1e8, 1e10)
    tokens = law.predict(1e8, 1e10).bs.median
    assert law.as_prior("bs", N=1e8, D=1e10)["lognormal"][0] == pytest.approx(tokens / 1024)


def test_small_batches_are_no_doubt_about_units_where_the_length_of_a_sequence_is_given():
    table = [{**row, "bs": row["bs"] / 2048} for row in rows(noise=0)]
    assert "mixed_units" in names(fit(table))
    assert "mixed_units" not in names(fit(table, sequence_length=4))


def test_weight_decay_becomes_a_third_output_where_all_runs_have_one():
    table = [
        {**row, "wd": row["bs"] / (row["lr"] * row["D"] * (row["D"] / row["N"]) ** -0.5)}
        for row in rows(noise=0)
    ]
    law = fit(table)
    at = law.predict(1e8, 1e10)
    assert at.wd is not None
    assert law.as_prior("wd", N=1e8, D=1e10)["lognormal"][0] == at.wd.median
    assert fit([{**row, "wd": 0.1} for row in table]).predict(1e8, 1e10).wd is None
    table[3]["wd"] = None
    assert fit(table).predict(1e8, 1e10).wd is None
    assert names(fit(table, wd="wd")) >= {"missing_values"}


def test_trials_that_did_not_end_are_left_out_and_diverged_ones_are_the_worst():
    def train(trial):
        if trial.number == 3:
            raise ValueError("out of disk")
        return trained(trial)

    study = tk.study("half", space=SPACE, sampler="random", seed=0)
    table = rows()
    for row in table:
        study.enqueue_trial(
            {"lr": row["lr"], "batch": round(row["bs"]), "width": row["N"], "tokens": row["D"]}
        )
    study.enqueue_trial({"lr": 0.9, "batch": 64, "width": 1_000_000, "tokens": 10**8})
    study.enqueue_trial({"lr": 0.8})
    study.optimize(train, n_trials=len(table) + 1, catch=(ValueError,))
    law = fit(study)
    assert len(law.runs) == len(table)
    assert law.runs.diverged.sum() == 1
    assert "2 runs were stopped, failed or have not ended" in cautious(law, "unfinished_runs")
    assert "diverged" in cautious(law, "diverged_runs")


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (lambda t: [{**r, "lr": -1} for r in t], {}, "lr has 315 values that are out of range"),
        (lambda t: [{**r, "loss": -r["loss"]} for r in t], {}, "loss has"),
        (lambda t: [{**r, "lr": "fast"} for r in t], {}, 'lr="?\'?fast.* row 1 of "table 1"'),
        (lambda t: [{"rate": r["lr"], **r} for r in t], {"lr": "rat"}, 'did you mean "rate"'),
        (lambda t: [{k: v for k, v in r.items() if k != "N"} for r in t], {}, "n=..."),
        (
            lambda t: [{**r, "N": r["N"] / (1e9 if i else 1)} for i, r in enumerate(t)],
            {},
            "million",
        ),
        (lambda t: [{**r, "D": r["D"] / 1e9} for r in t], {}, "in tokens and not in billions"),
        (lambda t: t[:35], {}, "a law over scales needs two or more"),
        (
            lambda t: [{**r, "lr": None} for r in t],
            {},
            "no run can be used: 315 of them have no lr",
        ),
        (lambda t: {"lr": [1], "bs": [1, 2]}, {}, "different lengths"),
        (lambda t: 3, {}, "expected a study"),
        (lambda t: "study", {}, "ending in .csv or .parquet"),
        (lambda t: "gone.csv", {}, "cannot be read"),
        (lambda t: t, {"sequence_length": 0}, "whole number from 1"),
        (lambda t: t, {"lr": True}, "expected the name of a parameter"),
        (lambda t: t, {"priors": {"lr_m": (0, 1)}}, 'no exponent "lr_m"'),
        (lambda t: t, {"priors": {"lr_n": (0, -1)}}, "expected a mean and a standard deviation"),
        (lambda t: t, {"seed": 0.5}, "seed"),
        (lambda t: t, {"method": "best"}, "expected auto, surface"),
        (lambda t: t, {"exponents": "none"}, "expected shared, own"),
        (lambda t: t, {"counting": "all"}, "expected non-embedding or total"),
        (lambda t: [], {}, '"table 1" has no runs'),
    ],
)
def test_runs_that_cannot_be_right_are_refused_with_what_to_do(change, options, words):
    with pytest.raises(InvalidArgument, match=words):
        fit(change(rows()), **options)


def test_a_study_whose_objective_is_maximised_is_refused():
    study = tk.study(space=SPACE, direction="maximize", seed=0)
    study.enqueue_trial({"lr": 0.01})
    study.optimize(lambda trial: 1.0, n_trials=1)
    with pytest.raises(InvalidArgument, match="maximised"):
        fit(study)


def test_doubts_are_named_in_the_result_and_never_an_exponent_made_up():
    one_n = fit(rows([c for c in CELLS if c[0] == 1e6]))
    assert {"one_n", "few_cells"} <= names(one_n)
    assert one_n.fitted.lr.coefficients["n"] == pytest.approx((-0.5, 0.25), rel=0.05)
    one_d = fit(rows([c for c in CELLS if c[1] == 1e8]))
    assert "one_d" in names(one_d)
    ratio = fit(rows([(n, 100 * n) for n in (1e6, 2e6, 4e6, 8e6)]))
    assert "one_ratio" in names(ratio)
    edge = fit([r for r in rows() if r["lr"] < 0.7 * best_lr(r["N"], r["D"])])
    assert "lr" in cautious(edge, "edge_of_grid")
    doubled = fit(rows() + rows())
    assert "315 runs agree" in cautious(doubled, "duplicated_runs")


def test_a_csv_file_with_empty_cells_and_diverged_losses_is_read(tmp_path: Path):
    table = rows()
    table[0]["loss"], table[1]["loss"], table[2]["lr"] = math.nan, "", ""
    with (tmp_path / "runs.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    law = fit(tmp_path / "runs.csv")
    assert len(law.runs) == len(table) - 2
    assert cautious(law, "missing_values").endswith("loss in 1, lr in 1.")
    assert law.runs.diverged.sum() == 1


def test_an_empty_cell_of_a_data_frame_costs_no_run_and_is_no_label():
    table = [{**row, "wd": 0.1 * (1 + i % 2), "opt": "adamw"} for i, row in enumerate(rows())]
    frame = pd.DataFrame(table)
    frame.loc[3, "wd"] = math.nan
    assert len(fit(frame).runs) == len(table)
    frame.loc[5, "opt"] = math.nan
    law = fit(frame, factor="opt")
    assert law.fitted.factors == ("adamw",)
    assert "missing_values" in names(law)


def test_runs_without_weight_decay_leave_it_out_unless_it_was_asked_for():
    table = [{**row, "wd": 0.1 * (i % 2)} for i, row in enumerate(rows())]
    law = fit(table)
    assert law.predict(1e8, 1e10).wd is None
    assert "weight decay of 0" in cautious(law, "missing_values")
    with pytest.raises(InvalidArgument, match="wd has"):
        fit(table, wd="wd")
