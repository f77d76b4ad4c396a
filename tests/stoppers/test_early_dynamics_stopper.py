"""The early-dynamics stopper: learns the sign of its signals, and is silent until credible."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tunekit.errors import InvalidArgument
from tunekit.records import ObjectiveSpec, Report
from tunekit.stoppers.base import CurveView
from tunekit.stoppers.curves.early_dynamics import EarlyDynamicsStopper, Learnt
from tunekit.testing.stoppers import TWO, StopperConformance, view_of

T = 40


def study(n=30, *, own=0.95, reports=5, sign=1.0, relation=1.0, direction="minimize", seed=0):
    """Show `n` complete trials and a running one whose quality, 0 the best, is `own`.

    The early gradient norm grows with the quality (or falls, by `relation`); the loss itself
    starts the other way round, and only its end shows the quality.
    """
    rng = np.random.default_rng(seed)
    qualities = [*rng.random(n), own]
    shown = {}
    for k, q in enumerate(qualities):
        noise = rng.normal(size=(T, 2)) * 0.02
        early = np.exp(-np.arange(T) / 10)
        loss = 1 + q * (1 - early) - 0.5 * q * early + noise[:, 0]
        norm = np.exp(relation * q + noise[:, 1])
        shown[k] = [
            Report(i, {"loss": sign * float(a), "grad_norm": float(b)})
            for i, (a, b) in enumerate(zip(loss, norm, strict=True))
        ]
    shown[n] = shown[n][:reports]
    return view_of(shown, running=[n], objectives=(ObjectiveSpec("loss", direction),))


def test_a_trial_whose_signals_promise_a_poor_end_stops_and_says_why():
    decision = EarlyDynamicsStopper(["grad_norm"]).decide(30, study())
    assert decision.action == "stop"
    evidence = json.loads(json.dumps(dict(decision.evidence), allow_nan=False))
    assert evidence["chance"] < evidence["limit"] and evidence["expected_rank"] > 0.8
    assert 0 < evidence["correlation_bound"] < evidence["correlation"]
    assert evidence["n_trials"] == 30 and evidence["slopes"][0] > 0
    assert (
        "grad_norm 2.5" in decision.reason and "chance to be among the best 20%" in decision.reason
    )


@pytest.mark.parametrize(("sign", "direction"), [(1.0, "minimize"), (-1.0, "maximize")])
def test_a_trial_better_than_any_ever_was_goes_on_whatever_its_signals_promise(sign, direction):
    view = study(sign=sign, direction=direction)
    assert EarlyDynamicsStopper(["grad_norm"]).decide(30, view).action == "stop"
    last = view.reports[30][-1]
    view.reports[30][-1] = Report(last.step, {**last.metrics, "loss": sign * 0.04})
    assert EarlyDynamicsStopper(["grad_norm"]).decide(30, view).action == "continue"


def test_a_trial_whose_signals_promise_a_good_end_goes_on():
    assert EarlyDynamicsStopper(["grad_norm"]).decide(30, study(own=0.1)).action == "continue"


@pytest.mark.parametrize("relation", [1.0, -1.0])
def test_the_sign_of_a_signal_is_learnt(relation):
    stopper = EarlyDynamicsStopper(["grad_norm"])
    assert stopper.decide(30, study(relation=relation)).action == "stop"
    assert stopper.decide(30, study(relation=relation, own=0.05)).action == "continue"


def test_a_higher_early_loss_may_promise_the_better_end():
    stopper = EarlyDynamicsStopper(["loss"])
    assert stopper.decide(30, study(own=0.98)).action == "stop"
    assert stopper.decide(30, study(own=0.02)).action == "continue"


def test_signals_that_say_nothing_stop_nobody():
    stopped = [
        EarlyDynamicsStopper(["grad_norm"]).decide(30, study(relation=0.0, seed=s)).action
        == "stop"
        for s in range(40)
    ]
    assert sum(stopped) <= 2


def test_it_is_silent_before_twelve_trials_and_outside_its_report():
    stopper = EarlyDynamicsStopper(["grad_norm"])
    assert stopper.decide(11, study(11)).action == "continue"
    assert stopper.decide(12, study(12)).action == "stop"
    assert [stopper.decide(30, study(reports=k)).action for k in (1, 3, 4, 5, 6, 20)] == [
        "continue",
        "continue",
        "continue",
        "stop",
        "continue",
        "continue",
    ]


def test_a_signal_that_was_not_reported_stops_nobody():
    assert EarlyDynamicsStopper(["norm"]).decide(30, study()).action == "continue"


def test_leaving_out_is_that_of_fits_without_the_row():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(15, 2))
    finals = x[:, 0] + 0.3 * rng.normal(size=15)
    learnt = Learnt.fit(x, finals)
    y = (np.argsort(np.argsort(finals)) + 0.5) / 15
    spread = (np.quantile(x, 0.8, axis=0) - np.quantile(x, 0.2, axis=0)) / 1.68
    z = np.clip((x - np.median(x, axis=0)) / spread, -3, 3)
    z = np.column_stack([np.ones(15), z])
    errors = []
    for k in range(15):
        a, b = np.delete(z, k, axis=0), np.delete(y, k)
        w = np.linalg.solve(a.T @ a + np.diag([0.0, 1.0, 1.0]), a.T @ b)
        errors.append(z[k] @ w - y[k])
    assert learnt.residual == pytest.approx(math.sqrt(np.mean(np.square(errors))), rel=1e-6)


def test_several_objectives_need_a_name():
    view = study()
    with pytest.raises(InvalidArgument, match="metric="):
        EarlyDynamicsStopper(["loss"]).decide(30, CurveView(TWO, view.history, view.reports))


@pytest.mark.parametrize(
    "options",
    [
        {"signals": []},
        {"signals": "loss"},
        {"signals": [1]},
        {"share": 0},
        {"share": 1},
        {"keep": 1.0},
        {"limit": 0},
        {"min_trials": 5},
        {"n_first": 0},
    ],
)
def test_settings_outside_their_range_are_refused(options):
    with pytest.raises(InvalidArgument):
        EarlyDynamicsStopper(**{"signals": ["loss"], **options})


class TestEarlyDynamics(StopperConformance):
    needs_one_metric = True

    @pytest.fixture
    def make_stopper(self):
        def made(**options):
            return EarlyDynamicsStopper(
                ["loss"], **{"share": 0.5, "keep": 0.1, "limit": 0.45, **options}
            )

        return made
