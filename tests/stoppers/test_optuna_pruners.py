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


CACHED = {
    **PRUNERS,
    "SuccessiveHalvingPruner": {},
    "HyperbandPruner": {"min_resource": 1, "reduction_factor": 2},
    "PatientPruner": {"wrapped_pruner": {"name": "MedianPruner"}, "patience": 1},
    "WilcoxonPruner": {"p_threshold": 0.3},
}


@pytest.mark.filterwarnings("ignore:.*contain infinity/NaNs:UserWarning")
@pytest.mark.parametrize("name", CACHED)
def test_what_is_kept_between_reports_changes_no_decision(name):
    def make():
        return OptunaPrunerStopper(name, **CACHED[name])

    assert play(make) == play(make, fresh=True)
    late = list(range(0, 24, 2))
    assert play(make, steps=late, slots=2) == play(make, steps=late, slots=2, fresh=True)


def test_an_own_pruner_with_a_memory_is_taken_as_it_was_given_each_time():
    class Counting(optuna.pruners.BasePruner):
        n = 0

        def prune(self, study, trial):
            self.n += 1
            return self.n > 1

    stopper = OptunaPrunerStopper(Counting())
    reports = {0: reported([1.0, 2.0, 3.0])}
    for _ in range(3):
        assert stopper.decide(0, view_of(reports, running=[0])).action == "continue"


def test_reports_that_come_late_or_again_are_told_as_well():
    stopper = OptunaPrunerStopper("SuccessiveHalvingPruner", min_resource=1)
    reports = {n: reported([1.0 + n, 1.0 + n]) for n in range(4)}
    for view in (
        {n: r[:1] for n, r in reports.items()},
        reports,
        {**reports, 0: reported([9.0, 9.0])},
        {n: r for n, r in reports.items() if n != 1},
    ):
        fresh = OptunaPrunerStopper("SuccessiveHalvingPruner", min_resource=1)
        for number in (0, 3):
            shown = view_of(view, running=[0, 2, 3])
            assert stopper.decide(number, shown) == fresh.decide(number, shown)


@pytest.mark.parametrize("name", ["MedianPruner", "SuccessiveHalvingPruner"])
def test_a_further_report_makes_one_trial_of_optuna_however_many_have_ended(name, monkeypatch):
    from tunekit.stoppers.optuna_view import ViewStorage

    put = []
    whole = ViewStorage.put
    monkeypatch.setattr(ViewStorage, "put", lambda s, n, *a: put.append(n) or whole(s, n, *a))
    stopper = OptunaPrunerStopper(name)
    reports = {n: reported([1.0] * 4) for n in range(50)} | {50: reported([0.5])}
    stopper.decide(50, view_of(reports, running=[50]))
    assert len(put) == 51
    reports[50].append(reported([0.5, 0.4])[1])
    stopper.decide(50, view_of(reports, running=[50]))
    assert put[51:] == [50]
