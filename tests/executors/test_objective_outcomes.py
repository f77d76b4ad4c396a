import json
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.errors import InvalidArgument, InvalidResult, TrialStopped, UnknownParameter
from tunekit.executors.base import Limits, Task
from tunekit.executors.inline import InlineExecutor
from tunekit.executors.objective import run_objective
from tunekit.executors.trial import Trial
from tunekit.records import CONTINUE, Decision, ObjectiveSpec, Outcome, Report, TrialState
from tunekit.spaces import Params

LOSS = (ObjectiveSpec("loss"),)
TWO = (ObjectiveSpec("loss"), ObjectiveSpec("latency"))
STOP = Decision("stop", "too slow", {"threshold": 0.5})


def task(number=3, objectives=LOSS, params=None, seed=7, **more):
    params = Params({"model.svm.C": 2.0, "model": "svm"} if params is None else params)
    return Task("s", number, 1, params, objectives, seed=seed, **more)


def trial(decision=CONTINUE, **more):
    return Trial(task(**more), lambda report: decision)


def outcome(objective, decision=CONTINUE, **more) -> Outcome:
    return run_objective(objective, trial(decision, **more))[0]


@pytest.mark.parametrize(
    "result",
    [
        2,
        2.0,
        np.float32(2),
        np.array(2.0),
        np.array([2]),
        np.array([[2.0]]),
        Decimal(2),
        Fraction(4, 2),
        [2],
        (2,),
        {"loss": 2},
        {"loss": 2, "x": 1},
        {"loss": np.array([2])},
    ],
)
def test_numbers_sequences_and_mappings_are_results(result):
    out = outcome(lambda t: result)
    assert out.state is TrialState.COMPLETE
    assert out.metrics["loss"] == 2.0


@pytest.mark.parametrize(
    "garbage",
    [
        None,
        "2",
        "two",
        object(),
        [1, 2],
        {},
        {"loss": None},
        {"los": 1},
        {1: 2},
        2j,
        Decimal("sNaN"),
        np.array([1, 2]),
        np.array(["2"]),
        np.array([]),
    ],
)
def test_garbage_results_fail_with_what_was_expected(garbage):
    out = outcome(lambda t: garbage)
    assert out.state is TrialState.FAILED
    assert "loss" in out.reason or "1 objectives" in out.reason
    assert not out.metrics


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400])
def test_a_result_that_is_not_finite_has_diverged(value):
    out = outcome(lambda t: {"loss": 1.0, "latency": value}, objectives=TWO)
    assert out.state is TrialState.DIVERGED
    assert '"latency"' in out.reason


def test_a_metric_that_is_no_objective_may_be_nan():
    assert outcome(lambda t: {"loss": 1.0, "other": math.nan}).state is TrialState.COMPLETE


def test_divergence_names_the_step_since_which_the_metric_was_nan():
    def objective(t):
        for step, value in enumerate([math.nan, 1.0, math.nan, math.nan]):
            t.report(value, step)
        return math.nan

    assert outcome(objective).reason.endswith("since step 2")


def test_a_stopped_trial_keeps_its_last_report_and_the_reason_and_evidence():
    def objective(t):
        t.report({"loss": 0.7, "aux": 3}, step=4)
        raise AssertionError("not reached")

    out = outcome(objective, STOP)
    assert out.state is TrialState.STOPPED
    assert out.metrics == {"loss": 0.7, "aux": 3.0}
    assert (out.reason, out.evidence) == ("too slow", {"threshold": 0.5})


def test_a_stopped_trial_whose_last_report_is_nan_has_diverged():
    assert outcome(lambda t: t.report(math.nan, 0), STOP).state is TrialState.DIVERGED


def test_optunas_way_to_prune_stops_the_trial():
    def objective(t):
        t.report(0.7, 1, raise_on_stop=False)
        if t.should_prune():
            raise optuna.TrialPruned()

    out = outcome(objective, STOP)
    assert (out.state, out.metrics, out.reason) == (TrialState.STOPPED, {"loss": 0.7}, "too slow")


def test_a_value_returned_after_the_decision_to_stop_is_a_stopped_result():
    def objective(t):
        return 0.6 if t.report(0.7, 1, raise_on_stop=False).action == "stop" else 0.1

    out = outcome(objective, STOP)
    assert (out.state, out.metrics) == (TrialState.STOPPED, {"loss": 0.6})


def test_an_objective_may_stop_itself():
    def objective(t):
        raise TrialStopped("diverging already")

    out = outcome(objective)
    assert (out.state, out.reason, out.metrics) == (TrialState.STOPPED, "diverging already", {})


def test_an_exception_fails_with_its_traceback_without_our_frames():
    def objective(t):
        try:
            [][1]
        except IndexError:
            raise ValueError("bad\nlearning rate") from None

    out = outcome(objective)
    assert out.state is TrialState.FAILED
    assert out.reason == "ValueError: bad"
    assert "in objective" in out.error and "tunekit/executors" not in out.error


def test_an_exception_that_cannot_be_printed_fails_all_the_same():
    class Rude(Exception):
        def __str__(self):
            raise RuntimeError

    def objective(t):
        raise Rude

    assert "Rude" in outcome(objective).reason


def test_an_endless_message_is_cut():
    def objective(t):
        raise ValueError("x" * 10**6)

    out = outcome(objective)
    assert len(out.reason) <= 300 and len(out.error) < 40_000


def test_exit_fails_and_interrupt_passes():
    def leave(t):
        raise SystemExit(3)

    def interrupt(t):
        raise KeyboardInterrupt

    assert outcome(leave).reason == "the objective called sys.exit(3)"
    with pytest.raises(KeyboardInterrupt):
        outcome(interrupt)


class OutOfMemoryError(RuntimeError):
    """As torch.cuda has it."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        np._core._exceptions._ArrayMemoryError((10,), np.dtype(float)),
        OutOfMemoryError("CUDA"),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate"),
    ],
)
def test_running_out_of_memory_has_one_reason(error):
    def objective(t):
        raise error

    out = outcome(objective)
    assert (out.state, out.reason) == (TrialState.FAILED, "out of memory")


@pytest.mark.parametrize("step", [-1, 1.5, "1", None, True])
def test_a_report_needs_a_whole_step(step):
    with pytest.raises(InvalidArgument, match="whole number"):
        trial().report(1.0, step)


def test_a_report_needs_numbers_but_not_every_objective():
    seen = []
    handle = Trial(task(objectives=TWO), lambda r: seen.append(r) or CONTINUE)
    handle.report(1, np.int64(0))
    handle.report({"latency": 2}, 1)
    assert seen == [Report(0, {"loss": 1.0}), Report(1, {"latency": 2.0})]
    with pytest.raises(InvalidResult):
        handle.report("a lot", 2)


def test_declared_parameters_answer_suggestions():
    handle = trial()
    assert handle.suggest_float("C", 0, 1) == 2.0
    assert handle.suggest_categorical("model", ["svm"]) == "svm"
    with pytest.raises(UnknownParameter, match='did you mean "model"'):
        handle.suggest_int("modle", 0, 1)


@given(st.integers(0, 2**63), st.integers(0, 10**6))
def test_the_seed_is_the_same_for_the_same_trial(seed, number):
    first, again = trial(seed=seed, number=number), trial(seed=seed, number=number)
    assert first.seed == again.seed != trial(seed=seed, number=number + 1).seed
    assert 0 <= first.seed < 2**32


def test_user_attributes_are_plain_json():
    handle = trial(user_attrs={"by": "me"})
    handle.set_user_attr("n", np.int64(3))
    assert json.dumps(handle.user_attrs) == '{"by": "me", "n": 3}'
    for key, value in [("x", object()), ("x", math.nan), ("", 1), (1, 1)]:
        with pytest.raises(InvalidArgument):
            handle.set_user_attr(key, value)
    assert "n" in run_objective(lambda t: t.set_user_attr("n", 1) or 1, trial())[0].user_attrs


@pytest.mark.parametrize(
    "limits", [Limits(timeout_s=5), Limits(memory_mib=10), Limits(resources={"gpu": 1})]
)
def test_the_inline_executor_refuses_limits_that_it_cannot_keep(limits):
    with pytest.raises(InvalidArgument, match='executor="process"'):
        InlineExecutor(limits)


def test_an_interrupt_leaves_the_inline_executor_usable():
    def objective(t):
        if t.number == 0:
            raise KeyboardInterrupt
        return 1.0

    executor = InlineExecutor()
    executor.open(objective, lambda n, r: CONTINUE)
    with pytest.raises(KeyboardInterrupt):
        executor.start(task(0))
    assert executor.poll(0) == []
    executor.start(task(1))
    assert [e.number for e in executor.poll(0)] == [1]


def asking(t):
    """Ask in an order that depends on the trial."""
    names = ["lr", "n", "kind"]
    for name in names if t.number % 2 else reversed(names):
        if name == "lr":
            t.suggest_float("lr", 1e-4, 1.0, log=True)
        elif name == "n":
            t.suggest_int("n", 1, 100)
        else:
            t.suggest_categorical("kind", ["a", "b"])
    return 1.0


def test_an_open_program_gets_what_was_proposed_where_it_is_valid():
    proposed = Params({"lr": 0.01, "n": 1000, "gone": 3})
    out = outcome(asking, is_open=True, params=proposed)
    assert out.params["lr"] == 0.01
    assert 1 <= out.params["n"] <= 100, "the proposed value is outside of the range asked for"
    assert set(out.params) == set(out.domains) == {"lr", "n", "kind"}


@given(st.integers(0, 2**32))
def test_an_open_program_draws_the_same_in_any_order_of_asking(seed):
    def backwards(t):
        t.suggest_categorical("kind", ["a", "b"])
        t.suggest_int("n", 1, 100)
        t.suggest_float("lr", 1e-4, 1.0, log=True)
        return 1.0

    options = {"is_open": True, "params": Params(), "seed": seed, "number": 1}
    assert outcome(asking, **options).params == outcome(backwards, **options).params
    other = outcome(asking, **{**options, "seed": seed + 1}).params
    assert outcome(asking, **options).params["lr"] != other["lr"]


def test_a_failed_open_program_keeps_what_it_asked():
    def objective(t):
        t.suggest_float("lr", 0, 1)
        raise ValueError

    out = outcome(objective, is_open=True, params=Params())
    assert set(out.params) == set(out.domains) == {"lr"}
