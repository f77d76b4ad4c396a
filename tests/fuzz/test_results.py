"""What an objective may return or report: a trial fails with a sentence, and the study goes on."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from fractions import Fraction

import numpy as np
import pytest

import tunekit as tk
from tests.fuzz.odd_values import ODD, ROUNDS
from tunekit.records import TrialState


class BadRepr:
    def __repr__(self):
        raise RuntimeError("no repr")


class BadStr(Exception):
    def __str__(self):
        raise RuntimeError("no str")


class BadItem:
    shape = ()

    def item(self):
        raise RuntimeError("no item")


class BadShape:
    @property
    def shape(self):
        raise RuntimeError("no shape")


class BadFloat(float):
    def __float__(self):
        raise RuntimeError("no float")

    __repr__ = BadRepr.__repr__


class BadMapping(Mapping):
    def __getitem__(self, key):
        raise RuntimeError("no value")

    def __iter__(self):
        raise RuntimeError("no keys")

    def __len__(self):
        return 1


class BadBool:
    def __bool__(self):
        raise RuntimeError("no truth")

    def __eq__(self, other):
        raise RuntimeError("not comparable")

    __hash__ = None


class BadClass:
    @property
    def __class__(self):
        raise RuntimeError("no class")


VALUES = [
    *ODD, BadRepr(), BadItem(), BadShape(), BadFloat(1.0), BadMapping(), BadBool(), BadClass(),
    BadRepr, object(), 1j, Fraction(1, 3), np.array([1.0, 2.0]), np.float32(1), np.longdouble(2),
    np.datetime64("NaT"), np.str_("a"), np.ma.masked, np.zeros(0), b"1", {1, 2}, range(1),
    iter([1]), {BadRepr(): 1.0}, {"value": BadRepr()}, {"value": BadItem()},
    {"value": [BadRepr()]}, {"\ud800": 1.0},
    {"value": 1, "other": BadFloat(2)}, {None: 1}, [BadItem()], (1.0, BadRepr()),
]  # fmt: skip


def shaped(rng):
    """Return an odd value, alone or inside of something that a result may be."""
    value = rng.choice(VALUES)
    return rng.choice(
        [
            value,
            {"value": value},
            {"value": 1.0, "x": value},
            [value],
            (value, value),
            {"x": value},
        ]
    )


@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_odd_results_end_a_trial_and_never_the_run(storage, tmp_path):
    rng = random.Random(7)
    url = "memory://" if storage == "memory" else f"sqlite:///{tmp_path}/s.db"
    given = [*VALUES, *(shaped(rng) for _ in range(150 * ROUNDS))]
    study = tk.study("s", space=tk.Space(x=tk.Float(0, 1)), storage=url, sampler="random")
    study.optimize(
        lambda trial: given[trial.number],
        n_trials=len(given),
        catch=(Exception,),
        max_failed_trials=len(given),
    )
    ended(study, len(given))


def test_odd_reports_attributes_and_errors_end_a_trial_and_never_the_run():
    rng = random.Random(8)

    def objective(trial):
        value = shaped(rng)
        what = rng.choice(["report", "step", "attr", "raise"])
        if what == "report":
            trial.report(value, 1)
        elif what == "step":
            trial.report(1.0, value)
        elif what == "attr":
            trial.set_user_attr(rng.choice(["a", value]), value)
        else:
            raise rng.choice([BadStr(value), RuntimeError(value), RuntimeError(BadRepr())])
        return 1.0

    n = 300 * ROUNDS
    study = tk.study(space=tk.Space(x=tk.Float(0, 1)), sampler="random")
    study.optimize(objective, n_trials=n, catch=(Exception,), max_failed_trials=n)
    ended(study, n)


def ended(study, n):
    """Check that all trials have ended with a sentence where they failed."""
    trials = study.trials
    assert len(trials) == n
    good = (TrialState.COMPLETE, TrialState.DIVERGED)
    for trial in trials:
        assert trial.state in (*good, TrialState.FAILED)
        assert trial.state in good[:1] or trial.end_reason
    assert any(t.state is TrialState.FAILED for t in trials)
    assert all(math.isfinite(t.metrics["value"]) for t in trials if t.state is good[0])
