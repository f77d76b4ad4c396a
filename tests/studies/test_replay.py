"""The same proposals come out again: in one process, in several, and after a kill."""

from dataclasses import replace

import pytest

import tunekit as tk
from tunekit.samplers.random import RandomSampler

SPACE = tk.Space(
    x=tk.Float(-1, 1),
    arm=tk.Categorical({"a": tk.Space(y=tk.Int(1, 100)), "b": None}),
)


def bowl(trial):
    if trial.number == 5:
        raise RuntimeError("one of them fails")
    return trial.params["x"] ** 2


@pytest.mark.parametrize("sampler", ["random", "sobol", "tpe", "cmaes", "auto"])
def test_a_study_run_by_processes_replays_in_one(tmp_path, sampler):
    url = f"sqlite:///{tmp_path}/r.db"
    study = tk.study("r", space=SPACE, storage=url, sampler=sampler, seed=3)
    study.enqueue_trial({"x": 0.5})
    study.optimize(bowl, n_trials=12)
    study.optimize(bowl, n_trials=18, workers=3)
    assert tk.load_study("r", storage=url).replay() == []


class Impure(RandomSampler):
    """Answers from a counter of its own instead of the trial's number."""

    calls = 0

    def suggest(self, view, numbers):
        Impure.calls += 1
        return super().suggest(replace(view, seed=Impure.calls), numbers)


def test_a_sampler_with_a_memory_of_its_own_is_found_out():
    study = tk.study(space=SPACE, sampler=Impure(), seed=3)
    study.optimize(bowl, n_trials=5)
    assert study.replay()
