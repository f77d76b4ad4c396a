"""What tunekit's parts cost inside an Optuna study, beside Optuna's own and beside themselves.

    python tests/benchmarks/optuna_bridges.py [trials ...]

It prints milliseconds a trial over the last quarter of studies of these lengths, and how many
times as long as Optuna's own part takes. A bridge that read all trials anew for each would be
eight times as slow after 1,600 trials as after 200.
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
    lengths = [int(text) for text in sys.argv[1:]] or [200, 800, 1600]
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
    found: dict[str, list[float]] = {}
    previous = ""
    print(f"{'trials':28s}", *(f"{n:>15,d}" for n in lengths))
    for name, make in own.items():
        found[name] = [ms_a_trial(make, n) for n in lengths]
        is_ours = name.startswith("tunekit")
        print(f"{name:28s}", *shown(found[name], found[previous] if is_ours else None))
        previous = name
    for name, (beside, make) in ours.items():
        took = [ms_a_trial(make, n, study=tk.study) for n in lengths]
        print(f"{name:28s}", *shown(took, found[beside]))


def shown(took: list[float], beside: list[float] | None) -> list[str]:
    """Return milliseconds, and the multiple of those of Optuna's own part, if any."""
    if beside is None:
        return [f"{ms:6.2f} ms      " for ms in took]
    return [f"{ms:6.2f} ms {ms / own:4.1f}x" for ms, own in zip(took, beside, strict=True)]


if __name__ == "__main__":
    main()
