"""Proposals from a fixed table: better than what it holds, with a risk that means something."""

from __future__ import annotations

import math
from statistics import mean

import numpy as np
import pandas as pd
import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument, InvalidParams
from tunekit.noise.replicates import key_of
from tunekit.samplers.base import sample
from tunekit.spaces.encode import Encoder
from tunekit.tabular.features import Features
from tunekit.tabular.risk import Risk
from tunekit.tabular.table import MIN_ROWS
from tunekit.testing.samplers import TREE

SPACE = tk.Space(
    x=tk.Float(0, 1),
    y=tk.Float(0, 1),
    n=tk.Int(1, 64, log=True),
    arm=tk.Categorical({"a": tk.Space(z=tk.Float(0, 1)), "b": None}),
)


def truth(seed):
    rng = np.random.default_rng(seed)
    best, weight = rng.uniform(0.25, 0.75, 3), rng.uniform(0.5, 2.0, 3)

    def loss(p):
        u = [p["x"], p["y"], math.log(p["n"]) / math.log(64)]
        bowl = float(np.sum(weight * (np.array(u) - best) ** 2))
        wave = 0.2 * math.sin(5 * u[0])
        return bowl + wave + (0.5 * (p["z"] - 0.3) ** 2 if p["arm"] == "a" else 0.1)

    return loss


def bad_half(loss, seed, n=60):
    """Return `n` rows: the worse half of random points, so that the optimum is not among them."""
    rng = np.random.default_rng(1000 + seed)
    points = [sample(SPACE, rng) for _ in range(2 * n)]
    worst = sorted(points, key=loss)[n:]
    return [{**p, "loss": loss(p)} for p in worst]


def correlation(a, b):
    ranks = [np.argsort(np.argsort(v)) for v in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1])


def test_from_the_bad_half_of_the_points_the_proposals_beat_the_best_of_them():
    wins, better, errors = 0, [], {"low": [], "medium": [], "high": []}
    unsure = []
    for seed in range(10):
        loss = truth(seed)
        rows = bad_half(loss, seed)
        best = min(row["loss"] for row in rows)
        proposals = tk.offline(rows, SPACE, objective="loss", n=12, seed=seed)
        true = [loss(p.params) for p in proposals]
        wins += true[0] < best
        better.append(mean(t < best for t in true))
        for t, p in zip(true, proposals, strict=True):
            error = abs(t - p.evidence["predicted"])
            errors[p.evidence["risk"]].append(error)
            unsure.append((p.evidence["uncertainty"], error))
    assert wins >= 9
    assert mean(better) > 0.8
    assert len(errors["high"]) > 5
    assert mean(errors["high"]) > 1.3 * mean([*errors["low"], *errors["medium"]])
    assert correlation(*zip(*unsure, strict=True)) > 0.3


@pytest.mark.slow
def test_the_ensemble_finds_better_points_than_the_table_holds_too():
    loss = truth(3)
    rows = bad_half(loss, 3, n=150)
    best = min(row["loss"] for row in rows)
    proposals = tk.offline(rows, SPACE, objective="loss", model="ignite", seed=1)
    assert mean(loss(p.params) < best for p in proposals) >= 0.7
    assert "an ensemble of networks predicts loss" in proposals[0].reason


def test_proposals_are_new_valid_different_and_say_their_numbers():
    rows = bad_half(truth(1), 1)
    proposals = tk.offline(rows, SPACE, objective={"loss": "minimize"}, n=6)
    known = {key_of(SPACE.validate({k: v for k, v in r.items() if k != "loss"})) for r in rows}
    keys = {key_of(SPACE.validate(p.params)) for p in proposals}
    assert len(keys) == 6 and not keys & known
    cautious = [p.evidence["cautious"] for p in proposals]
    assert cautious == sorted(cautious)
    best = min(rows, key=lambda row: row["loss"])
    for p in proposals:
        e = p.evidence
        assert e["risk"] in ("low", "medium", "high") and f"{e['risk']} risk" in p.reason
        assert e["cautious"] == pytest.approx(e["predicted"] + e["sd"])
        assert rows[e["best_row"]] == best and e["best_recorded"] == best["loss"]
        assert 0.0 <= e["rarity"] <= 1.0 and e["distance"] > 0.0
    assert proposals == tk.offline(rows, SPACE, objective={"loss": "minimize"}, n=6)


def test_a_table_to_be_maximised_is_the_same_with_the_sign_turned():
    rows = bad_half(truth(2), 2)
    turned = [{**row, "loss": -row["loss"]} for row in rows]
    a = tk.offline(rows, SPACE, objective="loss", n=3)
    b = tk.offline(turned, SPACE, objective={"loss": "maximize"}, n=3)
    assert [p.params for p in a] == [p.params for p in b]
    assert [p.evidence["predicted"] for p in a] == pytest.approx(
        [-p.evidence["predicted"] for p in b]
    )


def test_a_frame_a_list_and_a_study_are_the_same_table():
    loss = truth(4)
    study = tk.study(space=SPACE, objectives="loss", sampler="random", seed=4)
    study.optimize(lambda trial: loss(trial.params), 40)
    of_study = tk.offline(study, n=2)
    frame = study.trials_dataframe()
    assert frame["params.arm.a.z"].isna().any()
    of_frame = tk.offline(frame, SPACE, objective="loss", n=2)
    short = [{**t.params.nested(), "loss": t.metrics["loss"]} for t in study.trials]
    records = [
        {**r, "arm": t.params["arm"], "z": t.params.get("arm.a.z")}
        for r, t in zip(short, study.trials, strict=True)
    ]
    of_list = tk.offline(records, SPACE, objective="loss", n=2)
    assert [p.params for p in of_study] == [p.params for p in of_frame]
    assert [p.params for p in of_study] == [p.params for p in of_list]


def test_a_proposal_starts_an_online_study():
    proposals = tk.offline(bad_half(truth(5), 5), SPACE, objective="loss", n=2)
    study = tk.study(space=SPACE, objectives="loss", sampler="random", seed=0)
    for p in proposals:
        study.enqueue_trial(p.params)
    study.optimize(lambda trial: truth(5)(trial.params), 2)
    assert [t.params for t in study.trials] == [p.params for p in proposals]


def test_a_discrete_space_is_searched_by_changes_of_its_choices():
    space = tk.Space({f"c{i}": ["a", "b", "c", "d"] for i in range(5)})
    cost = {"a": 0.0, "b": 1.0, "c": 2.0, "d": 3.0}
    rng = np.random.default_rng(0)
    rows = [sample(space, rng) for _ in range(120)]
    rows = [{**r, "value": sum(cost[v] for v in r.values())} for r in rows]
    rows = [r for r in rows if r["value"] > 4]
    proposals = tk.offline(rows, space)
    assert min(sum(cost[v] for v in p.params.values()) for p in proposals) <= 4


def test_a_completely_recorded_space_has_no_proposal():
    space = tk.Space(n=tk.Int(0, 11))
    assert tk.offline([{"n": i, "value": i} for i in range(12)], space) == []


def test_constraints_of_the_space_hold_and_equal_results_do_no_harm():
    space = tk.Space(a=tk.Float(0, 1), b=tk.Float(0, 1), constraints=["a + b <= 1"])
    rng = np.random.default_rng(1)
    points = [sample(space, rng) for _ in range(40)]
    rows = [{**p, "value": -p["a"] - p["b"]} for p in points]
    proposals = tk.offline(rows, space)
    assert proposals and not any(space.violated(p.params) for p in proposals)
    assert tk.offline([{**p, "value": 1.0} for p in points], space)


def rows_of(n, **columns):
    return [{"x": i / 50, "value": float(i), **columns} for i in range(n)]


LINE = tk.Space(x=tk.Float(0, 1))


@pytest.mark.parametrize(
    "data, space, options, message",
    [
        (rows_of(9), LINE, {}, f"9 different point.*expected {MIN_ROWS} or more"),
        ([], LINE, {}, "0 different point"),
        ([{"x": 0.5, "value": 1.0}] * 30, LINE, {}, "1 different point"),
        (rows_of(12), LINE, {"objective": "valeu"}, 'no column "valeu".*did you mean "value"'),
        (rows_of(12), tk.Space(x=tk.Float(0, 1), w=tk.Int(0, 3)), {}, "no column for w"),
        ([*rows_of(12), {"x": 0.9, "value": math.nan}], LINE, {}, r"not a finite.*row\(s\) 12"),
        ([*rows_of(12), {"x": 0.9, "value": "bad"}], LINE, {}, "not a finite"),
        (rows_of(12), None, {}, "expected a Space for a table"),
        ("table.csv", LINE, {}, "data of type str"),
        ([1, 2], LINE, {}, "data of type list"),
        (rows_of(12), LINE, {"objective": {"a": "minimize", "b": "minimize"}}, "objective="),
        (rows_of(12), LINE, {"n": 0}, "n=0"),
        (rows_of(12), LINE, {"model": "forest"}, "model='forest'"),
        (rows_of(12), LINE, {"caution": -1}, "caution=-1"),
        (rows_of(12), LINE, {"seed": 0.5}, "seed=0.5"),
    ],
)
def test_what_cannot_be_a_table_is_refused_in_a_sentence(data, space, options, message):
    with pytest.raises(InvalidArgument, match=message):
        tk.offline(data, space, **options)


@pytest.mark.parametrize(
    "row, message",
    [
        ({"x": 1.5}, r"row 12: parameter \"x\": got 1.5, expected a value in \[0.0, 1.0\]"),
        ({"x": math.nan}, 'row 12: no value for the active parameter "x"'),
        ({"x": "much"}, "row 12"),
        ({"x": [1]}, "row 12"),
    ],
)
def test_a_row_outside_the_space_is_named(row, message):
    with pytest.raises(InvalidParams, match=message):
        tk.offline([*rows_of(12), {**row, "value": 1.0}], LINE)


def test_cells_of_inactive_parameters_do_not_matter():
    space = tk.Space(arm=tk.Categorical({"a": tk.Space(z=tk.Float(0, 1)), "b": None}))
    rows = [{"arm": "ab"[i % 2], "z": i / 40, "value": i} for i in range(40)]
    frame = pd.DataFrame(rows)
    frame.loc[frame["arm"] == "b", "z"] = 99.0
    assert {p.params["arm"] for p in tk.offline(frame, space)} <= {"a", "b"}


def test_features_have_no_gaps_and_tell_inactive_from_zero():
    encoder = Encoder(TREE)
    rng = np.random.default_rng(0)
    x = encoder.encode([sample(TREE, rng) for _ in range(50)])
    features = Features(encoder)
    out = features.of(x)
    assert out.shape == (50, features.size) and not np.isnan(out).any()
    slope = features.slope(np.ones_like(out), x)
    assert np.array_equal(np.isnan(slope), np.isnan(x))


@pytest.mark.parametrize(
    "rarity, uncertainty, outside, label",
    [
        (0.2, 0.1, {}, "low"),
        (0.95, 0.1, {}, "medium"),
        (0.2, 0.3, {}, "medium"),
        (0.2, 0.1, {"x": 0.01}, "medium"),
        (0.95, 0.3, {}, "high"),
        (0.2, 0.6, {}, "high"),
        (0.2, 0.1, {"x": 0.2}, "high"),
    ],
)
def test_the_label_is_what_the_numbers_say(rarity, uncertainty, outside, label):
    assert Risk(0.1, rarity, uncertainty, outside).label == label
