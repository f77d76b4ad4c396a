"""The models of `sampler="botorch"`, compared: `python tests/benchmarks/botorch_models.py priors`.

`priors`: the prior of the length scales on functions of many numbers, of which four matter
(`sparse`) or all do, in rotated directions (`dense`). Both have the minimum 0, and the losses are
shares of the median of random points. Printed is the best loss, its mean over the trials and at
some of them, and the processor seconds of a trial.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

import tunekit as tk

Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]

N_RANDOM = 500
"""Random points whose median is the loss 1."""


def sparse(n_numbers: int, seed: int) -> Function:
    """Return a function of which four of the numbers matter, two of them together."""
    rng = np.random.default_rng(seed)
    active = rng.permutation(n_numbers)[:4]
    centre, weights = 0.15 + 0.7 * rng.random(4), np.array([1.0, 0.6, 0.4, 0.3])

    def function(x: NDArray[np.float64]) -> NDArray[np.float64]:
        z = x[..., active] - centre
        bowl = (weights * z * z).sum(axis=-1) + 0.4 * z[..., 0] * z[..., 1]
        return np.asarray(bowl + 0.03 * (1.0 - np.cos(9.0 * z)).sum(axis=-1))

    return function


def dense(n_numbers: int, seed: int) -> Function:
    """Return a bowl in rotated directions, so that all numbers matter."""
    rng = np.random.default_rng(seed)
    centre = 0.15 + 0.7 * rng.random(n_numbers)
    axes, _ = np.linalg.qr(rng.standard_normal((n_numbers, n_numbers)))
    weights = np.linspace(0.3, 1.5, n_numbers)

    def function(x: NDArray[np.float64]) -> NDArray[np.float64]:
        z = (x - centre) @ axes
        return np.asarray((weights * z * z).sum(axis=-1))

    return function


FUNCTIONS = {"sparse": sparse, "dense": dense}


def best_losses(name: str, n_numbers: int, seed: int, n_trials: int, prior: str) -> list[float]:
    """Return the best loss after each trial of a run."""
    function = FUNCTIONS[name](n_numbers, seed)
    rng = np.random.default_rng(0)
    scale = float(np.median(function(rng.random((N_RANDOM, n_numbers)))))
    space = tk.Space({f"x{k}": tk.Float(0.0, 1.0) for k in range(n_numbers)})
    options = {"prior": prior}
    study = tk.study(space=space, sampler="botorch", sampler_options=options, seed=seed)
    found: list[float] = []
    for _ in range(n_trials):
        trial = study.ask()
        loss = float(function(np.array([trial.params[f"x{k}"] for k in range(n_numbers)])))
        study.tell(trial, loss)
        found.append(min([loss / scale, *found[-1:]]))
    return found


def priors(arguments: argparse.Namespace) -> None:
    """Print a row for each function, prior and seed."""
    at = [n for n in (20, 40, 60) if n <= arguments.trials]
    heads = " | ".join(f"after {n}" for n in at)
    print(f"| function | numbers | seed | prior | mean | {heads} | CPU s a trial |")
    print("|---|---|---|---|---|" + "---|" * (len(at) + 1), flush=True)
    for seed in range(1, arguments.seeds + 1):
        for name in arguments.only or FUNCTIONS:
            for prior in ("dimension", "saas"):
                began = time.process_time()
                best = best_losses(name, arguments.numbers, seed, arguments.trials, prior)
                seconds = (time.process_time() - began) / arguments.trials
                cells = " | ".join(f"{best[n - 1]:.3f}" for n in at)
                row = f"{name} | {arguments.numbers} | {seed} | {prior} | {np.mean(best):.3f}"
                print(f"| {row} | {cells} | {seconds:.2f} |", flush=True)


def main() -> None:
    """Parse the arguments and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True)
    found = commands.add_parser("priors", help="the prior of the length scales")
    found.add_argument("--numbers", type=int, default=40, help="parameters of the functions")
    found.add_argument("--trials", type=int, default=60)
    found.add_argument("--seeds", type=int, default=3)
    found.add_argument("--only", action="append", choices=list(FUNCTIONS))
    found.set_defaults(call=priors)
    arguments = parser.parse_args()
    arguments.call(arguments)


if __name__ == "__main__":
    main()
