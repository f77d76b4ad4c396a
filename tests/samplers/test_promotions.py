"""Where a model does not predict the results, the better points go on to the next fidelity."""

from __future__ import annotations

import math
import random
import shutil
from itertools import pairwise

import numpy as np
import pytest

import tunekit as tk
from tunekit.records import Outcome, TrialState
from tunekit.samplers.bayesian.fidelity import Fidelity
from tunekit.samplers.bayesian.promotions import MIN_POINTS, promotion
from tunekit.samplers.bayesian.sampler import BayesianSampler
from tunekit.samplers.bayesian.training_data import Observed
from tunekit.samplers.bayesian.unpredicted import WHY_RANDOM
from tunekit.spaces import Categorical, Float, Int, Space
from tunekit.spaces.encode import Encoder
from tunekit.testing.samplers import ended, view_of

SPACE = Space(x=Float(0, 1), y=Float(0, 1), epochs=Int(1, 81, log=True, fidelity=True))
ENCODER = Encoder(SPACE)
FIDELITY = Fidelity.of(ENCODER)
NOTHING = np.empty((0, 3))


def rows(points, epochs):
    return ENCODER.encode([{"x": x, "y": 0.5, "epochs": epochs} for x in points])


def data(*runs, failed=NOTHING, broken=()):
    """Return results of `(points, epochs, losses)` runs."""
    x = np.concatenate([rows(points, epochs) for points, epochs, _ in runs])
    losses = np.concatenate([np.asarray(losses, dtype=float) for _, _, losses in runs])
    violation = np.array([float(i in broken) for i in range(len(x))])
    return Observed([], x, losses[:, None], violation, failed, FIDELITY)


def next_of(found):
    """Return x and the epochs of a promotion."""
    (params,) = ENCODER.decode(found.row[None])
    return params["x"], params["epochs"]


TWELVE = [i / 16 for i in range(12)]


def test_the_best_third_of_the_points_at_a_fidelity_go_on_to_the_next_one():
    losses = [5, 4, 3, 2, 1, 6, 7, 8, 9, 10, 11, 12]
    known = [(TWELVE, 1, losses)]
    gone = []
    while (found := promotion(FIDELITY, data(*known), NOTHING)) is not None:
        assert (found.before, found.n) == ((1.0,), 12)
        x, epochs = next_of(found)
        assert epochs == 3
        gone.append(x)
        known.append(([x], 3, [100.0 - len(gone)]))  # each is the best at its new fidelity
        if len(gone) == 2:  # of two results none is a third
            break
    assert gone == [TWELVE[4], TWELVE[3]]


def test_the_highest_fidelity_comes_first_so_that_results_come_early():
    found = promotion(FIDELITY, data((TWELVE, 1, range(12)), (TWELVE[:3], 9, [3, 1, 2])), NOTHING)
    assert next_of(found) == (TWELVE[1], 27)
    assert (found.place, found.n) == (1, 3)


def test_few_points_wait_for_more():
    points = TWELVE[: MIN_POINTS - 1]
    assert promotion(FIDELITY, data((points, 1, range(len(points)))), NOTHING) is None


def test_a_running_point_does_not_go_on_twice():
    known = data((TWELVE, 1, range(12)))
    found = promotion(FIDELITY, known, rows(TWELVE[:2], 3))
    assert next_of(found) == (TWELVE[2], 3)
    assert promotion(FIDELITY, known, rows(TWELVE[:4], 3)) is None


def test_a_failed_run_is_not_counted_and_its_point_stays():
    known = data((TWELVE[3:], 1, range(9)), failed=rows(TWELVE[:3], 1))
    found = promotion(FIDELITY, known, NOTHING)
    assert next_of(found) == (TWELVE[3], 3)
    assert found.n == 9
    later = data((TWELVE, 1, range(12)), failed=rows(TWELVE[:4], 3))
    assert promotion(FIDELITY, later, NOTHING) is None


def test_a_point_that_breaks_a_constraint_ranks_last_and_stays():
    known = data((TWELVE, 1, range(12)), broken=(0, 1))
    found = promotion(FIDELITY, known, NOTHING)
    assert (next_of(found), found.n) == ((TWELVE[2], 3), 12)
    all_broken = data((TWELVE, 1, range(12)), broken=range(12))
    assert promotion(FIDELITY, all_broken, NOTHING) is None


def test_points_with_the_same_result_count_as_one():
    plateau = [0.0, 0.0, 0.0, *range(1, 10)]
    found = promotion(FIDELITY, data((TWELVE, 1, plateau)), NOTHING)
    assert (next_of(found), found.n) == ((TWELVE[0], 3), 10)
    went_on = data((TWELVE, 1, plateau), (TWELVE[2:3], 3, [0.0]))
    assert next_of(promotion(FIDELITY, went_on, NOTHING)) == (TWELVE[3], 3)


def test_a_fidelity_between_two_levels_counts_as_the_lower_one():
    found = promotion(FIDELITY, data((TWELVE, 5, range(12))), NOTHING)
    assert next_of(found) == (TWELVE[0], 9)
    assert found.before == (3.0,)


WIDE = Space(
    model=Categorical({"a": Space(u=Float(0, 1)), "b": Space(v=Float(0, 1), w=Float(0, 1))}),
    epochs=Int(1, 27, log=True, fidelity=True),
)


def unpredictable(params):
    """Return a loss that nothing but the point itself tells, and less of it with more epochs."""
    point = sorted((k, v) for k, v in params.items() if k != "epochs")
    return random.Random(repr(point)).random() + 0.05 / params["epochs"]


def study(space, n, function, *, fresh=False):
    trials, sampler = [], BayesianSampler()
    for number in range(n):
        sampler = BayesianSampler() if fresh else sampler
        (proposal,) = sampler.suggest(view_of(space, trials), [number])
        loss = function(proposal.params)
        trials.append(
            ended(number, proposal, Outcome(TrialState.COMPLETE, metrics={"loss": loss}))
        )
    return trials


def test_results_that_no_model_predicts_decide_themselves_and_a_fresh_sampler_agrees():
    trials = study(WIDE, 60, unpredictable)
    assert [t.params for t in study(WIDE, 60, unpredictable, fresh=True)] == [
        t.params for t in trials
    ]
    ranked = [t for t in trials if "place" in t.evidence.get("fidelity", {})]
    assert len(ranked) > 10
    for t in ranked:
        at = t.evidence["fidelity"]
        assert at["at"] == t.params["epochs"]
        assert at["place"] <= at["of"] / 3
        lower = t.params["epochs"] / 3
        earlier = {tuple(e.params.items()) for e in trials[: t.number]}
        assert tuple({**t.params, "epochs": lower}.items()) in earlier
    middle = np.median([t.metrics["loss"] for t in trials if t.params["epochs"] == 1])
    assert all(t.metrics["loss"] < middle for t in ranked)


def test_half_of_the_new_points_are_random_ones_at_the_least_fidelity():
    trials = study(WIDE, 60, unpredictable)
    begun = [t for t in trials if t.evidence.get("fidelity", {}).keys() == {"at", "relative_cost"}]
    assert all(t.params["epochs"] == 1 for t in begun)
    drawn = [t.number for t in begun if "log_improvement" not in t.evidence]
    assert drawn
    assert all(k % 2 == 0 for k in drawn)
    assert len(drawn) < len(begun)


def test_a_model_that_predicts_the_results_keeps_the_choice():
    def smooth(p):
        u = sum((v - 0.3) ** 2 for k, v in p.items() if k in ("x", "y"))
        return u + 0.2 * (1 - math.log(p["epochs"], 81))

    trials = study(SPACE, 40, smooth)
    assert not any("place" in t.evidence.get("fidelity", {}) for t in trials[20:])
    assert any(t.params["epochs"] < 81 for t in trials[20:])


def test_a_study_that_goes_by_rank_replays_and_says_why():
    s = tk.study(space=WIDE, objectives="loss", sampler="auto", seed=3)
    s.optimize(lambda t: unpredictable(t.params), n_trials=45)
    assert s.replay() == []
    reasons = [t.reason for t in s.trials]
    assert any(
        "results at epochs=1 goes on to epochs=3, since a model does not" in r for r in reasons
    )
    assert any(WHY_RANDOM in r for r in reasons)
    assert s.best_trial.params["epochs"] == 27


def without_epochs(trial):
    return tuple((k, v) for k, v in trial.params.items() if k != "epochs")


@pytest.mark.parametrize("first", [0, 1], ids=["steps from 0", "steps from 1"])
def test_a_longer_run_goes_on_from_the_checkpoint_of_the_shorter_one(tmp_path, first):
    def training(trial):
        file, begins = trial.checkpoint_dir / "epochs", 0
        if trial.resumed_from is not None:
            begins = int(file.read_text())
            assert trial.resumed_from + 1 == begins + first
        for epoch in range(begins, trial.params["epochs"]):
            file.write_text(str(epoch + 1))
            trial.report(1.0, epoch + first, checkpoint=True)
        trial.set_user_attr("trained", trial.params["epochs"] - begins)
        return unpredictable(trial.params)

    s = tk.study(space=WIDE, objectives="loss", sampler="auto", seed=3, checkpoints=tmp_path)
    s.optimize(training, n_trials=45)
    longer = [t for t in s.trials if t.branch is not None]
    assert longer
    by_point: dict[tuple, list] = {}
    for t in s.trials:
        by_point.setdefault(without_epochs(t), []).append(t)
    for t in longer:
        before = s.trials[t.branch.number]
        assert without_epochs(before) == without_epochs(t)
        assert t.user_attrs["trained"] == t.params["epochs"] - before.params["epochs"]
        assert f"goes on from trial {before.number}" in t.reason
    for runs in by_point.values():
        assert all(b.branch is not None for _, b in pairwise(runs))


def test_a_longer_run_that_ends_without_a_result_is_not_begun_again():
    def short_only(trial):
        if trial.params["epochs"] > 1:
            raise tk.TrialPruned
        return unpredictable(trial.params)

    s = tk.study(space=WIDE, objectives="loss", sampler="bayesian", seed=3)
    s.optimize(short_only, n_trials=45)
    points = [tuple(t.params.items()) for t in s.trials]
    assert len(set(points)) == 45


def test_a_space_of_few_points_repeats_none_while_there_are_others():
    few = Space(a=list("abcdefgh"), b=list("uvwxyz"), epochs=Int(1, 9, log=True, fidelity=True))
    trials = study(few, 40, unpredictable)
    assert any("place" in t.evidence.get("fidelity", {}) for t in trials)
    assert len({tuple(t.params.items()) for t in trials}) == 40


def test_a_point_that_the_user_gives_starts_from_the_beginning(tmp_path):
    def training(trial):
        begins = 0 if trial.resumed_from is None else trial.resumed_from + 1
        for epoch in range(begins, trial.params["epochs"]):
            (trial.checkpoint_dir / "state").write_text(str(epoch))
            trial.report(1.0, epoch, checkpoint=True)
        return unpredictable(trial.params)

    s = tk.study(space=WIDE, objectives="loss", sampler="auto", seed=3, checkpoints=tmp_path)
    s.optimize(training, n_trials=20)
    short = next(t for t in s.trials if t.params["epochs"] == 3)
    s.enqueue_trial({**short.params, "epochs": 9})
    s.optimize(training, n_trials=1)
    assert s.trials[-1].params["epochs"] == 9
    assert s.trials[-1].branch is None


def test_a_longer_run_whose_checkpoint_was_deleted_starts_over(tmp_path, caplog):
    began = []

    def training(trial):
        began.append(trial.resumed_from)
        begins = 0 if trial.resumed_from is None else trial.resumed_from + 1
        for epoch in range(begins, trial.params["epochs"]):
            (trial.checkpoint_dir / "state").write_text(str(epoch))
            trial.report(1.0, epoch, checkpoint=True)
        for folder in tmp_path.glob("*/*"):
            shutil.rmtree(folder)
        return unpredictable(trial.params)

    s = tk.study(space=WIDE, objectives="loss", sampler="auto", seed=3, checkpoints=tmp_path)
    s.optimize(training, n_trials=30)
    assert {t.state for t in s.trials} == {TrialState.COMPLETE}
    assert any(t.branch is not None for t in s.trials)
    assert set(began) == {None}
    assert "starts over: the checkpoint of trial" in caplog.text


def test_a_fidelity_that_only_happens_to_equal_a_step_counts_no_steps(tmp_path):
    def training(trial):
        assert trial.resumed_from is None
        (trial.checkpoint_dir / "state").write_text("")
        for step in range(9):  # whatever the fidelity
            trial.report(1.0, step, checkpoint=True)
        return unpredictable(trial.params)

    s = tk.study(space=WIDE, objectives="loss", sampler="auto", seed=3, checkpoints=tmp_path)
    s.optimize(training, n_trials=40)
    assert any(t.params["epochs"] == 27 for t in s.trials)
    assert all(t.branch is None for t in s.trials)


def test_checkpoints_along_a_share_of_the_data_are_no_shorter_run(tmp_path):
    space = Space(x=Float(0, 1), share=Float(1 / 27, 1, log=True, fidelity=True))

    def training(trial):
        assert trial.resumed_from is None
        (trial.checkpoint_dir / "state").write_text("")
        for step in range(3):
            trial.report(1.0, step, checkpoint=True)
        return random.Random(trial.params["x"]).random()

    s = tk.study(space=space, objectives="loss", sampler="auto", seed=3, checkpoints=tmp_path)
    s.optimize(training, n_trials=40)
    assert any("goes on to share=" in t.reason for t in s.trials)
    assert all(t.state is TrialState.COMPLETE for t in s.trials)
