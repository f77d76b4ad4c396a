"""What a fitted law is used for: predictions, checks, plans of runs, priors, files."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path

import pytest

import tunekit as tk
from tests.scaling.sweeps import CELLS, rows
from tunekit.errors import InvalidArgument

fit = partial(tk.scaling.fit, method="surface")  # the quickest

SPACE = tk.Space(
    lr=tk.Float(1e-6, 1, log=True),
    bs=tk.Int(64, 2**24, log=True),
    dropout=tk.Float(0, 1),
    N=tk.Int(10**5, 10**9, log=True, scale="N"),
    D=tk.Int(10**7, 10**11, log=True, scale="D"),
)


@pytest.fixture(scope="module")
def law() -> tk.scaling.Law:
    return fit(rows())


def test_every_cell_is_held_out_once_and_the_gaps_are_small(law):
    found = law.validate()
    assert len(found.cells) == len(CELLS)
    assert 0 <= found.mean_gap <= found.worst.gap < 0.02
    assert found.lr_coverage > 0.7
    assert f"mean gap {found.mean_gap:.3%}" in str(found)
    assert found.to_dict()["cells"][0]["N"] == 1e6


def test_too_few_cells_to_hold_out_are_refused():
    two = fit(rows(CELLS[:2]))
    with pytest.raises(InvalidArgument, match="holding one out needs three"):
        two.validate()


def test_a_plan_fits_its_budget_and_becomes_trials_whose_rest_the_sampler_proposes(law):
    plan = law.plan(1e19, N=256e6, D=1e10, cells=[(32e6, 32e8), (64e6, 16e8)])
    assert 0 < plan.flops <= 1e19
    assert plan.runs[-1].purpose == "target" or plan.runs[-1].n < 256e6
    assert {(r.n, r.d) for r in plan.runs} <= {(32e6, 32e8), (64e6, 16e8), (256e6, 1e10)}
    study = tk.study(space=SPACE, sampler="random", seed=0)
    numbers = plan.enqueue(study)
    assert len(numbers) == len(plan)
    first = study.ask()
    assert first.params["lr"] == pytest.approx(plan.runs[0].lr)
    assert first.params["bs"] == round(plan.runs[0].bs)
    assert (first.params["N"], first.params["D"]) == (plan.runs[0].n, plan.runs[0].d)
    assert 0 <= first.params["dropout"] <= 1
    assert study.trials[0].user_attrs == {"scaling": plan.runs[0].purpose}
    assert str(len(plan)) in str(plan)


def test_sizes_that_are_no_parameter_are_named_by_what_makes_them():
    table = [{**{k: v for k, v in r.items() if k != "N"}, "size": r["N"]} for r in rows()]
    law = fit(table, n="size")
    space = tk.Space(
        lr=tk.Float(1e-6, 1, log=True),
        bs=tk.Categorical([2**k for k in range(8, 24)], ordered=True),
        width=tk.Int(64, 1024),
        D=tk.Int(10**7, 10**11, log=True),
    )
    plan = law.plan(1e19, cells=[(32e6, 32e8)], N=32e6, D=32e8)
    with pytest.raises(InvalidArgument, match="give sizes="):
        plan.params(space)
    points = plan.params(space, sizes={32.1e6: {"width": 512}, 1e6: {"width": 64}})
    assert {p["width"] for p in points} == {512}
    assert {math.log2(p["bs"]).is_integer() for p in points} == {True}
    assert plan.params(space, sizes=lambda n: {"width": int(n / 1e5)})[0]["width"] == 320
    with pytest.raises(InvalidArgument, match="plan with cells= of the sizes that you have"):
        plan.params(space, sizes={1e6: {"width": 64}})
    lr = plan.runs[0].lr
    near = tk.Space(lr=tk.Float(1e-9, lr / 2, log=True), bs=tk.Float(1, 1e9), D=tk.Int(1, 10**11))
    assert plan.params(near, sizes={32e6: {}})[0]["lr"] == pytest.approx(lr / 2)
    narrow = tk.Space({**{"lr": tk.Float(1e-9, 1e-8)}, "bs": 1, "D": tk.Int(1, 10**11)})
    with pytest.raises(InvalidArgument, match="widen it with study"):
        plan.params(narrow, sizes={32e6: {}})


def test_a_prior_holds_the_law_with_the_doubt_of_a_transfer(law):
    at = law.predict(1e9, 1e11)
    median, sd = law.as_prior("lr", N=1e9, D=1e11)["lognormal"]
    assert median == at.lr.median
    own = math.log(at.lr.high90 / at.lr.low90) / 3.29
    assert sd == pytest.approx(math.hypot(own, 0.35), rel=1e-3)
    assert law.as_prior("lr", N=1e9, D=1e11, transfer_sd=0)["lognormal"][1] == pytest.approx(
        own, rel=1e-3
    )
    for parameter, words in {
        "dropout": "plays no role",
        "wd": "nothing of",
        "n": "nothing of",
    }.items():
        with pytest.raises(InvalidArgument, match=words):
            law.as_prior(parameter, N=1e9, D=1e11)
    with pytest.raises(InvalidArgument, match="expected the parameters of the model"):
        law.as_prior("lr")


def test_a_law_is_the_same_after_it_was_written_and_read(law, tmp_path: Path):
    path = law.save(tmp_path / "law.json")
    again = tk.scaling.load(path)
    assert again.predict(1e9, 1e11) == law.predict(1e9, 1e11)
    assert again.validate() == law.validate()
    assert again.roles == law.roles
    assert str(again) == str(law)
    for text, words in {"{": "not JSON", "[]": "not a law", '{"format": 1}': "damaged"}.items():
        path.write_text(text)
        with pytest.raises(InvalidArgument, match=words):
            tk.scaling.load(path)
    with pytest.raises(InvalidArgument, match="cannot be read"):
        tk.scaling.load(tmp_path / "gone.json")


def test_a_stored_law_keeps_diverged_runs_as_null(law, tmp_path: Path):
    table = [{**r, "loss": math.inf if i == 0 else r["loss"]} for i, r in enumerate(rows())]
    path = fit(table).save(tmp_path / "law.json")
    assert json.loads(path.read_text())["runs"]["loss"][0] is None
    assert tk.scaling.load(path).runs.diverged.sum() == 1


@pytest.mark.parametrize("given", [0, -1, math.nan, math.inf, "1e9", True])
def test_sizes_and_budgets_that_are_no_amount_are_refused(law, given):
    with pytest.raises(InvalidArgument, match="above 0"):
        law.predict(given, 1e9)
    with pytest.raises(InvalidArgument, match="above 0"):
        law.plan(given, N=1e9, D=1e11)


def test_planned_runs_have_the_weight_decay_of_the_law():
    table = [
        {**row, "wd": row["bs"] / (row["lr"] * row["D"] * (row["D"] / row["N"]) ** -0.5)}
        for row in rows(noise=0)
    ]
    plan = fit(table).plan(1e19, cells=[(32e6, 32e8)], N=32e6, D=32e8)
    space = tk.Space({**dict(SPACE.nodes), "wd": tk.Float(1e-9, 1e3, log=True)})
    assert plan.params(space)[0]["wd"] == pytest.approx(plan.runs[0].wd)
    assert plan.rows()[0]["wd"] == plan.runs[0].wd


ONE_N = rows([c for c in CELLS if c[0] == 1e6])
LARGE = [{**row, "N": row["N"] * 1e5, "D": row["D"] * 1e3} for row in rows()]


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda law: law.predict(1e9, 1e10, bs="x"), "bs='x', expected a batch size"),
        (lambda law: law.plan(1e20, N=1e9, D=1e10, runs_per_cell=4.5), "runs_per_cell=4.5"),
        (lambda law: law.plan(1e20, cells=[1e9]), "expected pairs"),
        (
            lambda law: fit(ONE_N, priors={"lr_n": None}).as_prior("lr", N=1e9, D=1e10),
            "wider than numbers reach",
        ),
        (lambda law: law.save("nowhere/at/all/law.json"), "cannot be written"),
        (lambda law: fit(LARGE, priors="kaplan"), "it is meant for smaller models"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_a_sentence(law, use, words):
    with pytest.raises(InvalidArgument, match=words):
        use(law)


def test_cells_of_a_plan_may_be_lists_and_fields_of_priors_pairs(law):
    cells = [(4e6, 2e8), (8e6, 4e8)]
    assert law.plan(1e20, cells=[list(c) for c in cells]).runs == law.plan(1e20, cells=cells).runs
    given = tk.scaling.Priors(lr_n=(-0.7, 0.1))
    assert fit(rows(), priors=given).options.priors.lr_n.sd == 0.1
