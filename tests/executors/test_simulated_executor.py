import gzip
import json
import math
from pathlib import Path

import pytest

from tunekit.errors import InvalidArgument, TrialStopped
from tunekit.executors.base import Task
from tunekit.executors.simulated import Replay, SimulatedExecutor
from tunekit.history import History
from tunekit.records import CONTINUE, Decision, ObjectiveSpec, Outcome, TrialRecord, TrialState
from tunekit.spaces import Params
from tunekit.stoppers.base import CurveView
from tunekit.stoppers.median import MedianStopper
from tunekit.testing.executors import ExecutorConformance, make_task

TASKSET = Path(__file__).parents[3] / "shared" / "data" / "taskset"
LOSS = (ObjectiveSpec("loss"),)


class TestSimulated(ExecutorConformance):
    def make(self):
        return SimulatedExecutor(2, duration=lambda params: 3.0)


def opened(objective, slots=4, on_report=lambda number, report: CONTINUE, **options):
    executor = SimulatedExecutor(slots, **options)
    executor.open(objective, on_report)
    return executor


def steps(trial):
    for k in range(3):
        yield trial.params["pace"], {"loss": 1.0 / (k + 1)}


def test_the_clock_jumps_from_end_to_end():
    executor = opened(steps)
    for number, pace in enumerate([300.0, 100.0, 200.0]):
        executor.start(make_task(number, pace=pace))
    seen = [(e.number, executor.clock) for _ in range(3) for e in executor.poll(0)]
    assert seen == [(1, 300.0), (2, 600.0), (0, 900.0)]
    assert executor.poll(1e9) == []


def test_a_later_task_starts_at_the_present_of_the_clock():
    executor = opened(steps, slots=1)
    for number in range(3):
        executor.start(make_task(number, pace=10.0))
        executor.poll(0)
    assert executor.clock == 90.0


def test_events_at_one_time_come_by_trial_number():
    order = []

    def on_report(number, report):
        order.append((report.step, number))
        return CONTINUE

    executor = opened(steps, on_report=on_report)
    for number in (3, 1, 2, 0):
        executor.start(make_task(number, pace=5.0))
    assert [e.number for e in executor.poll(0)] == [0, 1, 2, 3]
    assert order == [(k, n) for k in range(3) for n in range(4)]


def test_the_last_metrics_are_the_result_unless_one_is_returned():
    def returning(trial):
        yield 1.0, None
        yield 1.0, 0.5
        return 0.25

    for objective, result in ((steps, 1 / 3), (returning, 0.25)):
        executor = opened(objective)
        executor.start(make_task(0, pace=1.0))
        assert executor.poll(0)[0].outcome.metrics == {"loss": result}


def test_a_stopped_trial_frees_its_slot_at_that_time_and_may_clean_up():
    cleaned = []

    def objective(trial):
        try:
            yield from steps(trial)
        finally:
            cleaned.append(trial.number)

    executor = opened(objective, on_report=lambda n, r: Decision("stop", "hopeless"))
    executor.start(make_task(0, pace=7.0))
    outcome = executor.poll(0)[0].outcome
    assert (outcome.state, outcome.metrics) == (TrialState.STOPPED, {"loss": 1.0})
    assert (executor.clock, cleaned) == (7.0, [0])


def test_a_stop_from_outside_ends_a_trial_without_moving_the_clock():
    executor = opened(steps)
    for number in range(2):
        executor.start(make_task(number, pace=5.0))
    cancelled = Outcome(TrialState.CANCELLED)
    executor.stop(0, cancelled)
    assert [(e.number, e.outcome) for e in executor.poll(0)] == [(0, cancelled)]
    assert executor.clock == 0.0
    assert [e.number for e in executor.poll(0)] == [1]


@pytest.mark.parametrize(
    "step", [1.0, (1.0,), (-1.0, 1.0), (math.nan, 1.0), (math.inf, 1.0), ("1", 1.0), (1.0, "x")]
)
def test_a_step_that_is_no_step_fails_the_trial(step):
    def objective(trial):
        yield step

    executor = opened(objective)
    executor.start(make_task(0))
    assert executor.poll(0)[0].outcome.state is TrialState.FAILED


def test_an_objective_may_raise_between_its_steps():
    def objective(trial):
        yield 4.0, 1.0
        raise TrialStopped("enough") if trial.number else ValueError("boom")

    executor = opened(objective)
    executor.start(make_task(0))
    executor.start(make_task(1))
    states = [e.outcome.state for e in executor.poll(0)]
    assert states == [TrialState.FAILED, TrialState.STOPPED]
    assert executor.clock == 4.0


def test_a_plain_function_needs_a_duration():
    with pytest.raises(InvalidArgument, match="duration"):
        opened(lambda trial: 1.0)
    executor = opened(lambda trial: 1.0, duration=lambda params: params["pace"])
    executor.start(make_task(0, pace=60.0))
    executor.poll(0)
    assert executor.clock == 60.0


def test_slots_below_one_are_refused():
    with pytest.raises(InvalidArgument):
        SimulatedExecutor(0)


def run_curves(curves, stopper, slots):
    """Replay all curves on `slots` virtual machines of one hour a step; return clock, ends."""
    history, reports, ended = History(LOSS), {}, []

    def on_report(number, report):
        reports.setdefault(number, []).append(report)
        return stopper.decide(number, CurveView(LOSS, history, reports)) if stopper else CONTINUE

    def replay(params):
        return ((3600.0, {"loss": v}) for v in curves[params["row"]])

    executor = opened(Replay(replay), slots, on_report)
    waiting = list(range(len(curves)))
    running = 0
    while waiting or running:
        while waiting and running < slots:
            number = waiting.pop(0)
            executor.start(Task("taskset", number, 1, Params(row=number), LOSS))
            running += 1
        for end in executor.poll(0):
            running -= 1
            ended.append(end)
            seq = len(ended)
            metrics = end.outcome.metrics
            history.update([TrialRecord(end.number, end.outcome.state, seq, metrics=metrics)], seq)
    return executor.clock, ended


def test_a_thousand_recorded_gpu_hours_replay_and_stopping_saves_most_of_them():
    file = TASKSET / "FixedTextRNNClassification_imdb_patch32_GRU128_bs128.json.gz"
    if not file.exists():
        pytest.skip(f"needs the recorded curves {file}")
    rows = json.loads(gzip.decompress(file.read_bytes()))[:100]
    curves = [[math.nan if v is None else v for v in r["valid"]["loss"]] for r in rows]
    n_steps = sum(map(len, curves))
    full_s, full = run_curves(curves, None, 4)
    assert full_s >= n_steps * 3600 / 4 >= 1000 * 3600
    assert run_curves(curves, None, 4) == (full_s, full)

    stopped_s, stopped = run_curves(curves, MedianStopper(min_reports=10), 4)
    assert sum(e.outcome.state is TrialState.STOPPED for e in stopped) > 20
    assert stopped_s < full_s / 1.5

    def best(ended):
        done = [e for e in ended if e.outcome.state is TrialState.COMPLETE]
        return min(e.outcome.metrics["loss"] for e in done)

    assert best(stopped) <= 1.02 * best(full)
