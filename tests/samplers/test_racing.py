"""Racing: repeats go where a doubt is, share their blocks, and find the better winner."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from statistics import mean

import numpy as np
import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument
from tunekit.noise.replicates import configurations, leaderboard
from tunekit.records import Outcome, Proposal, TrialState, block_of
from tunekit.samplers.racing.sampler import RacingSampler
from tunekit.samplers.random import RandomSampler
from tunekit.testing.samplers import TREE, TWO, SamplerConformance, ended, view_of

PLANE = tk.Space(x=tk.Float(-5, 5), y=tk.Float(-5, 5))
LINE = tk.Space(x=tk.Int(0, 999))


class TestRacing(SamplerConformance):
    several_objectives = False

    @pytest.fixture
    def make_sampler(self):
        return partial(RacingSampler, sampler="random", n_start=3)

    def test_the_seed_and_the_number_key_the_proposal(self, make_sampler):
        # A repeat is nobody's draw; new configurations are.
        super().test_the_seed_and_the_number_key_the_proposal(partial(make_sampler, share=0.0))


class TestRacingOverAuto(SamplerConformance):
    several_objectives = False
    chooses_fidelity = True  # as the sampler of its configurations does

    @pytest.fixture
    def make_sampler(self):
        return partial(RacingSampler, n_start=3)

    def test_the_seed_and_the_number_key_the_proposal(self, make_sampler):
        # A repeat is nobody's draw; new configurations are.
        super().test_the_seed_and_the_number_key_the_proposal(partial(make_sampler, share=0.0))


def bowl(params):
    return params["x"] ** 2 + params["y"] ** 2


def noisy(seed, trial, *, sd=3.0, block_sd=0.0):
    """Return a result with noise of its own and noise that all trials of a block share."""
    shared = np.random.default_rng([seed, 1, trial.block]).normal()
    own = np.random.default_rng([seed, 2, trial.number]).normal()
    return bowl(trial.params) + block_sd * shared + sd * own


def raced(objective, n, *, space=PLANE, seed=0, workers=1, **options):
    options = {"sampler": "random", **options}
    study = tk.study(space=space, sampler=RacingSampler(**options), seed=seed)
    study.optimize(objective, n_trials=n)
    return study


def trial(number, x, loss, block=0, of=None):
    evidence = {} if of is None else {"block": block, "replicate_of": of}
    point = LINE.validate({"x": x})
    outcome = Outcome(TrialState.COMPLETE, {"loss": loss})
    return ended(number, Proposal(point, "random", "", evidence), outcome)


def repeats_of(study):
    return [t for t in study.trials if "replicate_of" in t.evidence]


def test_the_chosen_configuration_is_truly_better_than_without_racing():
    plain, raced_ = [], []
    for seed in range(20):
        study = tk.study(space=PLANE, sampler="random", seed=seed)
        study.optimize(partial(noisy, seed), n_trials=60)
        plain.append(bowl(study.best_params))
        study = raced(partial(noisy, seed), 60, seed=seed)
        raced_.append(bowl(leaderboard(study)[0].params))
    assert mean(raced_) < 0.8 * mean(plain)


def test_repeats_are_the_same_params_on_the_next_block_and_within_their_share():
    study = raced(partial(noisy, 1), 60)
    repeats = repeats_of(study)
    assert 5 <= len(repeats) <= 0.25 * 60
    for c in configurations(study.refresh()):
        assert [block_of(t.evidence) for t in c.trials] == list(range(len(c.trials)))
    for t in repeats:
        assert t.params == study.trials[t.evidence["replicate_of"]].params
        assert "again, on block" in t.reason


def test_nothing_is_repeated_before_the_start_is_over_nor_beyond_a_share_of_zero():
    study = raced(partial(noisy, 1), 20, n_start=12)
    assert min(t.number for t in repeats_of(study)) >= 12
    assert repeats_of(raced(partial(noisy, 1), 20, share=0.0)) == []


def test_with_a_budget_the_repeats_come_at_its_end():
    study = raced(partial(noisy, 1), 40, budget=40)
    assert min(t.number for t in repeats_of(study)) == 30
    assert 5 <= len(repeats_of(study)) <= 10


def test_without_noise_a_few_repeats_are_enough():
    assert len(repeats_of(raced(lambda t: bowl(t.params), 60))) <= 4


def test_what_a_block_does_to_all_is_not_taken_for_noise():
    study = raced(partial(noisy, 2, sd=0.0, block_sd=50.0), 60)
    assert len(repeats_of(study)) <= 6
    assert leaderboard(study)[0].params == min(
        (c.params for c in configurations(study.history)), key=bowl
    )


def test_the_objective_sees_its_block_in_worker_processes_too():
    study = tk.study(space=PLANE, sampler=RacingSampler(sampler="random"), seed=4)
    study.optimize(lambda trial: {"value": noisy(4, trial), "block": trial.block}, 24, workers=2)
    assert {t.metrics["block"] for t in study.trials} > {0.0}
    for t in study.trials:
        assert t.metrics["block"] == block_of(t.evidence)


def test_a_stored_study_races_again_by_the_short_name(tmp_path):
    url = f"sqlite:///{tmp_path}/r.db"
    options = {"sampler": "sobol", "n_start": 4}
    tk.study("r", space=PLANE, storage=url, sampler="racing", sampler_options=options, seed=2)
    study = tk.load_study("r", storage=url)
    study.optimize(partial(noisy, 2), 16)
    assert repeats_of(study) and study.replay() == []


def test_outside_of_racing_the_block_is_zero():
    study = tk.study(space=PLANE, sampler="random", seed=1)
    study.optimize(lambda trial: trial.block, 2)
    assert [t.metrics["value"] for t in study.trials] == [0.0, 0.0]


def test_with_five_folds_no_configuration_is_measured_a_sixth_time():
    study = tk.study(
        space=tk.Space(x=tk.Int(0, 3)),
        sampler=RacingSampler(sampler="grid", n_blocks=5),
        seed=0,
    )
    assert (
        study.optimize(lambda t: 5 * np.random.default_rng(t.number).normal(), 40) == "exhausted"
    )
    found = configurations(study.refresh())
    assert [len(c.trials) for c in found] == [5] * 4
    assert all(sorted(c.losses) == [0, 1, 2, 3, 4] for c in found)


def test_a_grid_is_walked_completely_and_then_raced():
    space = tk.Space(x=tk.Int(-3, 3), y=tk.Int(-3, 3))
    study = raced(partial(noisy, 5), 120, space=space, sampler="grid", share=0.5)
    found = configurations(study.refresh())
    assert len(found) == 49
    assert sum(len(c.trials) for c in found) == 120


def test_a_measured_space_without_noise_ends_the_study():
    study = tk.study(
        space=tk.Space(a=tk.Int(0, 4)),
        sampler=RacingSampler(sampler="random", n_start=3),
        seed=0,
    )
    assert study.optimize(lambda trial: trial.params["a"], 60) == "exhausted"
    assert len(configurations(study.refresh())) == 5


def test_a_failed_repeat_takes_its_configuration_out_of_the_race():
    def objective(trial):
        if trial.block == 1 and trial.params["x"] < 0:
            raise RuntimeError("only some folds are bad")
        return noisy(6, trial)

    study = raced(objective, 50)
    failed = {t.evidence["replicate_of"] for t in study.trials if t.state is TrialState.FAILED}
    assert failed
    assert not failed & {line.number for line in leaderboard(study)}
    for number in failed:
        assert (
            max(
                block_of(t.evidence)
                for t in study.trials
                if t.params == study.trials[number].params
            )
            == 1
        )


def test_workers_at_the_same_time_measure_different_blocks():
    done = [trial(k, k, float(k)) for k in range(6)]
    done += [trial(6, 0, 1.0, 1, of=0), trial(7, 1, 0.5, 1, of=1)]
    done += [trial(8, 0, 0.2, 2, of=0), trial(9, 1, 0.9, 2, of=1)]
    sampler = RacingSampler(sampler="random", n_start=3, share=0.9)
    together = sampler.suggest(view_of(LINE, done), [10, 11, 12, 13])
    pairs = [(p.evidence["replicate_of"], p.evidence["block"]) for p in together]
    assert len(set(pairs)) == 4
    running = [
        replace(
            trial(10 + i, 0, 0.0),
            state=TrialState.RUNNING,
            metrics={},
            params=p.params,
            evidence=p.evidence,
        )
        for i, p in enumerate(together[:2])
    ]
    later = sampler.suggest(view_of(LINE, [*done, *running]), [12, 13])
    assert later[0].evidence["block"] == together[2].evidence["block"]
    assert not {(p.evidence["replicate_of"], p.evidence["block"]) for p in later} & set(pairs[:2])


def test_a_loser_on_all_common_blocks_is_eliminated_and_not_repeated():
    rng = np.random.default_rng(0)
    done = []
    for block in range(8):
        shared = 10 * rng.normal()
        for x, true in ((0, 0.0), (1, 0.1), (2, 2.0)):
            of = None if block == 0 else x
            done.append(trial(len(done), x, true + shared + 0.3 * rng.normal(), block, of))
    sampler = RacingSampler(sampler="random", n_start=2, share=0.9)
    asked = sampler.suggest(view_of(LINE, done), range(40, 48))
    again = {p.evidence["replicate_of"] for p in asked if "replicate_of" in p.evidence}
    assert again <= {0, 1} and again


def test_a_near_duplicate_of_the_leader_becomes_a_repeat_of_it():
    class Stuck(RandomSampler):
        def suggest(self, view, numbers):
            return [
                Proposal(view.space.validate({"x": 1, "y": 1.0001}), "stuck", "s") for _ in numbers
            ]

    space = tk.Space(x=tk.Int(0, 3), y=tk.Float(0, 5))
    done = []
    for k in range(12):
        point = space.validate({"x": 1 if k == 3 else k % 4, "y": 1.0 if k == 3 else 0.3 * k})
        loss = 0.0 if k == 3 else 1.0 + 0.1 * k
        done.append(ended(k, Proposal(point, "r"), Outcome(TrialState.COMPLETE, {"loss": loss})))
    sampler = RacingSampler(sampler=Stuck(), n_start=50)
    proposal = sampler.suggest(view_of(space, done), [20])[0]
    assert proposal.evidence["replicate_of"] == 3
    assert "stuck proposed it again" in proposal.reason


def test_a_point_that_the_user_enqueues_again_is_measured_on_its_next_block():
    study = tk.study(space=PLANE, sampler=RacingSampler(sampler="random"), seed=1)
    for _ in range(3):
        study.enqueue_trial({"x": 1.0, "y": 2.0})
    study.optimize(lambda trial: trial.block, n_trials=3)
    assert [t.metrics["value"] for t in study.trials] == [0.0, 1.0, 2.0]


def test_the_other_sampler_sees_one_mean_result_a_configuration():
    seen = []

    class Spy(RandomSampler):
        def suggest(self, view, numbers):
            seen.append(list(view.history))
            return super().suggest(view, numbers)

    done = [trial(0, 5, 4.0), trial(1, 7, 9.0), trial(2, 5, 2.0, 1, of=0)]
    RacingSampler(sampler=Spy(), n_start=5).suggest(view_of(LINE, done), [3])
    complete = [t for t in seen[0] if t.state is TrialState.COMPLETE]
    assert [t.number for t in complete] == [0, 1]
    assert len(seen[0]) == 3
    assert complete[1].metrics["loss"] - complete[0].metrics["loss"] == pytest.approx(5.0)


def test_a_racing_study_replays():
    study = raced(partial(noisy, 8), 40)
    assert repeats_of(study)
    assert study.replay() == []


def test_several_objectives_are_refused_with_what_to_do():
    with pytest.raises(InvalidArgument, match=r'one objective.*use the sampler "random"'):
        RacingSampler(sampler="random").suggest(view_of(TREE, objectives=TWO), [0])


@pytest.mark.parametrize(
    "options",
    [
        {"n_blocks": 1},
        {"share": 1.0},
        {"share": True},
        {"n_start": 1},
        {"budget": 0},
        {"alpha": 0.0},
        {"test": "z"},
        {"min_blocks": 2},
        {"test": "wilcoxon", "min_blocks": 5},
        {"sampler": "racing"},
        {"sampler": "rndom"},
        {"sampler": 3},
        {"sampler": RandomSampler(), "options": {"a": 1}},
    ],
)
def test_bad_options_are_refused(options):
    with pytest.raises(InvalidArgument):
        RacingSampler(**options)
