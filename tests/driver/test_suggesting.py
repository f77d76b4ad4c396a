"""A slow sampler works beside the loop: reports, heartbeats and stops do not wait for it."""

import threading
from functools import partial
from pathlib import Path

import pytest

import tunekit as tk
from tunekit.driver import held_leases
from tunekit.errors import SpaceExhausted
from tunekit.samplers.random import RandomSampler

PATIENCE_S = 60.0
SPACE = tk.Space(x=tk.Float(0, 1))


class Slow(RandomSampler):
    """Waits with its later proposals until it may go on."""

    name = "slow"

    def __init__(self, n_fast=1):
        self.may_go = threading.Event()
        self.asked = threading.Event()
        self.n_fast = n_fast

    def suggest(self, view, numbers):
        if numbers[0] >= self.n_fast:
            self.asked.set()
            assert self.may_go.wait(PATIENCE_S)
        return super().suggest(view, numbers)


def reports_until_told(folder, trial):
    """Report steps until a file says that it is enough; the first trial only."""
    step = 0
    while trial.number == 0 and not (folder / "enough").exists():
        step += 1
        trial.report(float(step), step)
    return trial.params["x"]


def watch(look, *, then):
    """Call `look` on a thread until it is true, then `then`; return the thread."""

    def run():
        done = threading.Event()
        for _ in range(int(PATIENCE_S / 0.01)):
            if look():
                break
            done.wait(0.01)
        then()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_reports_are_stored_while_a_slow_sampler_works(tmp_path):
    url = f"sqlite:///{tmp_path}/studies.db"
    sampler = Slow(n_fast=1)
    study = tk.study("slow", space=SPACE, sampler=sampler, storage=url)
    reader = tk.load_study("slow", storage=url, sampler="random")
    seen = []

    def grows():
        seen.append(len(reader.reports([0]).get(0, ())) if sampler.asked.is_set() else 0)
        return sampler.asked.is_set() and seen[-1] > next((n for n in seen if n), seen[-1])

    def let_go():
        sampler.may_go.set()
        Path(tmp_path / "enough").touch()

    thread = watch(grows, then=let_go)
    study.optimize(partial(reports_until_told, tmp_path), n_trials=3, workers=2)
    thread.join()
    assert seen[-1] > min(n for n in seen if n), "no report arrived while the sampler worked"
    assert [t.state for t in study.trials] == ["complete"] * 3
    assert study.replay() == []


def test_a_lease_is_renewed_while_its_params_are_being_found(tmp_path, monkeypatch):
    renewed = threading.Event()
    sampler = Slow(n_fast=0)

    class Watched(held_leases.HeldLeases):
        def renew(self):
            super().renew()
            if sampler.asked.is_set():
                renewed.set()

    monkeypatch.setattr("tunekit.driver.orchestrator.HeldLeases", Watched)
    thread = watch(renewed.is_set, then=sampler.may_go.set)
    study = tk.study("slow", space=SPACE, sampler=sampler)
    study.optimize(abs_of_x, n_trials=1, workers=2, lease_s=0.3)
    thread.join()
    assert renewed.is_set()
    assert [(t.state, t.epoch) for t in study.trials] == [("complete", 1)]


def abs_of_x(trial):
    return abs(trial.params["x"])


def test_an_error_of_the_sampler_ends_the_run_and_gives_the_trial_back():
    class Broken(RandomSampler):
        def suggest(self, view, numbers):
            raise ZeroDivisionError("no idea")

    study = tk.study(space=SPACE, sampler=Broken())
    with pytest.raises(ZeroDivisionError, match="no idea"):
        study.optimize(abs_of_x, n_trials=2, workers=2)
    assert {t.state for t in study.trials} <= {"waiting"}


class Three(RandomSampler):
    """Ends after three points, and is asked before numbers are claimed."""

    may_end = True

    def suggest(self, view, numbers):
        if numbers[-1] >= 3:
            raise SpaceExhausted("three points are all there are.")
        return super().suggest(view, numbers)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_sampler_that_ends_leaves_no_trial_behind(workers):
    study = tk.study(space=SPACE, sampler=Three())
    study.optimize(abs_of_x, n_trials=10, workers=workers)
    assert [t.state for t in study.trials] == ["complete"] * 3


def test_studies_that_share_slots_do_not_wait_for_the_sampler_of_another():
    sampler = Slow(n_fast=0)
    slow = tk.study("slow", space=SPACE, sampler=sampler)
    fast = tk.study("fast", space=SPACE, sampler="random")
    run = tk.share(workers=2)
    run.add(slow, abs_of_x, 2)
    run.add(fast, abs_of_x, 6)
    thread = watch(lambda: len(fast.trials) == 6, then=sampler.may_go.set)
    run.run()
    thread.join()
    assert [t.state for t in fast.trials] == ["complete"] * 6
    assert [t.state for t in slow.trials] == ["complete"] * 2
    assert min(t.started for t in slow.trials) > max(t.created for t in fast.trials)


def test_one_thread_makes_all_suggestions_of_a_run_and_ends_with_it():
    threads = set()

    class Watched(RandomSampler):
        name = "watched"

        def suggest(self, view, numbers):
            threads.add(threading.current_thread())
            return super().suggest(view, numbers)

    study = tk.study(space=SPACE, sampler=Watched())
    study.optimize(lambda trial: trial.params["x"], n_trials=10, workers=2)
    (thread,) = threads
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert len(study.trials) == 10
