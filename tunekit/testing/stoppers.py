# ruff: noqa: D102 - the name of a test is its sentence
"""Tests a stopper for conformance: pure, safe in both directions, robust to any report.

Subclass `StopperConformance` and override its fixture `make_stopper`. Choose settings that make
the stopper end some of the curves from `curves()`.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np
import pytest

from tunekit.errors import InvalidArgument
from tunekit.history import History
from tunekit.records import Decision, Direction, ObjectiveSpec, Report, TrialRecord, TrialState
from tunekit.stoppers.base import CurveView, Stopper

MakeStopper: TypeAlias = Callable[..., Stopper]

LOSS = (ObjectiveSpec("loss"),)
TWO = (ObjectiveSpec("loss"), ObjectiveSpec("speed", "maximize"))
LENGTH = 12


def curves(n: int = 18, *, seed: int = 5, length: int = LENGTH) -> list[list[float]]:
    """Return noisy falling curves; some stay flat, some rise to overflow or NaN."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(n):
        end, start = rng.uniform(0.1, 2.0), rng.uniform(2.0, 3.0)
        steps = np.arange(length) / length
        curve = end + (start - end) * np.exp(-5 * steps) + rng.normal(0, 0.01, length)
        if k % 6 == 4:
            curve[:] = start
        if k % 6 == 5:
            curve[length // 3 :] = (math.nan, math.inf, 1e34)[k // 6 % 3]
        found.append(curve.tolist())
    return found


def view_of(
    reports: Mapping[int, Sequence[Report]],
    *,
    running: Sequence[int] = (),
    objectives: tuple[ObjectiveSpec, ...] = LOSS,
    states: Mapping[int, TrialState] | None = None,
) -> CurveView:
    """Return a stopper's view; trials that are not running are complete."""
    history = History(objectives)
    records = []
    for number in sorted(reports):
        state = TrialState.RUNNING if number in running else TrialState.COMPLETE
        state = (states or {}).get(number, state)
        last = reports[number][-1].metrics if reports[number] else {}
        is_whole = all(math.isfinite(last.get(o.metric, math.nan)) for o in objectives)
        if state is TrialState.COMPLETE and not is_whole:
            state = TrialState.DIVERGED
        metrics = dict(last) if state.is_finished else {}
        records.append(TrialRecord(number, state, seq=number + 1, metrics=metrics))
    history.update(records, cursor=len(records))
    return CurveView(objectives, history, reports)


def reported(
    curve: Sequence[float], steps: Sequence[int] | None = None, *, sign: float = 1.0
) -> list[Report]:
    """Return the reports of a curve, at steps 0, 1, ... or at the given steps."""
    return [
        Report(step, {"loss": sign * value})
        for step, value in zip(steps or range(len(curve)), curve, strict=False)
    ]


def play(
    make: Callable[[], Stopper],
    *,
    slots: int = 3,
    fresh: bool = False,
    sign: float = 1.0,
    steps: Sequence[int] | None = None,
    found: Sequence[Sequence[float]] | None = None,
) -> list[tuple[int, int, Decision]]:
    """Run a study with several slots; return the decisions that end trials, as (trial, step, ...).

    With `fresh`, each decision comes from a new stopper that sees a copy of the reports.
    """
    direction: Direction = "minimize" if sign > 0 else "maximize"
    objectives = (ObjectiveSpec("loss", direction),)
    waiting = [reported(c, steps, sign=sign) for c in found or curves()]
    numbers = list(range(len(waiting)))
    stopper, reports, running, ends = make(), {}, [], []  # type: ignore[var-annotated]
    states: dict[int, TrialState] = {}
    while numbers or running:
        while numbers and len(running) < slots:
            running.append(numbers.pop(0))
            reports[running[-1]] = []
        for number in list(running):
            reports[number].append(waiting[number][len(reports[number])])
            seen = {n: list(r) for n, r in reports.items()} if fresh else reports
            view = view_of(seen, running=running, objectives=objectives, states=states)
            decision = (make() if fresh else stopper).decide(number, view)
            if decision.action != "continue":
                ends.append((number, reports[number][-1].step, decision))
                states[number] = TrialState.STOPPED
            if decision.action != "continue" or len(reports[number]) == len(waiting[number]):
                running.remove(number)
    return ends


class StopperConformance:
    """Rules for every stopper; see `tunekit.stoppers.base.Stopper`."""

    names_a_metric: ClassVar[bool] = True
    """Whether the stopper has the option `metric`."""

    needs_one_metric: ClassVar[bool] = False
    """Whether the stopper rejects several objectives unless `metric` names one of them."""

    mirrored: ClassVar[Mapping[str, Any]] = {}
    """Options to override for a maximised, negated metric, for example a bound."""

    @pytest.fixture
    def make_stopper(self) -> MakeStopper:
        raise NotImplementedError("override the fixture make_stopper")

    def test_it_ends_some_trials_and_lets_others_run(self, make_stopper: MakeStopper) -> None:
        ended = {number for number, _, _ in play(make_stopper)}
        assert 0 < len(ended) < len(curves())

    def test_every_end_has_a_sentence_and_evidence_in_plain_json(
        self, make_stopper: MakeStopper
    ) -> None:
        for _, _, decision in play(make_stopper):
            assert decision.reason and "\n" not in decision.reason
            assert decision.evidence
            text = json.dumps(dict(decision.evidence), allow_nan=False)
            assert json.loads(text) == dict(decision.evidence)

    @pytest.mark.parametrize("slots", [1, 5])
    def test_a_fresh_instance_answers_the_same(
        self, make_stopper: MakeStopper, slots: int
    ) -> None:
        assert play(make_stopper, slots=slots, fresh=True) == play(make_stopper, slots=slots)

    def test_the_same_view_gets_the_same_answer(self, make_stopper: MakeStopper) -> None:
        reports = dict(enumerate(map(reported, curves())))
        reports[3] = reports[3][:4]
        view = view_of(reports, running=[3])
        stopper = make_stopper()
        assert stopper.decide(3, view) == stopper.decide(3, view) == make_stopper().decide(3, view)

    def test_what_another_study_showed_does_not_matter(self, make_stopper: MakeStopper) -> None:
        used = make_stopper()
        other = dict(enumerate(map(reported, curves(seed=9))))
        used.decide(5, view_of(other, running=[5]))
        reports = dict(enumerate(map(reported, curves())))
        for number in reports:
            cut = {**reports, number: reports[number][:4]}
            view = view_of(cut, running=[number])
            assert used.decide(number, view) == make_stopper().decide(number, view)

    def test_maximising_is_minimising_the_negative(self, make_stopper: MakeStopper) -> None:
        low = play(make_stopper)
        high = play(lambda: make_stopper(**self.mirrored), sign=-1.0)
        assert [end[:2] for end in high] == [end[:2] for end in low]

    def test_what_has_diverged_is_never_kept_for_what_has_not(
        self, make_stopper: MakeStopper
    ) -> None:
        """A NaN curve ends no later than the worst finite one and never gains a rank."""
        worst = [5.0] * LENGTH
        for bad in (math.nan, math.inf, -math.inf, 1e34):
            finite = {n for n, _, _ in play(make_stopper, found=[*curves(12), worst])}
            broken = {n for n, _, _ in play(make_stopper, found=[*curves(12), [bad] * LENGTH])}
            assert broken >= finite & {12}

    def test_before_the_first_report_everything_goes_on(self, make_stopper: MakeStopper) -> None:
        assert make_stopper().decide(0, view_of({0: []}, running=[0])).action == "continue"
        assert make_stopper().decide(0, view_of({}, running=[])).action == "continue"

    @pytest.mark.parametrize("steps", ["tens", "irregular"])
    def test_steps_may_be_any(self, make_stopper: MakeStopper, steps: str) -> None:
        given = {
            "tens": range(10, 10 * LENGTH + 1, 10),
            "irregular": [1 + k + k * k // 3 for k in range(LENGTH)],
        }[steps]
        ends = play(make_stopper, steps=list(given))
        assert all(step in given for _, step, _ in ends)

    def test_reports_out_of_order_and_repeated_do_no_harm(self, make_stopper: MakeStopper) -> None:
        reports = dict(enumerate(map(reported, curves())))
        reports[2] = [reports[2][k] for k in (2, 0, 1, 1, 5, 4, 3, 0)]
        reports[3] = reports[3][::-1]
        view = view_of(reports, running=[2, 3])
        for number in (2, 3):
            assert isinstance(make_stopper().decide(number, view), Decision)

    def test_reports_without_the_metric_do_no_harm(self, make_stopper: MakeStopper) -> None:
        reports = dict(enumerate(map(reported, curves())))
        reports[2] = [Report(0, {"other": 1.0}), Report(1, {})]
        reports[4] = [*reports[4][:3], Report(3, {"other": 1.0})]
        view = view_of(reports, running=[2, 4])
        assert make_stopper().decide(2, view).action == "continue"
        assert isinstance(make_stopper().decide(4, view), Decision)

    def test_trials_without_a_result_do_no_harm(self, make_stopper: MakeStopper) -> None:
        reports = dict(enumerate(map(reported, curves())))
        states = {
            k: s
            for k, s in enumerate((*TrialState, *TrialState))
            if s is not TrialState.COMPLETE and k != 3
        }
        cut = {k: r[: 2 + k % 5] if k in states else r for k, r in reports.items()}
        view = view_of(cut, running=[3], states=states)
        assert isinstance(make_stopper().decide(3, view), Decision)

    def test_the_view_is_not_changed(self, make_stopper: MakeStopper) -> None:
        reports = dict(enumerate(map(reported, curves())))
        view = view_of(reports, running=[7])
        before = copy.deepcopy((dict(reports), list(view.history)))
        make_stopper().decide(7, view)
        assert repr((dict(view.reports), list(view.history))) == repr(before)

    def test_an_unknown_metric_is_an_error_with_the_close_name(
        self, make_stopper: MakeStopper
    ) -> None:
        if not self.names_a_metric:
            pytest.skip("takes no metric")
        reports = dict(enumerate(map(reported, curves())))
        with pytest.raises(InvalidArgument, match='did you mean "loss"'):
            make_stopper(metric="los").decide(7, view_of(reports, running=[7]))

    def test_a_metric_that_is_no_objective_is_watched_by_its_direction(
        self, make_stopper: MakeStopper
    ) -> None:
        if not self.names_a_metric:
            pytest.skip("takes no metric")
        found = [c for c in curves() if sum(c) < 1e30]  # NaN would change the final states
        plain = dict(enumerate(map(reported, found)))
        reports = {
            k: [Report(r.step, {"loss": 1.0, "error": r.metrics["loss"]}) for r in curve]
            for k, curve in plain.items()
        }
        for k in reports:
            there, here = {**reports, k: reports[k][:4]}, {**plain, k: plain[k][:4]}
            stopper = make_stopper(metric="error", direction="minimize")
            decision = stopper.decide(k, view_of(there, running=[k]))
            assert decision.action == make_stopper().decide(k, view_of(here, running=[k])).action

    def test_several_objectives_are_understood(self, make_stopper: MakeStopper) -> None:
        reports = {
            k: [Report(r.step, {**r.metrics, "speed": float(k % 7)}) for r in curve]
            for k, curve in enumerate(map(reported, curves()))
        }
        options = {"metric": "loss"} if self.names_a_metric else {}
        view = view_of({**reports, 3: reports[3][:4]}, running=[3], objectives=TWO)
        assert isinstance(make_stopper(**options).decide(3, view), Decision)
        if self.needs_one_metric:
            with pytest.raises(InvalidArgument, match="metric="):
                make_stopper().decide(3, view)
        else:
            assert isinstance(make_stopper().decide(3, view), Decision)
