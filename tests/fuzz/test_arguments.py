"""Odd arguments of spaces, suggestions and studies: they work or are refused in one sentence."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

import tunekit as tk
from tests.fuzz.odd_values import ROUNDS
from tests.fuzz.test_results import VALUES, BadBool, BadClass, BadMapping
from tunekit.errors import TunekitError

PLAIN = [
    0, 1, 2, 10, 0.1, 1.0, -5, 5, 2**62, 1e-300, Fraction(1, 2), np.float64(1.5), np.int64(3),
    np.array(3), ["a", "b"], [1, 2.0, True], [0.1, "0.1"], [float("nan")], ("a",), {1, 2},
]  # fmt: skip
BROKEN = (BadBool, BadClass, BadMapping)  # as arguments they raise what their classes raise
HOSTILE = [value for value in VALUES if type(value) not in BROKEN]
UNIT = tk.Float(0, 1)


class Doors:
    """Draws odd arguments and counts what comes back."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.refused = self.passed = 0

    def odd(self):
        return self.rng.choice(self.rng.choice([HOSTILE, PLAIN]))

    def named(self, *names):
        """Return odd values for some of the names."""
        return {n: self.odd() for n in self.rng.sample(names, self.rng.randint(0, 2))}

    def key(self):
        """Return something that a mapping takes as a key."""
        while True:
            try:
                return next(iter({self.odd(): 1}))
            except (TypeError, RuntimeError):
                continue

    def knock(self, call):
        try:
            call()
            self.passed += 1
        except TunekitError as error:
            self.refused += 1
            assert error.message and "\n" not in error.message


def test_odd_spaces_are_made_or_refused():
    doors = Doors(5)
    odd, named, rng = doors.odd, doors.named, doors.rng
    number = ("log", "step", "default", "special", "fidelity")
    calls = [
        lambda: tk.Space(x=tk.Float(odd(), odd(), **named(*number))),
        lambda: tk.Space(x=tk.Int(odd(), odd(), **named(*number))),
        lambda: tk.Space(x=tk.Categorical(rng.choice([odd(), [odd(), odd()]]))),
        lambda: tk.Space(x=tk.Categorical({doors.key(): odd()})),
        lambda: tk.Space(x=odd()),
        lambda: tk.Space({doors.key(): rng.choice([odd(), UNIT])}),
        lambda: tk.Space(x=tk.Repeat(odd(), odd(), odd())),
        lambda: tk.Space({"a": tk.Int(0, 3)}, when=rng.choice([odd(), [odd()]])),
        lambda: tk.Space({"a": tk.Int(0, 3)}, when=tk.When("a", odd(), tk.Space(b=UNIT))),
        lambda: tk.Space({"a": tk.Int(0, 3)}, constraints=rng.choice([odd(), [odd()]])),
    ]
    for _ in range(1500 * ROUNDS):
        doors.knock(rng.choice(calls))
    assert doors.refused and doors.passed


def test_odd_suggestions_are_answered_or_refused():
    doors = Doors(6)
    odd, named, rng = doors.odd, doors.named, doors.rng

    def objective(trial):
        def name():
            return rng.choice(["x", "y", odd()])

        calls = [
            lambda: trial.suggest_float(name(), odd(), odd(), **named("log", "step")),
            lambda: trial.suggest_int(name(), odd(), odd(), **named("log", "step")),
            lambda: trial.suggest_categorical(name(), rng.choice([odd(), [odd(), odd()]])),
        ]
        for _ in range(3):
            doors.knock(rng.choice(calls))
        return 1.0

    n = 400 * ROUNDS
    study = tk.study(sampler="random")
    study.optimize(objective, n_trials=n, max_failed_trials=n, progress=False)
    assert doors.refused and doors.passed
    assert {str(t.state) for t in study.trials} <= {"complete", "failed"}


DECLARED = tk.Space(x=UNIT, m=tk.Categorical({"a": tk.Space(C=UNIT), "b": None}))


@pytest.mark.parametrize("space", [DECLARED, None], ids=["declared", "program"])
def test_odd_arguments_of_a_study_are_taken_or_refused(space):
    doors = Doors(7)
    odd, rng = doors.odd, doors.rng
    study = tk.study(space=space, sampler="random")
    setting = ["objectives", "constraints", "seed", "audit"]
    calls = [
        lambda: study.enqueue_trial(rng.choice([odd(), {"x": odd()}, {doors.key(): 1}])),
        lambda: study.enqueue_trial({"x": 0.5}, user_attrs=odd()),
        lambda: study.enqueue_trial({"x": 0.5}, branch_from=rng.choice([odd(), (0, odd())])),
        lambda: study.tell(study.ask(fixed=rng.choice([{"m": odd()}, {"C": odd()}])), 1.0),
        lambda: study.tell(rng.choice([odd(), study.ask()]), odd()),
        lambda: study.tell(study.ask(), 1.0, state=odd()),
        lambda: study.tell(study.ask(), 1.0, reason=odd()),
        lambda: study.set_user_attr(odd(), odd()),
        lambda: study.reports(odd()),
        lambda: study.get_trials(states=odd()),
        lambda: rng.choice([study.cancel_trial, study.resume_trial])(odd()),
        lambda: study.checkpoint_path(odd()),
        lambda: tk.study(**{rng.choice(setting): odd()}),
    ]
    for _ in range(400 * ROUNDS):
        doors.knock(rng.choice(calls))
    assert doors.refused and doors.passed


SETTINGS = (
    "timeout", "max_failed_trials", "catch", "callbacks", "total_trials", "lease_s", "executor",
    "trial_timeout_s", "memory_mib", "resources", "devices", "gc_after_trial", "progress",
    "show_progress_bar",
)  # fmt: skip


def test_odd_settings_of_a_run_are_taken_or_refused():
    doors = Doors(8)
    study = tk.study(space=DECLARED, sampler="random")

    def run(**settings):
        study.optimize(lambda trial: 1.0, n_trials=0, **settings)

    for _ in range(500 * ROUNDS):
        doors.knock(lambda: run(**doors.named(*SETTINGS)))
    for value in (0, -2, 2**70, True, 1.5, "2", np.zeros(0), [1]):
        for name in ("workers", "n_jobs"):
            with pytest.raises(TunekitError, match=r"workers|n_jobs"):
                run(**{name: value})
    assert doors.refused and doors.passed
