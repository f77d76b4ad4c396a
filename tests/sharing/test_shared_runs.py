"""Several studies in one run: shares over time, quotas, pre-emption, and what goes on after it."""

import threading
import time
from collections import Counter
from pathlib import Path

import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument, SpaceExhausted, TunekitError
from tunekit.executors.simulated import Replay, SimulatedExecutor
from tunekit.records import TrialState
from tunekit.samplers.random import RandomSampler
from tunekit.sharing.shared_run import SharedRun

SPACE = tk.Space(x=tk.Float(0, 1))


def study(name, **options):
    return tk.study(name, space=SPACE, sampler="random", seed=3, **options)


def hours(n_steps=4, step_s=900.0):
    """A trial of an hour or so; how long differs from trial to trial."""

    def curves(params):
        scale = 0.5 + params["x"]
        return [(step_s * scale, {"value": params["x"] + 1 / (i + 1)}) for i in range(n_steps)]

    return Replay(curves)


class Watch:
    """Adds up, on the virtual clock, how many slots each study holds."""

    def __init__(self, shared):
        self.held = Counter()
        self.most = Counter()
        self.log = []
        self._shared, self._pool, self._poll = shared, shared._pool, shared._pool.poll
        self._pool.poll = self.look

    def look(self, timeout_s):
        now = self._pool.now_s
        running = {m.study.name: len(m.slice.running) for m in self._shared._members}
        self.log.append((now, running))
        self._poll(timeout_s)
        for name, n in running.items():
            self.held[name] += n * (self._pool.now_s - now)
            self.most[name] = max(self.most[name], n)


def told(study):
    """Return how often each trial was told."""
    out, after = Counter(), 0
    while page := study.storage.events(study.id, after):
        out.update(e.number for e in page if e.kind == "told")
        after = page[-1].seq
    return out


def test_the_weights_two_to_one_give_twice_the_slots_over_time():
    shared = SharedRun(SimulatedExecutor(30))
    a, b = study("a"), study("b")
    shared.add(a, hours(), n_trials=400, weight=2)
    shared.add(b, hours(), n_trials=200)
    watch = Watch(shared)
    assert shared.run() == {"a": "done", "b": "done"}
    assert watch.held["a"] / watch.held["b"] == pytest.approx(2, rel=0.05)
    full = [t for t, running in watch.log if sum(running.values()) == 30]
    assert full[-1] > 0.93 * watch.log[-1][0], "but for the end, no slot stays free"
    assert [sum(r.values()) for t, r in watch.log if t <= full[-1]] == [30] * len(full)
    assert all(sum(running.values()) <= 30 for _, running in watch.log)
    for s, n in ((a, 400), (b, 200)):
        assert s.refresh().counts() == {TrialState.COMPLETE: n}
        assert told(s) == dict.fromkeys(range(n), 1)


def test_one_slot_is_shared_in_turns():
    shared = SharedRun(SimulatedExecutor(1))
    shared.add(study("a"), hours(), n_trials=60, weight=2)
    shared.add(study("b"), hours(), n_trials=30)
    watch = Watch(shared)
    shared.run()
    assert watch.held["a"] / watch.held["b"] == pytest.approx(2, rel=0.1)
    middle = [r for t, r in watch.log if t < watch.log[-1][0] / 2]
    assert sum(r["b"] for r in middle) > len(middle) / 5


def test_an_owner_stays_within_its_quota_and_others_use_the_rest():
    shared = SharedRun(SimulatedExecutor(10))
    shared.add(study("a"), hours(), n_trials=20, owner="ada", weight=5, quota=4)
    shared.add(study("b"), hours(), n_trials=20, owner="ada", weight=5)
    shared.add(study("c"), hours(), n_trials=80, owner="bob")
    watch = Watch(shared)
    shared.run()
    both = [r.get("a", 0) + r.get("b", 0) for _, r in watch.log]
    assert max(both) == 4
    assert watch.most["c"] == 10, "the slots of those that have ended go to the rest"
    assert watch.log[0][1] == {"a": 2, "b": 2, "c": 6}


def test_a_more_urgent_study_that_comes_later_gets_its_slots_at_once():
    shared = SharedRun(SimulatedExecutor(8), min_run_s=0)
    calm, urgent = study("calm"), study("urgent")

    def arrive(_, trial):
        if trial.number == 0:
            shared.add(urgent, hours(), n_trials=12, priority=1, quota=6, owner="ada")

    shared.add(calm, hours(n_steps=20), n_trials=24, callbacks=arrive)
    watch = Watch(shared)
    assert shared.run() == {"calm": "done", "urgent": "done"}
    assert watch.most["urgent"] == 6
    first = next(i for i, (_, r) in enumerate(watch.log) if "urgent" in r)
    assert watch.log[first + 1][1]["urgent"] == 6
    events = calm.storage.events(calm.id, limit=10_000)
    preempted = Counter(e.number for e in events if e.kind == "preempted")
    assert len(preempted) == 5, "one slot was free, as a trial had ended"
    assert calm.refresh().counts() == {TrialState.COMPLETE: 24}
    assert told(calm) == dict.fromkeys(range(24), 1)
    assert not [e for e in urgent.storage.events(urgent.id) if e.kind == "preempted"]


def test_nothing_is_pre_empted_before_it_has_run_for_a_while():
    shared = SharedRun(SimulatedExecutor(4), min_run_s=1e9)
    calm, late = study("calm"), study("late")

    def arrive(_, trial):
        if trial.number == 0:
            shared.add(late, hours(), n_trials=4, priority=1)

    shared.add(calm, hours(), n_trials=12, callbacks=arrive)
    shared.run()
    assert not [e for e in calm.storage.events(calm.id) if e.kind == "preempted"]
    assert late.refresh().counts() == {TrialState.COMPLETE: 4}


def test_a_study_that_breaks_leaves_its_slots_to_the_others():
    class Broken:
        name = "broken"

        def suggest(self, view, numbers):
            raise ZeroDivisionError("sampler")

    shared = SharedRun(SimulatedExecutor(4))
    bad = tk.study("bad", space=SPACE, sampler=Broken())
    good = study("good")
    shared.add(bad, hours(), n_trials=4)
    shared.add(good, hours(), n_trials=8)
    assert shared.run() == {"bad": "failed", "good": "done"}
    assert isinstance(shared.errors["bad"], ZeroDivisionError)
    assert bad.refresh().counts() == {}, "no number was claimed for a point that is not there"
    assert good.refresh().counts() == {TrialState.COMPLETE: 8}


@pytest.mark.parametrize("slots", [1, 4, 30])
def test_all_studies_together_start_as_many_trials_as_the_run_may(slots):
    shared = SharedRun(SimulatedExecutor(slots), n_trials=9)
    studies = [study("a"), study("b"), study("c")]
    for s in studies:
        shared.add(s, hours())
    assert shared.run() == {"a": "done", "b": "done", "c": "done"}
    trials = [t for s in studies for t in s.trials]
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 9, "none was given back"


def test_the_limit_of_a_study_holds_beside_that_of_the_run():
    shared = SharedRun(SimulatedExecutor(4), n_trials=9)
    few, many = study("few"), study("many")
    shared.add(few, hours(), n_trials=2)
    shared.add(many, hours(), n_trials=20)
    shared.run()
    assert (len(few.trials), len(many.trials)) == (2, 7)


def test_what_a_study_claims_and_does_not_start_is_left_to_the_others():
    class Ends(RandomSampler):
        may_end = False

        def suggest(self, view, numbers):
            if min(numbers) > 2:
                raise SpaceExhausted("no further point")
            return super().suggest(view, numbers)

    shared = SharedRun(SimulatedExecutor(4), n_trials=9)
    ending, good = tk.study("ending", space=SPACE, sampler=Ends()), study("good")
    shared.add(ending, hours())
    shared.add(good, hours())
    assert shared.run() == {"ending": "exhausted", "good": "done"}
    n = ending.refresh().counts()[TrialState.COMPLETE]
    assert n >= 1
    assert good.refresh().counts() == {TrialState.COMPLETE: 9 - n}


def test_promotions_and_total_trials_come_to_their_end_in_a_full_pool():
    shared = SharedRun(SimulatedExecutor(3))
    options = {"eta": 2, "min_resource": 1, "mode": "promote"}
    racing = study("racing", stopper="asha", stopper_options=options)
    shared.add(racing, hours(n_steps=10), n_trials=16)
    shared.add(study("other"), hours(), total_trials=10)
    assert shared.run() == {"racing": "done", "other": "done"}
    counts = racing.refresh().counts()
    assert set(counts) <= {TrialState.COMPLETE, TrialState.PAUSED}
    assert counts[TrialState.COMPLETE] >= 1 and sum(counts.values()) == 16


def test_studies_of_a_pool_of_processes_run_their_own_objectives(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    shared = tk.share(2)
    offsets = {"a": 10.0, "b": 20.0}
    studies = {name: study(name, storage=url) for name in offsets}
    for name, offset in offsets.items():
        shared.add(studies[name], lambda t, offset=offset: offset + t.number, n_trials=6)
    assert shared.run() == {"a": "done", "b": "done"}
    for name, offset in offsets.items():
        assert [t.metrics["value"] for t in studies[name].trials] == [offset + n for n in range(6)]


def saving(trial):
    """Save each step; of the study "calm", trial 1 hangs after two until it gives way."""
    kept, marker = trial.checkpoint_dir / "steps", Path(trial.user_attrs["marker"])
    begin = 0 if trial.resumed_from is None else trial.resumed_from + 1
    assert (kept.read_text() if kept.exists() else "") == "0123"[:begin]
    for step in range(begin, 4):
        kept.write_text("0123"[: step + 1])
        trial.report(float(step), step, checkpoint=True)
        if trial.study_name == "calm" and trial.number == 1 and step == 1 and not begin:
            marker.touch()
            threading.Event().wait()
    while trial.number == 0 and not marker.exists():
        time.sleep(0.01)
    trial.set_user_attr("begin", begin)
    return trial.params["x"]


@pytest.mark.parametrize("executor", ["process", pytest.param("ray", marks=pytest.mark.ray)])
def test_a_trial_that_gives_way_goes_on_from_its_checkpoint_and_ends_once(tmp_path, executor):
    options = {"storage": f"sqlite:///{tmp_path}/s.db", "checkpoints": tmp_path / "c"}
    shared = tk.share(2, executor=executor, min_run_s=0)
    calm, urgent = study("calm", **options), study("urgent", **options)
    for s in (calm, urgent):
        for _ in range(5):
            s.enqueue_trial({}, user_attrs={"marker": str(tmp_path / "marker")})

    def arrive(_, trial):
        if trial.number == 0:
            shared.add(urgent, saving, total_trials=5, priority=1)

    shared.add(calm, saving, total_trials=5, callbacks=arrive)
    assert shared.run() == {"calm": "done", "urgent": "done"}
    events = calm.storage.events(calm.id)
    preempted = Counter(e.number for e in events if e.kind == "preempted")
    assert preempted[1] == 1, "nothing else could have ended it"
    assert calm.trials[1].user_attrs["begin"] == 2
    assert told(urgent) == told(calm) == dict.fromkeys(range(5), 1)
    for s in (calm, urgent):
        assert s.refresh().counts() == {TrialState.COMPLETE: 5}
        assert all([r.step for r in s.reports()[n]] == [0, 1, 2, 3] for n in range(5))


def test_what_cannot_be_right_is_refused_at_the_door():
    shared = tk.share()
    mine = study("mine")
    shared.add(mine, lambda t: 0.0, n_trials=1)
    with pytest.raises(InvalidArgument, match="takes part already"):
        shared.add(mine, lambda t: 0.0)
    for wrong in ({"weight": 0}, {"priority": 1.5}, {"quota": -1}, {"n_trials": -1}):
        with pytest.raises(InvalidArgument, match=next(iter(wrong))):
            shared.add(study("other"), lambda t: 0.0, **wrong)
    with pytest.raises(InvalidArgument, match="min_run_s"):
        tk.share(min_run_s=-1)
    with pytest.raises(InvalidArgument, match="expected a function"):
        shared.add(study("third"), 3)
    with pytest.raises(InvalidArgument, match=r"tk\.study"):
        shared.add("mine", lambda t: 0.0)
    assert shared.run() == {"mine": "done"}


class LateSlots(SimulatedExecutor):
    """Has no slot before it was polled three times, as a cluster that is still growing."""

    def __init__(self, slots):
        super().__init__(slots)
        self.coming, self.slots, self.polls = slots, 0, 0

    def poll(self, timeout_s):
        self.polls += 1
        self.slots = self.coming if self.polls > 3 else 0
        return super().poll(timeout_s)


def test_slots_that_come_while_nothing_runs_are_used():
    shared = SharedRun(LateSlots(2))
    one = study("one")
    shared.add(one, hours(), n_trials=4, timeout=20)
    assert shared.run() == {"one": "done"}
    assert one.refresh().counts() == {TrialState.COMPLETE: 4}


def test_paused_trials_that_may_not_go_on_hold_no_slot_back():
    shared = SharedRun(SimulatedExecutor(4), min_run_s=0)
    options = {"eta": 4, "min_resource": 1, "mode": "promote"}
    racing, other = study("racing", stopper="asha", stopper_options=options), study("other")
    shared.add(racing, hours(n_steps=40), n_trials=8, priority=1)
    shared.add(other, hours(), n_trials=60)
    watch = Watch(shared)
    assert shared.run() == {"racing": "done", "other": "done"}
    assert racing.refresh().counts()[TrialState.PAUSED] > 0
    busy = [r for _, r in watch.log if len(r) == 2]
    assert len(busy) > 10
    assert all(sum(r.values()) == 4 for r in busy), "a slot stays free though there is work"
    # Each trial that gave way let one of the racing ones run.
    preempted = sum(e.kind == "preempted" for e in other.storage.events(other.id, limit=10_000))
    claimed = sum(e.kind == "claimed" for e in racing.storage.events(racing.id, limit=10_000))
    assert preempted <= claimed


def test_a_study_that_was_away_catches_up_with_nobody(monkeypatch):
    monkeypatch.setattr("tunekit.driver.orchestrator.LOOK_S", 0.0)
    shared = SharedRun(SimulatedExecutor(1))
    calm, away = study("calm"), study("away")
    away.pause()

    def come_back(_, trial):
        if trial.number == 20:
            away.resume()

    shared.add(calm, hours(), n_trials=40, callbacks=come_back)
    shared.add(away, hours(), n_trials=20)
    watch = Watch(shared)
    shared.run()
    turns = [next(k for k, n in r.items() if n) for _, r in watch.log if any(r.values())]
    assert turns[:20] == ["calm"] * 20
    assert 6 <= turns[22:40].count("calm") <= 12, "they take turns"


def test_a_study_that_is_gone_before_it_comes_in_leaves_the_others_alone(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    shared = SharedRun(SimulatedExecutor(2))
    gone, good = study("gone", storage=url), study("good", storage=url)
    shared.add(gone, hours(), n_trials=4)
    shared.add(good, hours(), n_trials=4)
    gone.storage.delete_study("gone")
    assert shared.run() == {"gone": "failed", "good": "done"}
    assert isinstance(shared.errors["gone"], TunekitError)


def test_a_study_that_is_cancelled_before_it_comes_in_does_not_begin():
    shared = SharedRun(SimulatedExecutor(2))
    unwanted = study("unwanted")
    shared.add(unwanted, hours(), n_trials=4)
    unwanted.cancel()
    assert shared.run() == {"unwanted": "cancelled"}
    assert not unwanted.trials


def test_a_run_that_is_over_takes_no_study_in_silence():
    shared = SharedRun(SimulatedExecutor(2))
    shared.add(study("first"), hours(), n_trials=1)
    shared.run()
    with pytest.raises(InvalidArgument, match="the run is over"):
        shared.add(study("late"), hours(), n_trials=1)
    with pytest.raises(InvalidArgument, match="it has run"):
        shared.run()


def test_what_is_refused_may_be_added_again_when_it_is_right():
    shared = SharedRun(SimulatedExecutor(2))
    first = study("first")
    with pytest.raises(InvalidArgument, match="callbacks"):
        shared.add(first, hours(), n_trials=1, callbacks=[3])
    with pytest.raises(InvalidArgument, match="owner"):
        shared.add(first, hours(), n_trials=1, owner=["ada"])
    shared.add(first, hours(), n_trials=1)
    assert shared.run() == {"first": "done"}
