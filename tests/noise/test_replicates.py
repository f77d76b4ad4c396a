"""Repeated configurations: block effects, intervals, paired tests and the leaderboard."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import tunekit as tk
from tunekit.errors import InvalidArgument, NoCompleteTrial
from tunekit.noise.paired_tests import holm, p_worse, spent
from tunekit.noise.replicates import Noise, configurations, leaderboard
from tunekit.records import MetricConstraint, ObjectiveSpec, Outcome, Proposal, TrialState
from tunekit.testing.samplers import BOUND, ended, view_of

SPACE = tk.Space(x=tk.Int(0, 99))
LOSS = (ObjectiveSpec("loss"),)


def history(table, *, objectives=LOSS, constraints=(), state=TrialState.COMPLETE):
    """Return the history of a table: configuration -> results of its blocks, NaN for none."""
    trials = []
    for x, row in enumerate(table):
        for block, value in enumerate(row):
            if not math.isnan(value):
                metrics = {"loss": float(value), "memory": 0.1 * x}
                proposal = Proposal(SPACE.validate({"x": x}), "s", "", {"block": block})
                trials.append(ended(len(trials), proposal, Outcome(state, metrics)))
    return view_of(SPACE, trials, objectives=objectives, constraints=constraints).history


class Finished:
    def __init__(self, history):
        self.history = history

    def refresh(self):
        return self.history


def board(table, **options):
    kept = {k: options.pop(k) for k in ("objectives", "constraints") if k in options}
    return leaderboard(Finished(history(table, **kept)), **options)


def test_the_paired_tests_agree_with_scipy():
    rng = np.random.default_rng(3)
    a, b = rng.normal(0.5, 1, 9), rng.normal(0, 1, 9)
    t = stats.ttest_rel(a, b, alternative="greater").pvalue
    assert p_worse(a, b) == pytest.approx(t, rel=1e-9)
    w = stats.wilcoxon(a, b, alternative="greater").pvalue
    assert p_worse(a, b, test="wilcoxon") == pytest.approx(w, rel=1e-12)


def test_equal_results_are_not_worse_and_a_constant_gap_is():
    assert p_worse([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) == 1.0
    assert p_worse([1.5, 2.5, 3.5], [1.0, 2.0, 3.0]) == 0.0
    assert p_worse([0.5, 1.5, 2.5], [1.0, 2.0, 3.0]) == 1.0


def test_holm_gives_the_published_corrections():
    # Worked example of R's p.adjust(method = "holm").
    corrected = holm([0.01, 0.02, 0.03, 0.04, 0.05])
    assert corrected == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm([]).size == 0


def test_all_looks_together_spend_alpha():
    assert sum(spent(0.05, look) for look in range(1, 10_000)) == pytest.approx(0.05, rel=1e-3)


def test_looking_again_and_again_rejects_an_equal_configuration_rarely():
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(400):
        a, b = rng.normal(size=(2, 20))
        wrong += any(p_worse(a[:n], b[:n]) <= spent(0.05, n - 2) for n in range(3, 21))
    assert wrong / 400 <= 0.07


def test_block_effects_and_noise_come_out_of_an_unbalanced_table():
    rng = np.random.default_rng(1)
    effects = rng.normal(0, 5, 6)
    table = rng.normal(0, 10, (40, 1)) + effects + rng.normal(0, 0.5, (40, 6))
    for row in range(40):
        table[row, 2 + row % 5 :] = math.nan
    noise = Noise(configurations(history(table)))
    assert noise.sd == pytest.approx(0.5, rel=0.15)
    found = np.array(list(noise.effects.values()))
    assert found == pytest.approx(effects - effects.mean(), abs=0.6)
    assert found.sum() == pytest.approx(0.0, abs=1e-9)


def test_the_luck_of_the_first_block_is_not_taken_for_an_easy_block():
    rng = np.random.default_rng(2)
    table = rng.normal(size=(60, 6))  # all equally good
    unlucky = np.argsort(table[:, 0])[8:]  # the eight luckiest are repeated
    table[unlucky, 1:] = math.nan
    noise = Noise(configurations(history(table)))
    assert abs(noise.effects[0]) < 0.4  # least squares alone would say -1.5


def test_an_interval_holds_the_true_mean_as_often_as_it_says():
    rng = np.random.default_rng(4)
    hits = 0
    for _ in range(200):
        table = np.array([[0.0], [1.0], [2.0]]) + rng.normal(size=(3, 4))
        lines = board(table, level=0.9)
        one = next(line for line in lines if line.params["x"] == 1)
        hits += one.low <= 1.0 <= one.high
    assert 0.84 <= hits / 200 <= 0.98


def test_the_winner_is_not_the_lucky_one():
    nan = math.nan
    table = [[1.0, 1.2, 0.9, 1.1], [0.8, 2.4, nan, nan], [0.7, nan, nan, nan], [3, 3.1, 2.9, 3]]
    lines = board(table)
    assert lines[0].params["x"] == 0
    assert lines[0].n_blocks == 4 and math.isnan(lines[0].p_worse)
    assert lines[0].low < lines[0].mean < lines[0].high
    worst = next(line for line in lines if line.params["x"] == 3)
    assert worst.p_worse < 0.01
    assert math.isnan(next(line for line in lines if line.params["x"] == 1).p_worse)


def test_values_are_in_the_objectives_own_direction():
    table = [[5.0, 5.2, 5.1], [9.0, 9.1, 9.3]]
    lines = board(table, objectives=(ObjectiveSpec("loss", "maximize"),))
    assert [line.params["x"] for line in lines] == [1, 0]
    assert lines[0].mean == pytest.approx(9.1333333)
    assert lines[0].low < lines[0].mean < lines[0].high
    assert lines[1].p_worse < 0.01


def test_without_repeats_the_intervals_are_open_and_the_order_is_by_value():
    lines = board([[2.0], [1.0]])
    assert [line.params["x"] for line in lines] == [1, 0]
    assert (lines[0].low, lines[0].high) == (-math.inf, math.inf)


def test_who_breaks_a_constraint_on_average_cannot_win():
    lines = board([[5.0, 5.1]] * 10, constraints=(MetricConstraint("memory", ">=", 0.45),))
    assert sorted(line.params["x"] for line in lines) == [5, 6, 7, 8, 9]


def test_the_same_configuration_enqueued_in_a_plain_study_counts_as_repeats():
    study = tk.study(space=SPACE, sampler="random", seed=0)
    for _ in range(3):
        study.enqueue_trial({"x": 7})
    study.optimize(lambda trial: trial.params["x"] + trial.number, 4)
    line = next(line for line in leaderboard(study) if line.params["x"] == 7)
    assert line.mean == pytest.approx(8.0)


def test_questions_that_have_no_answer_say_why():
    with pytest.raises(NoCompleteTrial, match="no configuration has a complete"):
        board([[math.nan]])
    with pytest.raises(NoCompleteTrial):
        leaderboard(Finished(history([[1.0]], constraints=BOUND, state=TrialState.FAILED)))
    with pytest.raises(InvalidArgument, match="2 objectives"):
        board([[1.0]], objectives=(ObjectiveSpec("loss"), ObjectiveSpec("memory")))
    with pytest.raises(InvalidArgument, match="level"):
        board([[1.0]], level=1.0)
    with pytest.raises(InvalidArgument, match="wilcoxon"):
        board([[1.0]], test="sign")
