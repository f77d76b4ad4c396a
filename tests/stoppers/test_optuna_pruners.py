"""Optuna's pruners as stoppers decide what they decide in Optuna itself."""

import numpy as np
import optuna
import pytest

from tunekit.errors import InvalidArgument
from tunekit.stoppers.optuna_pruner import OptunaPrunerStopper, quiet
from tunekit.testing.stoppers import TWO, curves, play, reported, view_of

PRUNERS = {
    "SuccessiveHalvingPruner": {"min_resource": 2, "reduction_factor": 2},
    "MedianPruner": {"n_startup_trials": 3, "n_warmup_steps": 2},
    "PercentilePruner": {"percentile": 30.0, "n_startup_trials": 2},
    "ThresholdPruner": {"upper": 2.2, "n_warmup_steps": 2},
}


@pytest.mark.parametrize("name", PRUNERS)
def test_a_sequential_study_ends_the_same_trials_as_in_optuna(name):
    found = [c for c in curves() if np.isfinite(c).all() and max(c) < 1e30]
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    pruner = getattr(optuna.pruners, name)(**PRUNERS[name])
    study = optuna.create_study(pruner=pruner, sampler=optuna.samplers.RandomSampler(seed=0))
    theirs = []
    for curve in found:
        trial = study.ask()
        for step, value in enumerate(curve):
            trial.report(value, step)
            if trial.should_prune():
                theirs.append((trial.number, step))
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, curve[-1])
    ours = play(lambda: OptunaPrunerStopper(name, **PRUNERS[name]), slots=1, found=found)
    assert theirs
    assert [end[:2] for end in ours] == theirs


def test_a_pruner_around_a_pruner_is_given_as_a_mapping():
    wrapped = {"name": "MedianPruner", "n_startup_trials": 1}
    stopper = OptunaPrunerStopper("PatientPruner", wrapped_pruner=wrapped, patience=2)
    rising = [3.0 + k for k in range(8)]
    reports = {0: reported([1.0] * 8), 1: reported([2.0] * 8), 2: reported(rising)}
    decision = stopper.decide(2, view_of(reports, running=[2]))
    assert decision.reason == "Optuna's PatientPruner prunes it at step 7 (loss 10)"
    falling = {**reports, 2: reported([9.0 - k for k in range(8)])}
    assert stopper.decide(2, view_of(falling, running=[2])).action == "continue"


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("MedianPrunner", {}, 'did you mean "MedianPruner"'),
        ("BasePruner", {}, "not a pruner"),
        ("MedianPruner", {"n_startup": 1}, "n_startup"),
        ("ThresholdPruner", {}, "lower"),
    ],
)
def test_unknown_pruners_and_options_are_refused(name, options, said):
    with pytest.raises(InvalidArgument, match=said):
        OptunaPrunerStopper(name, **options)


def test_several_objectives_need_a_metric():
    view = view_of({0: []}, running=[0], objectives=TWO)
    with pytest.raises(InvalidArgument, match="metric="):
        OptunaPrunerStopper().decide(0, view)
    assert OptunaPrunerStopper(metric="speed").decide(0, view).action == "continue"


def test_the_wilcoxon_pruner_knows_the_best_trial():
    options = {"p_threshold": 0.2, "n_startup_steps": 2}
    with quiet():
        optuna.pruners.WilcoxonPruner(**options)
    stopper = OptunaPrunerStopper("WilcoxonPruner", **options)
    good = [1.0, 1.1, 0.9, 1.0, 1.05, 0.95]
    reports = {0: reported(good), 1: reported([v + 1 for v in good])}
    assert stopper.decide(1, view_of(reports, running=[1])).action == "stop"
    reports = {0: reported(good), 1: reported([v - 1 for v in good])}
    assert stopper.decide(1, view_of(reports, running=[1])).action == "continue"
