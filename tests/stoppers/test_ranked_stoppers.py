"""ASHA, Hyperband and the second look: what each lets past its rungs, and why."""

import math

import numpy as np
import pytest

from tunekit.errors import InvalidArgument
from tunekit.records import ObjectiveSpec, Report, TrialRecord, TrialState
from tunekit.stoppers.asha import AshaStopper
from tunekit.stoppers.hyperband import HyperbandStopper
from tunekit.stoppers.rungs import n_before, rungs_between
from tunekit.stoppers.second_look import SecondLookStopper
from tunekit.testing.stoppers import TWO, play, reported, view_of


def at_rung(stopper, values, own, *, length=4, **options):
    """Ask about the last trial, when it and others with these values are at report `length`."""
    curves = [[v] * length for v in (*values, own)]
    number = len(values)
    view = view_of(dict(enumerate(map(reported, curves))), running=[number], **options)
    return stopper.decide(number, view)


@pytest.mark.parametrize(
    ("others", "own", "action"),
    [
        ([], 9.0, "continue"),  # the first at a rung always goes on
        ([1.0], 2.0, "stop"),
        ([2.0], 1.0, "continue"),
        ([1.0, 2.0, 4.0], 3.0, "stop"),  # the best two of four
        ([1.0, 3.0, 4.0], 2.0, "continue"),
        ([1.0, 1.0, 1.0], 1.0, "continue"),  # nobody is before it
        ([math.nan, 1e34, math.inf], 5.0, "continue"),
        ([1.0, 2.0], math.nan, "stop"),
    ],
)
def test_asha_keeps_the_best_half_at_a_rung(others, own, action):
    assert at_rung(AshaStopper(), others, own).action == action


def test_asha_judges_at_its_rungs_only():
    for length in range(1, 20):
        action = at_rung(AshaStopper(), [1.0, 2.0], 3.0, length=length).action
        assert action == ("stop" if length in (4, 8, 16) else "continue")


def test_asha_says_who_was_before_the_trial():
    decision = at_rung(AshaStopper(), [1.0, 2.0, 4.0], 3.0)
    assert decision.reason == (
        "loss 3 at report 4 has 2 of 4 trials before it; the best 2 continue"
    )
    assert decision.evidence["n_before"] == 2
    assert decision.evidence["rung"] == 4


def test_steps_and_reports_are_counted_apart():
    steps = [10, 20, 30, 50]
    by_report = {k: reported([v] * 4, steps) for k, v in enumerate((1.0, 2.0))}
    view = view_of(by_report, running=[1])
    assert AshaStopper().decide(1, view).action == "stop"
    assert AshaStopper(unit="steps", min_resource=40).decide(1, view).action == "stop"
    assert AshaStopper(unit="steps", min_resource=60).decide(1, view).action == "continue"
    # Rungs at 4, 8, 16, 32 are passed between steps 30 and 50: only the highest counts.
    evidence = AshaStopper(unit="steps").decide(1, view).evidence
    assert evidence["rung"] == 32


def test_trials_of_other_workers_that_still_run_count():
    reports = {k: reported([v] * 4) for k, v in enumerate((1.0, 2.0, 3.0))}
    view = view_of(reports, running=[0, 1, 2])
    assert [AshaStopper().decide(k, view).action for k in range(3)] == ["continue", "stop", "stop"]


def test_with_several_objectives_the_whole_front_goes_on():
    points = [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (3.5, 2.9), (4.0, 0.5)]  # (loss, speed)
    reports = {
        k: [Report(s, {"loss": loss, "speed": speed}) for s in range(4)]
        for k, (loss, speed) in enumerate(points)
    }
    actions = []
    for number in reports:
        view = view_of(reports, running=list(reports), objectives=TWO)
        actions.append(AshaStopper().decide(number, view).action)
    assert actions == ["continue", "continue", "continue", "stop", "stop"]
    only = AshaStopper(metric="speed")
    view = view_of(reports, running=list(reports), objectives=TWO)
    assert [only.decide(k, view).action for k in reports] == [
        "stop", "stop", "continue", "continue", "stop",
    ]  # fmt: skip


def test_equal_points_stand_in_one_layer():
    front = [(0.0, 1.0), (1.0, 0.0)]
    assert n_before((0.0, 1.0), [*front, (0.0, 1.0)]) == 0
    assert n_before((1.0, 1.0), [*front, *front]) == 4
    assert n_before((math.inf, math.inf), [*front, (2.0, 2.0)]) == 3


def test_a_pausing_asha_promotes_who_is_among_the_best_by_now():
    stopper = AshaStopper(mode="promote")
    reports = {k: reported([v] * 4) for k, v in enumerate((2.0, 3.0))}
    view = view_of(reports, running=[0, 1])
    assert stopper.decide(1, view).action == "pause"
    paused = {1: TrialState.PAUSED}
    assert stopper.promote(view_of(reports, running=[0], states=paused)) == {}
    more = {**reports, 2: reported([4.0] * 4), 3: reported([5.0] * 4)}
    promoted = stopper.promote(view_of(more, running=[0], states=paused))
    assert list(promoted) == [1]
    assert promoted[1] == "loss 3 at report 4 has 1 of 4 trials before it; the best 2 continue"
    running = view_of({**more, 1: reported([3.0] * 7)}, running=[1])
    assert stopper.promote(running) == {}
    assert stopper.decide(1, running).action == "continue"


def test_a_trial_that_was_paused_before_its_first_rung_is_not_promoted():
    reports = {0: reported([1.0] * 2)}
    view = view_of(reports, states={0: TrialState.PAUSED})
    assert AshaStopper(mode="promote").promote(view) == {}


def test_hyperband_compares_within_its_brackets():
    stopper = HyperbandStopper(n_brackets=3, min_resource=2)
    brackets = [stopper.bracket(n) for n in range(300)]
    shares = [brackets.count(s) / 300 for s in range(3)]
    # Hyperband's n for eta = 2 and three brackets: 3/3 * 4, 3/2 * 2, 3/1 * 1.
    assert shares == pytest.approx([0.4, 0.3, 0.3], abs=0.01)
    reports = {n: reported([float(n)] * 2) for n in range(40)}
    view = view_of(reports, running=list(reports))
    ended = [n for n in reports if stopper.decide(n, view).action == "stop"]
    assert {stopper.bracket(n) for n in ended} == {0}
    longer = {n: reported([float(n)] * 4) for n in range(40)}
    view = view_of(longer, running=list(longer))
    ended = [n for n in longer if stopper.decide(n, view).action == "stop"]
    assert {stopper.bracket(n) for n in ended} == {0, 1}
    assert all(stopper.decide(n, view).evidence["bracket"] == stopper.bracket(n) for n in ended)


def test_hyperband_promotes_within_its_brackets():
    stopper = HyperbandStopper(mode="promote", min_resource=2)
    numbers = [n for n in range(40) if stopper.bracket(n) == 0][:4]
    reports = {n: reported([float(k)] * 2) for k, n in enumerate(numbers)}
    view = view_of(reports, states={numbers[1]: TrialState.PAUSED, numbers[3]: TrialState.PAUSED})
    assert list(stopper.promote(view)) == [numbers[1]]


def test_of_n_trials_n_by_t_pass_rung_t_and_never_fewer_than_two():
    others = [float(k) for k in range(30)]
    once = SecondLookStopper(second_until=0)
    for own, action in ((9.5, "continue"), (10.5, "stop")):  # 31 started: the best 11 at 3
        assert at_rung(once, others, own, length=3).action == action
    assert at_rung(once, [1.0] * 4, 2.0, length=3).action == "stop"
    assert at_rung(once, [1.0, 3.0, 3.0, 3.0], 2.0, length=3).action == "continue"
    half = SecondLookStopper(second_until=0, share=0.5)
    for own, action in ((4.5, "continue"), (5.5, "stop")):
        assert at_rung(half, others, own, length=3).action == action


def test_the_first_trials_end_only_by_divergence():
    assert at_rung(SecondLookStopper(), [1.0], 9.0, length=4).action == "continue"
    assert at_rung(SecondLookStopper(n_exempt=0, share=0.1), [1.0] * 3, 9.0).action == "stop"
    view = view_of({0: reported([1.0, math.nan])}, running=[0])
    decision = SecondLookStopper().decide(0, view)
    assert decision.action == "stop" and "it has diverged" in decision.reason


def test_low_rungs_are_judged_one_report_later_and_high_ones_at_once():
    found = {}
    for length in range(1, 40):
        decision = at_rung(SecondLookStopper(), [1.0] * 8, 3.0, length=length)
        if decision.action == "stop":
            found[length] = decision.evidence["rung"]
    assert found == {4: 3, 6: 5, 8: 7, 12: 11, 17: 16, 23: 23, 35: 35}


@pytest.mark.parametrize(
    ("own", "action"),
    [
        ([8.0, 6.0, 5.0, 3.0], "continue"),  # it still falls, and its line passes all others
        ([8.0, 3.0, 3.0, 3.0], "stop"),
        ([3.0, 4.0, 5.0, 6.0], "stop"),
    ],
)
def test_a_trial_that_still_falls_gets_another_chance(own, action):
    flat = [[1.0, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8]] * 8
    view = view_of(dict(enumerate(map(reported, [*flat, own]))), running=[8])
    decision = SecondLookStopper().decide(8, view)
    assert decision.action == action
    if action == "stop":
        assert "by a line to report 7" in decision.reason
        assert decision.evidence["horizon"] == 7


def test_a_spike_at_a_rung_costs_no_trial():
    flat = [[2.0] * 4] * 8
    spiky = [1.0, 1.0, 9.0, 1.0]
    view = view_of(dict(enumerate(map(reported, [*flat, spiky]))), running=[8])
    assert SecondLookStopper().decide(8, view).action == "continue"


def test_what_has_diverged_leaves_no_more_room_for_others():
    good = [[float(k)] * 4 for k in range(6)]
    broken = [[1.0, math.nan]] * 12
    own = [4.5] * 4
    for curves, n_before_it in ((good, 5), ([*good, *broken], 5)):
        view = view_of(dict(enumerate(map(reported, [*curves, own]))), running=[len(curves)])
        decision = SecondLookStopper().decide(len(curves), view)
        assert decision.action == "stop"
        assert (decision.evidence["n_before"], decision.evidence["n_started"]) == (n_before_it, 7)


def test_the_line_of_several_objectives_goes_on_if_no_layer_is_before_it():
    behind = [(3.0, 3.0)] * 3 + [(2.9, 2.9)]
    falling = [(9.0, 9.0), (8.0, 8.0), (6.0, 6.0), (3.0, 3.0)]
    for own, action in ((behind, "stop"), (falling, "continue")):
        curves = [[(1.0, 1.0)] * 7] * 8 + [own]
        reports = {
            n: [Report(k, {"loss": a, "size": b}) for k, (a, b) in enumerate(curve)]
            for n, curve in enumerate(curves)
        }
        two = (ObjectiveSpec("loss"), ObjectiveSpec("size"))
        view = view_of(reports, running=[8], objectives=two)
        assert SecondLookStopper().decide(8, view).action == action


def test_rungs_are_rounded_up_and_none_is_missed():
    found = [n for n in range(1, 60) if rungs_between(n - 1, n, 3, 1.5)]
    assert found == [3, 5, 7, 11, 16, 23, 35, 52]
    assert rungs_between(0, 60, 3, 1.5) == found
    assert rungs_between(0, 2, 3, 1.5) == []


@pytest.mark.parametrize(
    ("made", "options"),
    [
        (AshaStopper, {"eta": 1}),
        (AshaStopper, {"eta": "2"}),
        (AshaStopper, {"min_resource": 0}),
        (AshaStopper, {"unit": "epochs"}),
        (AshaStopper, {"mode": "wait"}),
        (AshaStopper, {"metric": 3}),
        (AshaStopper, {"direction": "minimize"}),
        (AshaStopper, {"metric": "loss", "direction": "down"}),
        (HyperbandStopper, {"n_brackets": 0}),
        (HyperbandStopper, {"eta": 0.5}),
        (SecondLookStopper, {"n_exempt": -1}),
        (SecondLookStopper, {"share": 0.0}),
        (SecondLookStopper, {"second_share": math.nan}),
        (SecondLookStopper, {"second_until": -1}),
    ],
)
def test_settings_outside_their_range_are_refused(made, options):
    with pytest.raises(InvalidArgument):
        made(**options)


def test_a_direction_that_contradicts_the_study_is_refused():
    stopper = AshaStopper(metric="loss", direction="maximize")
    with pytest.raises(InvalidArgument, match="minimize"):
        at_rung(stopper, [1.0], 2.0)


def test_a_hard_rule_ends_more_trials_than_a_mild_one():
    mild = play(lambda: AshaStopper(eta=2))
    hard = play(lambda: AshaStopper(eta=4, min_resource=2))
    assert len(hard) > len(mild)


def asha_beside_optuna(curves, steps, *, eta, first, direction):
    """Return where ours and Optuna's end each curve, reported in turn by all that still run."""
    optuna = pytest.importorskip("optuna")
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=eta)
    peer = optuna.create_study(direction=direction, pruner=pruner)
    trials = [peer.ask() for _ in curves]
    ours = AshaStopper(eta=eta, min_resource=first, unit="steps")
    reports = {n: [] for n in range(len(curves))}
    ends, stopped = ({}, {}), []
    objectives = (ObjectiveSpec("loss", direction),)
    for k in range(len(curves[0])):
        for n in range(len(curves)):
            step, value = steps[n][k], curves[n][k]
            if n not in ends[0]:
                reports[n].append(Report(step, {"loss": value}))
                view = view_of(reports, running=list(reports), objectives=objectives)
                view.history.update(stopped, cursor=1000)
                decision = ours.decide(n, view)
                if decision.action == "stop":
                    ends[0][n] = step
                    evidence = {"seq": 500 + n, "stop_evidence": decision.evidence}
                    stopped.append(TrialRecord(n, TrialState.STOPPED, **evidence))
            if n not in ends[1]:
                trials[n].report(value, step)
                if trials[n].should_prune():
                    ends[1][n] = step
    return ends


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("seed", range(12))
def test_asha_decides_as_optunas_for_nan_and_for_steps_that_jump_over_rungs(seed, direction):
    rng = np.random.default_rng(seed)
    curves = np.round(rng.normal(size=(14, 9)), 1)  # with ties
    curves[rng.random(curves.shape) < 0.1] = math.nan
    steps = np.cumsum(rng.choice([1, 2, 3, 9, 20], size=curves.shape), axis=1)
    eta, first = int(rng.choice([2, 3, 4])), int(rng.choice([1, 2, 5]))
    ours, peers = asha_beside_optuna(
        curves.tolist(), steps.tolist(), eta=eta, first=first, direction=direction
    )
    assert ours == peers and len(ours) > 3


def test_a_trial_that_jumps_over_rungs_is_judged_at_each_of_them():
    jump = [Report(1, {"loss": 9.0}), Report(100, {"loss": 9.0})]
    others = {n: [Report(s, {"loss": 1.0}) for s in (1, 2, 4)] for n in range(1, 6)}
    view = view_of({0: jump, **others}, running=[0])
    decision = AshaStopper(min_resource=2, unit="steps").decide(0, view)
    assert decision.action == "stop" and decision.evidence["rung"] == 2
    paused = view_of({0: jump, **others}, states={0: TrialState.PAUSED})
    stopper = AshaStopper(min_resource=2, unit="steps", mode="promote")
    assert stopper.decide(0, view).action == "pause" and stopper.promote(paused) == {}
    second = SecondLookStopper(min_resource=2, unit="steps", n_exempt=0)
    assert second.decide(0, view).action == "continue"  # nobody else has reached the high ones
    later = view_of({0: [*jump, Report(101, {"loss": 9.0})], **others}, running=[0])
    assert second.decide(0, later).evidence["rung"] == 2


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e31])
def test_what_has_diverged_does_not_pass_a_rung_not_even_as_the_first(value):
    view = view_of({0: [Report(k, {"loss": value}) for k in range(4)]}, running=[0])
    assert AshaStopper().decide(0, view).action == "stop"
