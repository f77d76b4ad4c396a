"""Whatever suggests or judges does it with one thread; the user's code keeps its own number."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import tunekit as tk
from tunekit.records import CONTINUE, ObjectiveSpec
from tunekit.samplers.base import StudyView, suggested
from tunekit.samplers.random import RandomSampler
from tunekit.samplers.threads import one_thread

ROOT = Path(__file__).parent.parent
SPACE = tk.Space(x=tk.Float(0, 1))
WIDE = 3
"""Threads of the user's own code in these tests."""


def numbers():
    import numpy  # noqa: F401 - brings a BLAS library

    return {lib["num_threads"] for lib in threadpool_info()}


@pytest.fixture(autouse=True)
def _wide():
    import scipy.linalg  # noqa: F401 - brings its own

    with threadpool_limits(limits=WIDE):
        yield


class Watching(RandomSampler):
    """Notes with how many threads it is asked."""

    name = "watching"

    def __init__(self):
        self.seen = []

    def suggest(self, view, numbers_):
        self.seen.append(numbers())
        return super().suggest(view, numbers_)


class WatchingStopper:
    name = "watching"

    def __init__(self):
        self.seen = []

    def decide(self, number, view):
        self.seen.append(numbers())
        return CONTINUE


def test_a_run_suggests_and_judges_with_one_thread_and_the_objective_has_its_own():
    sampler, stopper, seen = Watching(), WatchingStopper(), []

    def objective(trial):
        seen.append(numbers())
        trial.report(trial.params["x"], 1)
        seen.append(numbers())
        return trial.params["x"]

    study = tk.study(space=SPACE, sampler=sampler, stopper=stopper)
    study.optimize(objective, n_trials=3)
    assert sampler.seen == [{1}] * 3
    assert stopper.seen == [{1}] * 3
    assert seen == [{WIDE}] * 6
    assert numbers() == {WIDE}


def test_ask_and_tell_and_replay_suggest_and_judge_with_one_thread():
    sampler, stopper = Watching(), WatchingStopper()
    study = tk.study(space=SPACE, sampler=sampler, stopper=stopper)
    trial = study.ask()
    trial.report(0.5, 1)
    assert numbers() == {WIDE}
    study.tell(trial, 0.5)
    study.replay()
    assert sampler.seen and set(map(frozenset, sampler.seen)) == {frozenset({1})}
    assert stopper.seen == [{1}]


def test_a_shared_run_suggests_with_one_thread():
    sampler, seen = Watching(), []
    study = tk.study("a", space=SPACE, sampler=sampler)
    run = tk.share(executor="inline")
    run.add(study, lambda trial: seen.append(numbers()) or 0.5, 2)
    run.run()
    assert (sampler.seen, seen) == ([{1}] * 2, [{WIDE}] * 2)


def test_a_sampler_in_an_optuna_study_suggests_with_one_thread():
    optuna = pytest.importorskip("optuna")
    from tunekit_integrations.optuna import TunekitSampler

    sampler, seen = Watching(), []

    def objective(trial):
        seen.append(numbers())
        return trial.suggest_float("x", 0, 1)

    study = optuna.create_study(sampler=TunekitSampler(sampler, space=SPACE, seed=0))
    study.optimize(objective, n_trials=2)
    assert (sampler.seen, seen) == ([{1}] * 2, [{WIDE}] * 2)


def test_an_error_of_a_sampler_leaves_no_limit_behind():
    class Broken(RandomSampler):
        def suggest(self, view, numbers_):
            raise ValueError("no idea")

    view = StudyView(SPACE, (ObjectiveSpec("value"),), (), 0, tk.study(space=SPACE).history, {})
    with pytest.raises(ValueError, match="no idea"):
        suggested(Broken(), view, [0])
    assert numbers() == {WIDE}


def test_blocks_may_be_nested():
    with one_thread():
        with one_thread():
            assert numbers() == {1}
        assert numbers() == {1}
    assert numbers() == {WIDE}


def test_two_threads_that_overlap_do_not_wait_and_leave_no_limit_behind():
    inside, may_go, seen = threading.Event(), threading.Event(), []

    def second():
        with one_thread():
            seen.append(numbers())
            inside.set()
            may_go.wait()

    thread = threading.Thread(target=second)
    with one_thread():
        thread.start()
        inside.wait()
    may_go.set()
    thread.join()
    assert seen == [{1}]
    assert numbers() == {WIDE}


def test_a_model_that_is_loaded_within_a_suggestion_is_fitted_with_one_thread():
    program = """
import tunekit as tk
from tunekit.samplers.bayesian.sampler import BayesianSampler
from threadpoolctl import threadpool_info

seen, load = [], BayesianSampler._model

def loaded(self, view):
    search = load(self, view)
    from tunekit.samplers.bayesian import model_search

    model_of = model_search.model_of
    if not seen:
        def noted(*args):
            seen.append({lib["num_threads"] for lib in threadpool_info()})
            return model_of(*args)
        model_search.model_of = noted
    return search

BayesianSampler._model = loaded
study = tk.study(space={"x": tk.Float(0, 1)}, seed=1)
study.optimize(lambda trial: trial.params["x"], n_trials=7)
assert seen == [{1}], seen
"""
    several = {**os.environ, "OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=several, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_while_another_thread_suggests_can_suggest():
    inside, may_go = threading.Event(), threading.Event()

    def suggest():
        with one_thread():
            inside.set()
            may_go.wait()

    thread = threading.Thread(target=suggest)
    thread.start()
    inside.wait()
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)  # ends a child that waits for a thread which it does not have
        with one_thread():
            os._exit(0 if numbers() == {1} else 1)
    may_go.set()
    thread.join()
    assert os.waitpid(pid, 0)[1] == 0


def test_nothing_asks_a_sampler_or_a_stopper_but_through_the_limit():
    loose = []
    for folder in ("tunekit", "integrations"):
        for path in (ROOT / folder).rglob("*.py"):
            inner = {"samplers", "testing", "peers"} & set(path.parts)
            text = path.read_text()
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    is_sampler = node.func.attr == "suggest" and len(node.args) == 2
                    if is_sampler and not inner:
                        loose.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert loose == []
