"""Which parameters keep their best value over the scale: the rule of the paper, and its limits."""

from __future__ import annotations

import math

import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument, NoCompleteTrial
from tunekit.scaling import stability_report

SPACE = tk.Space(
    lr=tk.Float(1e-3, 1.0, log=True), warmup=tk.Int(1, 5), kind=["a", "b"], clip=tk.Float(0, 1)
)
LEVELS = [1e-3, 1e-2, 1e-1, 1.0]


def loss_at(size, params):
    """Return a loss near 3 whose best lr falls with the size, and in which clip hardly matters."""
    lr = 0.1 * (math.log10(params["lr"]) + math.log10(size)) ** 2
    return 3 + lr + 0.01 * abs(params["warmup"] - 3) + 0.05 * (params["kind"] == "b")


def descents(sizes, space=SPACE, loss=loss_at, **options):
    studies = []
    for size in sizes:
        given = {"values": {"lr": LEVELS}, **options}
        study = tk.study(f"size-{size}", space=space, sampler="coordinate", sampler_options=given)
        study.optimize(lambda trial, size=size: loss(size, trial.params))
        studies.append(study)
    return studies


def test_one_value_near_the_best_everywhere_is_stable_and_a_moving_one_is_sensitive():
    found = stability_report(descents([1, 10, 100]))
    verdicts = {r.path: r.verdict for r in found.rows}
    assert verdicts == {"lr": "sensitive", "warmup": "stable", "kind": "stable", "clip": "stable"}
    assert found.stable["warmup"] == 3 and found.stable["kind"] == "a"
    assert found.sensitive == ["lr"]
    assert next(r for r in found.rows if r.path == "lr").best == (1.0, 0.1, 0.01)
    assert found.cautions == ()


def test_the_tolerance_decides_what_is_near_the_best():
    studies = descents([1, 10])
    assert "lr" not in stability_report(studies).stable
    wide = stability_report(studies, tolerance=0.05)  # an lr ten times off costs 0.1 of 3
    assert wide.stable["lr"] in (0.1, 1.0)
    assert wide.to_dict()["tolerance"] == 0.05


def test_the_value_with_the_least_excess_over_all_studies_is_named():
    def tilted(size, params):
        return 3 + 0.001 * (params["warmup"] - (2 if size == 1 else 3)) ** 2

    space = tk.Space(warmup=tk.Int(1, 5))
    found = stability_report(descents([1, 10], space, tilted, values={}), tolerance=0.002)
    assert found.stable["warmup"] in (2, 3)
    assert found.rows[0].near == ((1, 2, 3, 4), (1, 2, 3, 4, 5))


def test_plateaus_that_may_meet_between_the_values_tried_are_unclear():
    def at(values):
        study = tk.study(space={"lr": tk.Float(1e-3, 1.0, log=True)}, sampler="grid")
        for lr, loss in values:
            study.tell(study.ask(fixed={"lr": lr}), loss)
        return study

    low = at([(0.01, 3.0), (0.1, 3.5)])
    high = at([(0.02, 3.0), (0.002, 3.5), (0.2, 3.5)])
    assert stability_report([low, high]).rows[0].verdict == "unclear"
    far = at([(0.2, 3.0), (0.1, 3.5)])
    assert stability_report([low, far]).rows[0].verdict == "sensitive"
    single = at([(0.01, 3.0)])
    assert stability_report([low, single]).rows[0].verdict == "untested"


def test_a_value_that_diverged_bounds_the_plateau():
    def at(best, bad):
        study = tk.study(space={"lr": tk.Float(1e-3, 1.0, log=True)}, sampler="grid")
        for lr, loss in [(best, 3.0), (bad, math.nan)]:
            study.tell(study.ask(fixed={"lr": lr}), loss)
        return study

    assert stability_report([at(0.01, 0.02), at(0.5, 0.1)]).rows[0].verdict == "sensitive"


def test_a_parameter_of_a_branch_that_is_not_the_best_everywhere_is_untested():
    space = tk.Space(
        optimizer=tk.Categorical({"adam": tk.Space(beta=tk.Float(0, 1)), "muon": None})
    )

    def loss(size, params):
        if params["optimizer"] == "muon":
            return 3.0 if size > 1 else 4.0
        return 3.5 + (params["beta"] - 0.5) ** 2

    rows = stability_report(descents([1, 10], space, loss, values={})).rows
    assert {r.path: r.verdict for r in rows} == {
        "optimizer": "sensitive",
        "optimizer.adam.beta": "untested",
    }


def test_noise_widens_what_counts_as_near():
    import numpy as np

    def noisy(size, trial):
        rng = np.random.default_rng([size, trial.number])
        return loss_at(1, trial.params) + 0.01 * rng.normal()

    studies = []
    for size in (1, 2):
        options = {"values": {"lr": LEVELS}, "n_blocks": 6}
        study = tk.study(space=SPACE, sampler="coordinate", sampler_options=options, seed=size)
        study.optimize(lambda trial, size=size: noisy(size, trial))
        studies.append(study)
    found = stability_report(studies, tolerance=0.0)
    assert {"lr", "kind"} <= found.stable.keys()


def test_rungs_are_compared_as_their_rules_relate_them(tmp_path):
    rungs = [{"width": w} for w in (1, 10, 100)]
    url = f"sqlite:///{tmp_path}/s.db"
    space = tk.Space(lr=tk.Float(1e-3, 1.0, log=True, default=1.0), kind=["a", "b"])

    def loss(trial):
        p = trial.params
        return 3 + math.log10(p["lr"] * p["width"]) ** 2 + (p["kind"] == "b")

    for name, transfer in (("right", {"lr": "1/m"}), ("wrong", {})):
        tunnel = tk.scaling.wind_tunnel(
            name, space=space, rungs=rungs, transfer=transfer, storage=url, n_points=4, seed=0
        )
        tunnel.run(loss)
        found = tunnel.stability()
        if name == "right":
            assert found.stable == {"lr": 1.0, "kind": "a"}
        else:
            assert found.sensitive == ["lr"]
            assert found.rows[0].exponent == pytest.approx(-1.0)
            assert "about m^-1.00" in str(found)


def test_a_study_without_a_certificate_is_a_caution():
    first, second = descents([1, 10])
    short = tk.study(space=SPACE, sampler="random", seed=0)
    short.optimize(lambda trial: loss_at(1, trial.params), n_trials=5)
    found = stability_report([first, second, short])
    assert len(found.cautions) == 1 and "no certificate" in found.cautions[0]


def test_studies_that_cannot_be_compared_are_refused():
    first, second = descents([1, 10])
    with pytest.raises(InvalidArgument, match="expected a list of two or more studies"):
        stability_report([first])
    with pytest.raises(InvalidArgument, match="expected a list of two or more studies"):
        stability_report("ab")
    with pytest.raises(InvalidArgument, match="expected the same single one"):
        stability_report([first, tk.study(space=SPACE, objectives={"other": "minimize"})])
    with pytest.raises(NoCompleteTrial, match="has no complete, feasible trial"):
        stability_report([first, tk.study(space=SPACE)])
    with pytest.raises(InvalidArgument, match="tolerance=-1"):
        stability_report([first, second], tolerance=-1)
    other = tk.study(space={"z": tk.Int(0, 1)})
    other.optimize(lambda trial: 1.0, n_trials=2)
    with pytest.raises(InvalidArgument, match="no varied parameter in common"):
        stability_report([first, other])
