"""A worker's runs go on from the curves that its earlier runs with a stopper know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

import tunekit as tk


class ReadCurves:
    """Notes which curves a study reads from its storage."""

    def __init__(self, study: tk.Study) -> None:
        self.numbers: list[int] = []
        self._reports = study.storage.reports
        study.storage.reports = self._read  # type: ignore[method-assign]

    def _read(self, *arguments: Any, **options: Any) -> Mapping[int, Any]:
        found = self._reports(*arguments, **options)
        self.numbers += found
        return found


def curve(trial: tk.Trial) -> float:
    for step in range(6):
        trial.report(trial.params["x"] + 1 / (step + 1), step)
    return float(trial.params["x"])


@pytest.fixture
def study() -> tk.Study:
    return tk.study(space={"x": tk.Float(0, 1)}, sampler="random", seed=1, stopper="median")


def test_a_second_run_reads_no_curve_of_the_first(study: tk.Study) -> None:
    read = ReadCurves(study)
    for _ in range(3):
        study.optimize(curve, n_trials=8, progress=False)
    assert read.numbers == []
    once = tk.study(space={"x": tk.Float(0, 1)}, sampler="random", seed=1, stopper="median")
    once.optimize(curve, n_trials=24, progress=False)
    assert [t.state for t in study.trials] == [t.state for t in once.trials]
    assert any(t.state.value == "stopped" for t in once.trials)


def test_a_run_reads_what_ran_without_a_stopper_in_between(study: tk.Study) -> None:
    study.optimize(curve, n_trials=2, progress=False)
    rule, study.stopper = study.stopper, None
    study.optimize(curve, n_trials=3, progress=False)
    study.stopper = rule
    read = ReadCurves(study)
    study.optimize(curve, n_trials=1, progress=False)
    assert sorted(read.numbers) == [2, 3, 4]


def test_a_run_reads_what_another_client_ran_in_between(study: tk.Study) -> None:
    study.optimize(curve, n_trials=2, progress=False)
    other = tk.load_study(study.name, storage=study.storage)
    other.optimize(curve, n_trials=2, progress=False)
    read = ReadCurves(study)
    study.optimize(curve, n_trials=1, progress=False)
    assert sorted(read.numbers) == [2, 3]
