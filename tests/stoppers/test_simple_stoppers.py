"""Patience, threshold, and several stoppers as one."""

import math

import pytest

import tunekit as tk
from tunekit import registry
from tunekit.errors import InvalidArgument, UnknownStudy
from tunekit.records import ObjectiveSpec, Report, TrialState
from tunekit.stoppers.any_of import FirstStopper
from tunekit.stoppers.asha import AshaStopper
from tunekit.stoppers.patience import PatienceStopper
from tunekit.stoppers.threshold import ThresholdStopper
from tunekit.testing.stoppers import TWO, reported, view_of


def decide(stopper, curve, **options):
    return stopper.decide(0, view_of({0: reported(curve)}, running=[0], **options))


def test_patience_counts_reports_since_the_last_improvement():
    stopper = PatienceStopper(patience=3)
    assert decide(stopper, [3.0, 2.0, 2.0, 2.5]).action == "continue"
    stopped = decide(stopper, [3.0, 2.0, 2.0, 2.5, 2.0])
    assert stopped.action == "stop"
    assert stopped.reason == (
        "no improvement by more than 0 in 3 reports since step 1 (best loss 2)"
    )
    assert decide(stopper, [3.0, 2.0, 2.0, 2.5, 1.9]).action == "continue"


def test_patience_wants_more_than_min_delta_and_has_a_grace_period():
    small = [3.0, 2.95, 2.9, 2.85]
    assert decide(PatienceStopper(patience=3), small).action == "continue"
    assert decide(PatienceStopper(patience=3, min_delta=0.2), small).action == "stop"
    late = PatienceStopper(patience=3, min_delta=0.2, min_reports=5)
    assert decide(late, small).action == "continue"


def test_patience_runs_out_on_nan_and_begins_anew_at_the_first_number():
    stopper = PatienceStopper(patience=3)
    assert decide(stopper, [math.nan] * 4).action == "stop"
    assert decide(stopper, [math.nan] * 3 + [1.0]).action == "continue"


def test_of_several_objectives_any_improvement_counts_for_patience():
    reports = {0: [Report(s, {"loss": 1.0, "speed": float(s)}) for s in range(8)]}
    view = view_of(reports, running=[0], objectives=TWO)
    assert PatienceStopper(patience=3).decide(0, view).action == "continue"
    assert PatienceStopper("loss", patience=3).decide(0, view).action == "stop"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e34, -1e34])
def test_a_diverged_trial_stops_at_once(value):
    decision = decide(ThresholdStopper(min_reports=99), [value])
    assert decision.action == "stop"
    assert "has diverged" in decision.reason


def test_a_bound_is_one_of_the_metrics_own_direction():
    assert decide(ThresholdStopper(bound=2.0), [2.0]).action == "continue"
    stopped = decide(ThresholdStopper(bound=2.0), [2.1])
    assert stopped.reason == "loss is 2.1 at step 0, above the bound 2"
    up = (ObjectiveSpec("loss", "maximize"),)
    assert decide(ThresholdStopper(bound=2.0), [2.1], objectives=up).action == "continue"
    assert "below" in decide(ThresholdStopper(bound=2.0), [1.9], objectives=up).reason
    assert decide(ThresholdStopper(bound=2.0, min_reports=2), [9.0]).action == "continue"


def test_of_several_stoppers_the_first_that_stops_wins():
    stopper = FirstStopper(["threshold", "asha"], options={"asha": {"eta": 4}})
    reports = {k: reported([float(k)] * 4) for k in range(4)}
    view = view_of(reports, running=[3])
    decision = stopper.decide(3, view)
    assert decision.evidence["stopper"] == "asha"
    assert decision.evidence["eta"] == 4
    broken = view_of({**reports, 3: reported([1.0] * 3 + [math.nan])}, running=[3])
    assert stopper.decide(3, broken).evidence["stopper"] == "threshold"
    assert stopper.decide(0, view).action == "continue"


def test_several_stoppers_promote_what_one_of_them_promotes():
    stopper = FirstStopper(["threshold", AshaStopper(mode="promote")])
    reports = {k: reported([float(k)] * 4) for k in range(4)}
    view = view_of(reports, states={1: TrialState.PAUSED, 3: TrialState.PAUSED})
    assert list(stopper.promote(view)) == [1]


@pytest.mark.parametrize(
    ("made", "options"),
    [
        (PatienceStopper, {"patience": 0}),
        (PatienceStopper, {"min_delta": -1}),
        (ThresholdStopper, {"bound": math.inf}),
        (ThresholdStopper, {"bound": "2"}),
        (ThresholdStopper, {"min_reports": 0}),
        (FirstStopper, {"stoppers": []}),
        (FirstStopper, {"stoppers": ["asha", "asha"]}),
        (FirstStopper, {"stoppers": ["asha"], "options": {"median": {}}}),
        (FirstStopper, {"stoppers": ["asha"], "options": {"asha": 3}}),
        (FirstStopper, {"stoppers": ["ahsa"]}),
        (FirstStopper, {"stoppers": [object()]}),
    ],
)
def test_settings_outside_their_range_are_refused(made, options):
    with pytest.raises(InvalidArgument):
        made(**options)


WATCHING = ["asha", "auto", "hyperband", "fast", "curve", "early_dynamics", "median", "patience"]


@pytest.mark.parametrize("name", [*WATCHING, "threshold", "optuna"])
def test_a_stopper_whose_metric_is_no_objective_is_refused_before_a_study_is_made(name, tmp_path):
    if name in ("curve", "optuna"):
        pytest.importorskip("sklearn" if name == "curve" else "optuna")
    url = f"sqlite:///{tmp_path}/s.db"

    def made(**stopper):
        return tk.study("s", space=tk.Space(x=tk.Float(0, 1)), storage=url, **stopper)

    options = {"metric": "vlaue"}
    for given in (
        {"stopper": name, "stopper_options": options},
        {
            "stopper": [name, "patience" if name != "patience" else "asha"],
            "stopper_options": {name: options},
        },
        {"stopper": registry.make("stopper", name, options)},
    ):
        with pytest.raises(InvalidArgument, match=r'did you mean "value".*direction='):
            made(**given)
    with pytest.raises(UnknownStudy):
        tk.load_study("s", storage=url)
    made(stopper=name, stopper_options={**options, "direction": "minimize"})
    with pytest.raises(InvalidArgument, match='did you mean "value"'):
        tk.load_study("s", storage=url, stopper=name, stopper_options=options)


@pytest.mark.parametrize("name", [*WATCHING, "threshold", "optuna"])
def test_every_stopper_of_metrics_refuses_a_direction_without_a_metric(name):
    if name in ("curve", "optuna"):
        pytest.importorskip("sklearn" if name == "curve" else "optuna")
    with pytest.raises(InvalidArgument, match="without a metric; give metric="):
        registry.make("stopper", name, {"direction": "minimize"})


@pytest.mark.parametrize("name", [n for n in WATCHING if n != "early_dynamics"])
def test_the_metric_is_the_only_option_of_a_stopper_by_place(name):
    if name == "curve":
        pytest.importorskip("sklearn")
    factory = registry.find("stopper", name)
    assert factory("loss", direction="maximize").metric == "loss"
    with pytest.raises(TypeError):
        factory("loss", "maximize")


def test_a_stopper_that_follows_one_metric_is_refused_by_a_study_of_two():
    with pytest.raises(InvalidArgument, match="name one with metric="):
        tk.study(objectives=["a", "b"], stopper="early_dynamics")
    with pytest.raises(InvalidArgument, match="name one of them with metric="):
        tk.study(objectives=["a", "b"], stopper="threshold", stopper_options={"bound": 1.0})
