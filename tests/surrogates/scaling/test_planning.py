"""The next runs: worth their compute, from small to large, with the target last."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.surrogates.scaling.surfaces import CELLS, best, grid, losses
from tunekit_surrogates.scaling import PRESETS, Runs, fit_law, next_runs

TARGET = (2e9, 4e10)


def spent(planned):
    return sum(run.flops for run in planned)


def test_a_plan_keeps_its_budget_and_goes_from_small_to_large_with_the_target_last():
    law = PRESETS["deepseek"].law(1e9, 2e10)
    budget = 8 * 6 * TARGET[0] * TARGET[1]
    planned = next_runs(law, budget_flops=budget, target=TARGET, runs_at_target=3)
    assert spent(planned) <= budget
    flops = [run.flops for run in planned]
    assert flops == sorted(flops)
    assert [run.purpose for run in planned[-3:]] == ["target"] * 3
    assert {run.purpose for run in planned[:-3]} == {"cell"}
    sizes = {(run.n, run.d) for run in planned[:-3]}
    assert all(5 * 6 * n * d <= budget for n, d in sizes)
    assert len(planned) == 5 * len(sizes) + 3 <= 40


def test_a_plan_has_cells_of_several_ratios_and_sizes():
    law = PRESETS["deepseek"].law(1e9, 2e10)
    planned = next_runs(law, budget_flops=1e21, target=TARGET)
    cells = {(run.n, run.d) for run in planned if run.purpose == "cell"}
    assert len({n for n, _ in cells}) > 1
    assert len({round(d / n) for n, d in cells}) > 1


def test_a_plan_goes_where_the_law_is_least_known():
    runs = grid([(n, 20 * n) for n in (1e8, 2e8, 4e8)])
    candidates = [(2e8, 4.01e9), (4e8, 64e9)]
    planned = next_runs(
        fit_law(runs), runs, budget_flops=1e23, target=(2e9, 4e11), cells=candidates, max_runs=10
    )
    assert {(run.n, run.d) for run in planned if run.purpose == "cell"} == {(4e8, 64e9)}


def test_cells_that_have_their_runs_are_not_proposed_again():
    runs = grid(CELLS)
    planned = next_runs(fit_law(runs), runs, budget_flops=1e24, cells=[*CELLS, (8e8, 16e9)])
    assert {(run.n, run.d) for run in planned} == {(8e8, 16e9)}


def test_runs_of_a_cell_surround_the_law():
    law = fit_law(grid(CELLS))
    for n_runs in (3, 4, 5, 6):
        planned = next_runs(
            law, budget_flops=1e24, cells=[(8e8, 16e9)], runs_per_cell=n_runs, max_runs=n_runs
        )
        at = law.predict(8e8, 16e9)
        off = np.log([[run.lr / at.lr.median, run.bs / at.bs.median] for run in planned])
        assert len(planned) == n_runs
        assert (off.min(axis=0) < -0.2).all() and (off.max(axis=0) > 0.2).all()
        assert (np.abs(off) < 2.0).all()


def test_a_law_from_planned_runs_alone_finds_the_optimum():
    law = PRESETS["deepseek"].law(3e8, 1e10)
    rng = np.random.default_rng(0)
    candidates = [(n, n * r) for n in (5e7, 1e8, 2e8, 4e8) for r in (15, 60)]
    rows: list[list[float]] = []
    runs = None
    for _ in range(7):
        planned = next_runs(law, runs, budget_flops=1e24, cells=candidates, max_runs=5)
        for run in planned:
            loss = losses(run.lr, run.bs, n=run.n, d=run.d) * np.exp(rng.normal(0, 1e-3))
            rows.append([run.lr, run.bs, run.n, run.d, float(loss)])
        lr, bs, n, d, loss = np.array(rows).T
        runs = Runs.checked(lr, bs, n=n, d=d, loss=loss)
        if len(rows) > 5:
            law = fit_law(runs)
    assert len(rows) == 35
    at, (rate, batch) = law.predict(2e9, 4e10), best(2e9, 4e10)
    lost = losses(at.lr.median, at.bs.median, n=2e9, d=4e10) / losses(rate, batch, n=2e9, d=4e10)
    assert lost - 1.0 < 1e-3
    assert at.lr.low90 < rate < at.lr.high90
    assert at.bs.low90 < batch < at.bs.high90


def test_the_weight_decay_of_a_planned_run_keeps_the_time_scale():
    runs = grid(CELLS)
    wd = 10 ** np.random.default_rng(0).uniform(-2, 0, len(runs))
    runs = Runs.checked(runs.lr, runs.bs, n=runs.n, d=runs.d, loss=runs.loss, wd=wd)
    law = fit_law(runs)
    run = next_runs(law, budget_flops=1e24, cells=[(8e8, 16e9)])[1]
    tau = run.bs / (run.lr * run.wd * run.d)
    assert math.log(tau) == pytest.approx(law.tau.log_mean(8e8, 16e9))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"budget_flops": 0.0}, "the budget is 0 FLOPs"),
        ({"budget_flops": math.nan}, "the budget is nan FLOPs"),
        ({"runs_per_cell": 2}, "runs_per_cell is 2; choose from 3 to 6"),
        ({"runs_at_target": 9}, "runs_at_target is 9; choose from 0 to 5"),
        ({"target": None}, "neither a target nor cells"),
        ({"target": (0.0, 1e9)}, "n is 0; give a finite number above 0"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(change, match):
    given = {"budget_flops": 1e20, "target": TARGET} | change
    with pytest.raises(ValueError, match=match):
        next_runs(PRESETS["deepseek"].law(1e9, 2e10), **given)


def test_a_budget_too_small_for_anything_gives_no_runs():
    assert next_runs(PRESETS["deepseek"].law(1e9, 2e10), budget_flops=1e6, target=TARGET) == []
