"""The wind tunnel: tune small, carry up, look around, and go on after any kill."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument, NoCompleteTrial, StudyExists, UnknownStudy
from tunekit.scaling import schedule_of, wind_tunnel
from tunekit.scaling.transfer_rules import parse_rule

WIDTHS = (64, 128, 256, 512)
SPACE = tk.Space(
    lr=tk.Float(0.01 / 16, 0.16, log=True, default=0.04),
    init=tk.Float(0.1 / 16, 1.6, log=True, default=0.4),
    act=["relu", "swiglu", "gelu"],
    wd=tk.Float(0, 0.2),
)
MUP = {"lr": "1/m", "init": "1/sqrt(m)"}


def model(params):
    """Return the loss of a model whose best lr falls as 1/m and best init as 1/sqrt(m)."""
    m = params["width"] / 64
    x = math.log2(params["lr"] * m / 0.01)
    y = math.log2(params["init"] * math.sqrt(m) / 0.1)
    act = {"gelu": 0.0, "swiglu": 0.004, "relu": 0.01}[params["act"]]
    bowl = 0.02 * x * x + 0.01 * y * y + 0.004 * x * y
    return 2 + 1.5 * m**-0.3 + bowl + act + 0.05 * (params["wd"] - 0.1) ** 2


def train(trial):
    return model(trial.params)


def tunnel_of(storage, transfer, **options):
    rungs = [{"width": w} for w in WIDTHS]
    given = {"n_points": 9, "seed": 1, "space": SPACE, "rungs": rungs, **options}
    return wind_tunnel("lm", transfer=transfer, storage=storage, **given)


@pytest.fixture
def storage(tmp_path):
    return f"sqlite:///{tmp_path}/s.db"


def sizes_of(tunnel):
    return [len(s.trials) for s in tunnel.studies]


def test_right_rules_need_one_look_around_on_each_later_rung(storage):
    tunnel = tunnel_of(storage, MUP)
    assert tunnel.run(train) == "done"
    first, *later = sizes_of(tunnel)
    assert later == [9, 9, 9]  # the carried point with two neighbours of each of four parameters
    assert first > 25
    assert sum(sizes_of(tunnel)) < 0.6 * len(WIDTHS) * first  # than a full tune on each rung
    assert {d.verdict for d in tunnel.drift()} == {"none"}
    best = tunnel.studies[-1].best_params
    assert best["lr"] == pytest.approx(0.01 / 8) and best["width"] == 512
    assert best["init"] == pytest.approx(0.1 / math.sqrt(8))
    found = tunnel.predict(width=4096)
    assert found.params["lr"] == pytest.approx(0.01 / 64)
    assert found.ratio == 8.0 and found.cautions == ()


def test_a_wrong_rule_drifts_with_its_price_and_the_next_rung_begins_at_what_was_found(storage):
    tunnel = tunnel_of(storage, {"init": "1/sqrt(m)"})
    tunnel.run(train)
    drifted = [d for d in tunnel.drift() if d.verdict == "drift"]
    assert {(d.path, d.rung) for d in drifted} == {("lr", 1), ("lr", 2), ("lr", 3)}
    for d in drifted:
        assert d.shift == pytest.approx(-1.0, abs=0.1)
        assert d.excess == pytest.approx(0.02, rel=0.2)
    assert tunnel.studies[-1].best_params["lr"] == pytest.approx(0.01 / 8)
    assert len(tunnel.predict(width=1024).cautions) == 3
    assert 'the rule "constant" does not hold' in tunnel.predict(width=1024).cautions[0]


def test_a_law_is_fitted_to_the_rungs_and_finds_the_exponent(storage):
    tunnel = tunnel_of(storage, {"lr": "law", "init": "1/sqrt(m)"})
    tunnel.run(train)
    found = tunnel.predict(width=4096).carried["lr"]
    assert found.exponents["m"] == pytest.approx(-1.0, abs=0.12)
    low, high = found.ninety
    assert low < 0.01 / 64 < high and low < found.half[0] < found.value < found.half[1] < high
    off = [abs(d.shift) for d in tunnel.drift() if d.path == "lr"]
    assert off[-1] < 0.5 * off[0]  # it has learnt on the way


def test_a_law_over_two_sizes_takes_the_usual_priors_and_those_given(storage):
    rungs = [{"N": n, "D": 20 * n} for n in (1e6, 4e6, 16e6)]
    space = tk.Space(lr=tk.Float(1e-4, 1.0, log=True))

    def loss(trial):
        p = trial.params
        best = 0.03 * (p["N"] / 1e6) ** -0.5 * (p["D"] / 2e7) ** 0.2
        return 2 + math.log(p["lr"] / best) ** 2

    given = {"space": space, "rungs": rungs, "storage": storage, "n_points": 17, "seed": 1}
    tunnel = wind_tunnel("a", transfer={"lr": "law"}, **given)
    tunnel.run(loss)
    carried = tunnel.predict(N=1e9, D=2e10).carried["lr"]
    # N and D grow together, so only the sum of the exponents is known; the priors split it.
    assert sum(carried.exponents.values()) == pytest.approx(-0.3, abs=0.05)
    assert carried.exponents["N"] < -0.2 < 0.0 < carried.exponents["D"]
    own = {"lr": {"N": (-0.5, 0.001), "D": (0.2, 0.001)}}
    tight = wind_tunnel("b", transfer={"lr": "law"}, priors=own, **given)
    tight.run(loss)
    assert tight.predict(N=1e9, D=2e10).carried["lr"].exponents["N"] == pytest.approx(
        -0.5, abs=0.01
    )
    assert len(tight.studies[1].trials) <= 5


def test_a_killed_tunnel_goes_on_to_the_same_trials(storage, tmp_path):
    whole = tunnel_of(storage, MUP)
    whole.run(train)
    (tmp_path / "killed.py").write_text(
        "import os, sys\n"
        "from tests.scaling.test_tunnel import MUP, model, tunnel_of\n"
        "left = int(sys.argv[2])\n"
        "def dying(trial):\n"
        "    global left\n"
        "    left -= 1\n"
        "    if left < 0:\n"
        "        os._exit(9)\n"
        "    return model(trial.params)\n"
        "tunnel_of(sys.argv[1], MUP).run(dying, progress=False)\n"
    )
    other = f"sqlite:///{tmp_path}/killed.db"
    for survives in (5, 31):
        call = [sys.executable, tmp_path / "killed.py", other, str(survives)]
        assert subprocess.run(call, check=False, env=_env()).returncode == 9
    resumed = wind_tunnel("lm", storage=other)  # everything it needs is in the storage
    assert resumed.plan == whole.plan
    assert resumed.run(train) == "done"
    mine, theirs = ([t.params for s in w.studies for t in s.trials] for w in (whole, resumed))
    assert mine == theirs


def _env():
    import os
    from pathlib import Path

    root = str(Path(__file__).parents[2])
    return {**os.environ, "PYTHONPATH": root}


def test_a_timeout_ends_the_tunnel_and_a_further_run_goes_on(storage):
    tunnel = tunnel_of(storage, MUP)
    assert tunnel.run(train, timeout=0) == "timeout"
    assert tunnel.report().rungs[1].state == "not begun"
    assert tunnel.run(train, timeout="1h") == "done"
    assert [r.state for r in tunnel.report().rungs] == ["done"] * 4
    assert all(r.is_certified for r in tunnel.report().rungs)


def test_trials_run_in_parallel_and_a_budget_bounds_each_rung(storage):
    tunnel = tunnel_of(storage, MUP, n_trials=[30, 6, 6, None])
    assert tunnel.run(train, workers=2) == "done"
    first, second, third, last = sizes_of(tunnel)
    assert (first, second, third) == (30, 6, 6) and last >= 9
    assert [r.state for r in tunnel.report().rungs] == ["done"] * 4
    assert not tunnel.report().rungs[1].is_certified
    assert "open" in {d.verdict for d in tunnel.drift() if d.rung == 1}


def test_stable_parameters_are_frozen_from_the_third_rung_on(storage):
    every = tunnel_of(storage, {}, n_points=9)
    every.run(train)
    frozen = tunnel_of(storage.replace("s.db", "t.db"), {}, n_points=9, freeze_stable=True)
    frozen.run(train)
    assert sizes_of(frozen)[:2] == sizes_of(every)[:2]
    assert sum(sizes_of(frozen)[2:]) < sum(sizes_of(every)[2:])
    varied = {d.path for d in frozen.drift() if d.rung == 3}
    assert "lr" in varied and "act" not in varied


def test_another_sampler_tunes_the_first_rung(storage):
    tunnel = tunnel_of(storage, MUP, sampler="random", n_trials=[40, None, None, None])
    assert tunnel.run(train) == "done"
    assert {t.sampler for t in tunnel.studies[0].trials} == {"random"}
    assert {t.sampler for t in tunnel.studies[1].trials} == {"coordinate"}


def test_the_sizes_are_params_and_rules_move_the_bounds_in_branches_too(storage):
    space = tk.Space(
        optimizer=tk.Categorical(
            {"adam": tk.Space(lr=tk.Float(1e-3, 1e-1, log=True)), "sgd": None}, default="adam"
        ),
        batch=tk.Int(8, 32, log=True),
    )
    rungs = [{"width": 64}, {"width": 256}]
    transfer = {"lr": "1/m", "batch": "m^0.5"}
    tunnel = wind_tunnel("t", space=space, rungs=rungs, transfer=transfer, storage=storage, seed=0)

    def loss(trial):
        p = trial.params
        if p["optimizer"] == "sgd":
            return 9.0
        m = p["width"] / 64
        return math.log10(p["lr"] * m / 1e-2) ** 2 + math.log2(p["batch"] / (16 * m**0.5)) ** 2

    tunnel.run(loss)
    moved = tunnel.studies[1].space.by_path
    assert (moved["optimizer.adam.lr"].domain.lo, moved["optimizer.adam.lr"].domain.hi) == (
        pytest.approx(1e-3 / 4),
        pytest.approx(1e-1 / 4),
    )
    assert (moved["batch"].domain.lo, moved["batch"].domain.hi) == (16, 64)
    assert moved["width"].domain.value == 256
    assert tunnel.studies[1].best_value == pytest.approx(0.0, abs=0.02)


def test_an_optimum_at_the_edge_is_told(storage):
    space = tk.Space(lr=tk.Float(1e-3, 1e-1, log=True))
    rungs = [{"width": 64}, {"width": 128}]
    tunnel = wind_tunnel("t", space=space, rungs=rungs, storage=storage, seed=0)
    tunnel.run(lambda t: -t.params["lr"])
    (found,) = tunnel.drift()
    assert found.at_edge
    assert any("widen its range" in c for c in tunnel.predict(width=8192).cautions)
    assert any("64 times" in c for c in tunnel.predict(width=8192).cautions)


def test_noise_does_not_read_as_drift(storage):
    import numpy as np

    def noisy(trial):
        rng = np.random.default_rng([3, trial.number, int(trial.params["width"])])
        return model(trial.params) + 0.004 * rng.normal()

    tunnel = tunnel_of(storage, MUP, n_points=9, n_blocks=6)
    assert tunnel.run(noisy) == "done"
    assert [d for d in tunnel.drift() if d.verdict == "drift" and d.path != "act"] == []


def test_a_stable_run_of_a_rung_branches_into_decays_apart_from_its_descent(tmp_path, storage):
    def long(trial):
        phase, first, last = schedule_of(trial.user_attrs)
        file = trial.checkpoint_dir / "steps.json"
        steps = json.loads(file.read_text()) if file.exists() else []
        for step in range(first, last + 1):
            steps.append(step)
            if phase == "stable" and step % 9 == 0:
                file.write_text(json.dumps(steps))
                trial.save_checkpoint(step)
        assert steps == list(range(1, last + 1))
        return model(trial.params) + 10 / last + (phase == "stable")

    kept = tk.Checkpoints(tmp_path / "kept", keep_every=9)
    tunnel = tunnel_of(storage, MUP, checkpoints=kept)
    with pytest.raises(NoCompleteTrial):
        tunnel.wsd(long, steps=[9])
    tunnel.run(train)
    before = sizes_of(tunnel)
    points = tunnel.wsd(long, steps=[9, 18, 36])
    assert [p.total for p in points] == [10, 20, 40]
    assert points[0].loss - points[2].loss == pytest.approx(10 / 10 - 10 / 40)
    assert tunnel.wsd(long, steps=[9, 18, 36]) == points  # nothing is run again
    assert len(tk.load_study("lm-rung3-wsd", storage=storage).trials) == 4
    assert sizes_of(tunnel) == before


def test_an_existing_tunnel_is_opened_by_name_and_kept_by_its_plan(storage):
    made = tunnel_of(storage, MUP)
    assert wind_tunnel("lm", storage=storage).plan == made.plan
    assert tunnel_of(storage, MUP).plan == made.plan
    with pytest.raises(StudyExists, match="exists with another plan"):
        tunnel_of(storage, {"lr": "1/m"})
    with pytest.raises(UnknownStudy, match="there is no wind tunnel"):
        wind_tunnel("ml", storage=storage)
    tk.study("x-rung0", space=SPACE, storage=storage)
    with pytest.raises(InvalidArgument, match="not a rung of a wind tunnel"):
        wind_tunnel("x", storage=storage)


@pytest.mark.parametrize(
    ("given", "power"),
    [
        ("constant", 0.0),
        ("1/m", -1.0),
        ("1 / sqrt(m)", -0.5),
        ("sqrt(m)", 0.5),
        ("m", 1.0),
        ("m^-0.7", -0.7),
        ("m**0.25", 0.25),
        ({"width": -0.713}, -0.713),
    ],
)
def test_each_form_of_a_rule_is_a_power(given, power):
    rule = parse_rule(given, "lr", ["width"])
    assert rule.factor({"width": 256}, {"width": 64}, 4.0) == pytest.approx(4.0**power)
    assert rule.is_constant == (power == 0.0)


def test_a_published_law_carries_by_its_exponents(storage):
    rungs = [{"N": n, "D": 20 * n} for n in (1e6, 4e6)]
    space = tk.Space(lr=tk.Float(1e-4, 1.0, log=True), batch_size=tk.Int(64, 4096, log=True))
    rules = {"lr": "step_law", "batch_size": "step_law"}
    tunnel = wind_tunnel("t", space=space, rungs=rungs, transfer=rules, storage=storage, seed=0)
    tunnel.run(lambda t: math.log(t.params["lr"]) ** 2 + math.log(t.params["batch_size"]) ** 2)
    carried = tunnel.predict(N=4e7, D=8e8).carried
    assert carried["lr"].exponents == {"N": -0.713, "D": 0.307}
    assert carried["batch_size"].exponents == {"D": 0.571}
    last = tunnel.studies[1].best_params
    assert carried["lr"].value == pytest.approx(last["lr"] * 10**-0.406)
    assert wind_tunnel("t", storage=storage).plan == tunnel.plan


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"rungs": [{"width": 64}]}, "expected two or more mappings"),
        ({"rungs": 3}, "expected two or more mappings"),
        ({"rungs": [{"width": 64}, {"w": 128}]}, "give every rung the same"),
        ({"rungs": [{"width": 64}, {"width": 64}]}, "does not grow"),
        ({"rungs": [{"width": 128}, {"width": 64}]}, "from small to large"),
        ({"rungs": [{"width": -1}, {"width": 64}]}, "expected a number above 0"),
        ({"rungs": [{"width": math.nan}, {"width": 64}]}, "expected a number above 0"),
        ({"rungs": [{"m": 1}, {"m": 2}]}, "is the ratio to the first rung"),
        ({"rungs": [{"lr": 1}, {"lr": 2}]}, "is a parameter of the space as well"),
        ({"transfer": {"lr": "1/M"}}, 'expected "constant", "1/m"'),
        ({"transfer": {"lr": abs}}, "cannot be stored"),
        ({"transfer": {"wd": "step_law"}}, 'the published law "step_law" has no power law of it'),
        ({"transfer": {"lr": "besiroglu"}}, "has no power law of it"),
        ({"transfer": {"lr": "step_law"}}, "names the size 'N', but the rungs have m, width"),
        ({"transfer": {"lr": {"depth": 1.0}}}, "the rungs have m, width"),
        ({"transfer": {"lr": {"width": "a"}}}, "expected a finite number"),
        ({"transfer": {"act": "1/m"}}, "is not a number"),
        ({"transfer": {"lrr": "1/m"}}, "transfer: "),
        ({"transfer": ["lr"]}, "expected a mapping by parameter"),
        ({"multiplier": "depth"}, "expected one of the sizes"),
        ({"rungs": [{"N": 1, "D": 1}, {"N": 2, "D": 2}]}, 'such as multiplier="N"'),
        ({"n_trials": 0}, "expected a whole number of 1 or more"),
        ({"n_trials": [1, 2]}, "one of these .* for each of the 4 rungs"),
        ({"sampler": "random"}, "does not end by itself; give n_trials="),
        ({"priors": {"wd": {"m": (0, 1)}}}, "no rule to be fitted"),
        ({"transfer": {"lr": "law"}, "priors": {"lr": {"N": (0, 1)}}}, "for the sizes m"),
        ({"transfer": {"lr": "law"}, "priors": {"lr": {"m": 1}}}, "expected two numbers"),
        ({"transfer": {"lr": "law"}, "priors": {"lr": {"m": (0, 0)}}}, "above 0"),
        ({"values": {"lr": [99.0]}}, "values: "),
        ({"freeze_stable": 1}, "expected True or False"),
        ({"space": None}, "give space= and rungs= together"),
        ({"objectives": ["a", "b"]}, "one objective"),
    ],
)
def test_a_plan_that_cannot_be_right_is_refused_before_anything_is_written(storage, options, told):
    given = {"transfer": {"lr": "1/m"}, **options}
    with pytest.raises(InvalidArgument, match=told):
        tunnel_of(storage, given.pop("transfer"), **given)
    assert tk.study_names(storage=storage) == []


def test_wrong_calls_of_a_tunnel_are_refused_in_sentences(storage):
    tunnel = tunnel_of(storage, MUP)
    with pytest.raises(InvalidArgument, match="the tunnel has its own numbers of trials"):
        tunnel.run(train, n_trials=3)
    with pytest.raises(InvalidArgument, match=r"got the sizes \['depth'\]"):
        tunnel.predict(depth=3)
    with pytest.raises(InvalidArgument, match="predict: width=-1"):
        tunnel.predict(width=-1)
    with pytest.raises(NoCompleteTrial):
        tunnel.predict(width=128)

    def broken(trial):
        raise ValueError("no data")

    with pytest.raises(tk.TunekitError):
        tunnel.run(broken, max_failed_trials=2)
