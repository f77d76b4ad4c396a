import json
import math

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.errors import InvalidArgument
from tunekit.history import History
from tunekit.records import ObjectiveSpec, Report, TrialRecord, TrialState
from tunekit.stoppers.base import CurveView
from tunekit.stoppers.median import MedianStopper

LOSS = (ObjectiveSpec("loss"),)


def view(curves, own, *, objectives=LOSS, state=TrialState.COMPLETE):
    """Show finished curves as trials 0, 1, ... and `own` as the running one after them."""
    metric = objectives[0].metric
    history = History(objectives)
    records = [
        TrialRecord(k, state, seq=k + 1, metrics={metric: curve[-1]})
        for k, curve in enumerate(curves)
    ]
    running = TrialRecord(len(curves), TrialState.RUNNING, seq=len(curves) + 1)
    history.update([*records, running], len(curves) + 1)
    reports = {
        k: [Report(step, {metric: value}) for step, value in enumerate(curve)]
        for k, curve in enumerate([*curves, own])
    }
    return CurveView(objectives, history, reports)


def decide(stopper, curves, own, **options):
    return stopper.decide(len(curves), view(curves, own, **options))


FIVE = [[1.0, 0.8, 0.6]] * 2 + [[2.0, 1.5, 1.0]] + [[3.0, 3.0, 3.0]] * 2


def test_a_trial_worse_than_the_median_stops_with_reason_and_evidence():
    decision = decide(MedianStopper(min_reports=2), FIVE, [1.9, 1.8])
    assert decision.action == "stop"
    assert decision.reason == (
        "best loss up to step 1 is 1.8, worse than the median 1.75 of 5 complete trials"
    )
    assert json.loads(json.dumps(dict(decision.evidence))) == {
        "metric": "loss",
        "step": 1,
        "best": 1.8,
        "median": 1.75,
        "n_trials": 5,
        "others": "running_mean",
    }


def test_the_best_value_counts_and_a_tie_goes_on():
    assert decide(MedianStopper(min_reports=1), FIVE, [1.75, 9.0]).action == "continue"
    assert decide(MedianStopper(min_reports=1), FIVE, [1.7500001, 9.0]).action == "stop"


@pytest.mark.parametrize(
    ("stopper", "curves"),
    [(MedianStopper(min_reports=3), FIVE), (MedianStopper(min_reports=1, min_trials=6), FIVE)],
)
def test_the_grace_period_holds(stopper, curves):
    assert decide(stopper, curves, [99.0, 99.0]).action == "continue"


def test_only_complete_trials_are_compared_with():
    stopper = MedianStopper(min_reports=1)
    for state in (TrialState.STOPPED, TrialState.FAILED, TrialState.DIVERGED):
        assert decide(stopper, FIVE, [99.0], state=state).action == "continue"


def test_a_maximised_metric_stops_below_the_median():
    objectives = (ObjectiveSpec("accuracy", "maximize"),)
    stopper = MedianStopper(min_reports=1, min_trials=2)
    curves = [[0.5, 0.9], [0.7, 0.8], [0.6, 0.7]]
    low = decide(stopper, curves, [0.1, 0.1], objectives=objectives)
    assert low.evidence["median"] == pytest.approx(0.7)
    assert (low.action, low.evidence["best"]) == ("stop", 0.1)
    assert decide(stopper, curves, [0.1, 0.95], objectives=objectives).action == "continue"


def test_what_is_not_finite_is_worse_than_any_number_and_stays_plain_json():
    decision = decide(MedianStopper(min_reports=1), FIVE, [math.nan, math.inf])
    assert decision.action == "stop"
    assert json.dumps(dict(decision.evidence), allow_nan=False)
    assert decide(MedianStopper(min_reports=1), [[math.nan]] * 5, [1.0]).action == "continue"


def test_reports_without_the_metric_are_passed_over():
    seen = view(FIVE, [99.0])
    reports = {**seen.reports, 5: [Report(0, {"other": 1.0})]}
    stopper = MedianStopper(min_reports=1)
    assert stopper.decide(5, CurveView(LOSS, seen.history, reports)).action == "continue"
    assert stopper.decide(5, seen).action == "stop"


def test_an_unknown_metric_gets_the_close_name():
    with pytest.raises(InvalidArgument, match='did you mean "loss"'):
        decide(MedianStopper("los"), FIVE, [1.0])


@pytest.mark.parametrize(
    "options", [{"min_reports": 0}, {"min_trials": 1.5}, {"others": "median"}]
)
def test_settings_outside_their_range_are_refused(options):
    with pytest.raises(InvalidArgument):
        MedianStopper(**options)


def test_one_instance_answers_like_a_fresh_one_for_another_study():
    used = MedianStopper(min_reports=1)
    decide(used, [[5.0]] * 5, [1.0])
    assert decide(used, FIVE, [1.9, 1.8]) == decide(MedianStopper(min_reports=1), FIVE, [1.9, 1.8])


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    direction=st.sampled_from(["minimize", "maximize"]),
    grace=st.integers(1, 4),
    n=st.integers(1, 9),
)
def test_at_step_is_the_median_pruner_of_optuna(seed, direction, grace, n):
    rng = np.random.default_rng(seed)
    curves = rng.integers(-9, 9, (n, 6)).astype(float).tolist()  # ties and exact medians
    own = rng.integers(-9, 9, rng.integers(1, 6)).astype(float).tolist()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    pruner = optuna.pruners.MedianPruner(
        n_startup_trials=3, n_warmup_steps=grace - 1, n_min_trials=3
    )
    study = optuna.create_study(direction=direction, pruner=pruner)
    for curve in curves:
        values = dict(enumerate(curve))
        study.add_trial(optuna.trial.create_trial(value=curve[-1], intermediate_values=values))
    trial = study.ask()
    for step, value in enumerate(own):
        trial.report(value, step)
    stopper = MedianStopper(min_reports=grace, min_trials=3, others="at_step")
    ours = decide(stopper, curves, own, objectives=(ObjectiveSpec("loss", direction),))
    assert (ours.action == "stop") is bool(trial.should_prune())
