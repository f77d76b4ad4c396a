"""What tunekit's parts cost inside an Optuna study, beside Optuna's own and beside themselves.

    python tests/benchmarks/optuna_bridges.py [trials]

It prints milliseconds a trial over the last quarter of a study and over that of one a quarter as
long. A bridge that read all trials anew for each would be four times as slow in the longer one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import optuna

import tunekit as tk
from tunekit_integrations.optuna import as_optuna_pruner, as_optuna_sampler

STEPS = 10


def objective(trial: optuna.Trial) -> float:
    """Return a bowl, with ten reports on the way."""
    x = trial.suggest_float("x", -1.0, 1.0)
    y = trial.suggest_categorical("y", ["a", "b", "c"])
    value = x * x + (0.1 if y == "a" else 0.0)
    for step in range(STEPS):
        trial.report(value + 1 / (step + 1), step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return value


def ms_a_trial(
    make: Callable[[], dict[str, Any]], n: int, *, study: Callable[..., Any] = optuna.create_study
) -> float:
    """Return the milliseconds of CPU a trial over the last quarter of `n` trials."""
    made = study(**make())
    made.optimize(objective, n_trials=n - n // 4)
    before = time.process_time()
    made.optimize(objective, n_trials=n // 4)
    return 1e3 * (time.process_time() - before) / (n // 4)


def main() -> None:
    """Print a line for each part."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 800
    samplers, pruners = optuna.samplers, optuna.pruners

    def with_random(pruner: Callable[[], Any]) -> Callable[[], dict[str, Any]]:
        return lambda: {"sampler": samplers.RandomSampler(seed=1), "pruner": pruner()}

    own: dict[str, Callable[[], dict[str, Any]]] = {
        "Optuna's random": with_random(pruners.NopPruner),
        "tunekit's random in Optuna": lambda: {
            "sampler": as_optuna_sampler("random", seed=1),
            "pruner": pruners.NopPruner(),
        },
        "Optuna's median pruner": with_random(pruners.MedianPruner),
        "tunekit's median in Optuna": with_random(lambda: as_optuna_pruner("median")),
        "Optuna's halving pruner": with_random(pruners.SuccessiveHalvingPruner),
        "tunekit's asha in Optuna": with_random(lambda: as_optuna_pruner("asha")),
    }
    ours: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
        "Optuna's random in tunekit": (
            "Optuna's random",
            lambda: {"sampler": "optuna", "sampler_options": {"name": "random"}},
        ),
        "Optuna's median in tunekit": (
            "Optuna's median pruner",
            lambda: {"sampler": "random", "pruner": pruners.MedianPruner()},
        ),
        "Optuna's halving in tunekit": (
            "Optuna's halving pruner",
            lambda: {"sampler": "random", "pruner": pruners.SuccessiveHalvingPruner()},
        ),
    }
    found: dict[str, float] = {}
    previous = 0.0
    for name, make in own.items():
        short, long = ms_a_trial(make, n // 4), ms_a_trial(make, n)
        beside = f"  {long / previous:5.1f}x Optuna's" if name.startswith("tunekit") else ""
        print(f"{name:28s} {short:7.2f} -> {long:7.2f} ms a trial{beside}")
        previous = found[name] = long
    for name, (beside_name, make) in ours.items():
        short, long = (ms_a_trial(make, k, study=tk.study) for k in (n // 4, n))
        ratio = long / found[beside_name]
        print(f"{name:28s} {short:7.2f} -> {long:7.2f} ms a trial  {ratio:5.1f}x Optuna's")


if __name__ == "__main__":
    main()
