"""The models of `sampler="botorch"`, compared: `python tests/benchmarks/botorch_models.py priors`.

`priors`: the prior of the length scales on functions of many numbers, of which four matter
(`sparse`, and `smooth` without ripples) or all do, in rotated directions (`dense`). All have the
minimum 0, and the losses are shares of the median of random points. Printed is the best loss, its
mean over the trials and at some of them, and the processor seconds of a trial.

`predictions`: how well the process under each prior predicts these functions at random points
from as many random points as a study has trials; the error is the root of the mean square, 1 for
the mean alone. It takes a fraction of the time, and says how many numbers a prior needs.

`fidelities`: what it costs, in full runs, until a full run is as good as wanted, where cheaper
runs tell much, beside full runs alone.

`hierarchy`: how well the process predicts on trees, beside BoTorch's own kernel for them.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from botorch_hierarchy import PROCESSES, hierarchy
from numpy.typing import NDArray

import tunekit as tk

Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]

N_RANDOM = 500
"""Random points whose median is the loss 1."""


def sparse(n_numbers: int, seed: int, ripple: float = 0.03) -> Function:
    """Return a function of which four of the numbers matter, two of them together."""
    rng = np.random.default_rng(seed)
    active = rng.permutation(n_numbers)[:4]
    centre, weights = 0.15 + 0.7 * rng.random(4), np.array([1.0, 0.6, 0.4, 0.3])

    def function(x: NDArray[np.float64]) -> NDArray[np.float64]:
        z = x[..., active] - centre
        bowl = (weights * z * z).sum(axis=-1) + 0.4 * z[..., 0] * z[..., 1]
        return np.asarray(bowl + ripple * (1.0 - np.cos(9.0 * z)).sum(axis=-1))

    return function


def smooth(n_numbers: int, seed: int) -> Function:
    """Return the sparse function without its ripples."""
    return sparse(n_numbers, seed, ripple=0.0)


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


FUNCTIONS = {"sparse": sparse, "smooth": smooth, "dense": dense}


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


def prediction_error(name: str, n_numbers: int, seed: int, n_trials: int, prior: str) -> float:
    """Return the error at random points, as a share of their standard deviation."""
    import torch

    from tunekit.samplers.botorch.fitting import fitted
    from tunekit.samplers.botorch.processes import process_of

    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    function = FUNCTIONS[name](n_numbers, seed)
    x, others = rng.random((n_trials, n_numbers)), rng.random((N_RANDOM, n_numbers))
    y, wanted = function(x), function(others)
    rows, values = torch.as_tensor(x), torch.as_tensor((y - y.mean()) / y.std())
    fit = fitted(rows, values, np.argsort(y).tolist(), is_sparse=prior == "saas")
    found = process_of(rows, values, fit).joint(torch.as_tensor(others))[0].numpy()
    error = found * y.std() + y.mean() - wanted
    return float(np.sqrt(np.mean(error**2)) / wanted.std())


def predictions(arguments: argparse.Namespace) -> None:
    """Print a row for each function and number of parameters."""
    print(
        "| function | numbers | dimension | saas | saas is better |\n|---|---|---|---|---|",
        flush=True,
    )
    for name in arguments.only or FUNCTIONS:
        for n in arguments.numbers or (10, 20, 30, 40):
            plain, few = (
                np.array(
                    [
                        prediction_error(name, n, seed, arguments.trials, prior)
                        for seed in range(1, arguments.seeds + 1)
                    ]
                )
                for prior in ("dimension", "saas")
            )
            wins = f"{int((few < plain).sum())} of {len(few)}"
            print(f"| {name} | {n} | {plain.mean():.2f} | {few.mean():.2f} | {wins} |", flush=True)


NETS = tk.Space(lr=tk.Float(1e-4, 1, log=True), depth=tk.Int(1, 12))
BOOST = tk.Space(eta=tk.Float(0.01, 1, log=True), leaves=tk.Int(4, 256, log=True))
WHOLE = 81
"""Epochs of a full run."""

WANTED, MOST = 0.02, 40.0
"""Loss at which a run ends, and its most full runs."""


def models(epochs: tk.Int | int) -> tk.Space:
    """Return a space of two models with some epochs."""
    model = tk.Categorical({"net": NETS, "boost": BOOST})
    return tk.Space(model=model, kind=["a", "b", "c"], decay=tk.Float(0, 1), epochs=epochs)


BY_EPOCHS = models(tk.Int(1, WHOLE, log=True, fidelity=True))


def loss(p: Mapping[str, Any]) -> float:
    """Return a loss that falls with the epochs; nets are slower, so the curves cross."""
    u = {path: BY_EPOCHS.by_path[path].domain.to_unit(v) for path, v in p.items()}
    found = {"a": 0.05, "b": 0.0, "c": 0.02}[str(p["kind"])] + 0.3 * (u["decay"] - 0.35) ** 2
    left = (1.0 - math.log(float(p["epochs"])) / math.log(WHOLE)) ** 1.5
    if p["model"] == "boost":
        found += 0.6 * (u["model.boost.eta"] - 0.3) ** 2 + 0.07
        return found + 0.4 * (u["model.boost.leaves"] - 0.7) ** 2 + 0.25 * left
    found += (u["model.net.lr"] - 0.7) ** 2 + 0.5 * (u["model.net.depth"] - 0.6) ** 2
    return found + 0.5 * left


def cost_to_reach(sampler: str, space: tk.Space, seed: int) -> tuple[float, int]:
    """Return what a run cost in full runs, and its number of trials."""
    study, spent, n = tk.study(space=space, sampler=sampler, seed=seed), 0.0, 0
    while spent < MOST:
        trial = study.ask()
        value = loss(trial.params)
        study.tell(trial, value)
        spent, n = spent + float(trial.params["epochs"]) / WHOLE, n + 1
        if trial.params["epochs"] == WHOLE and value < WANTED:
            break
    return spent, n


def fidelities(arguments: argparse.Namespace) -> None:
    """Print a row for each sampler, with and without cheaper runs."""
    print("| sampler | runs | cost of each run in full runs | mean | trials |")
    print("|---|---|---|---|---|", flush=True)
    for sampler in arguments.samplers or ["botorch", "bayesian"]:
        for what, space in (("with cheaper ones", BY_EPOCHS), ("full ones", models(WHOLE))):
            found = [cost_to_reach(sampler, space, seed) for seed in range(arguments.seeds)]
            costs, trials = zip(*found, strict=True)
            cells = " ".join(f"{c:.1f}" for c in costs)
            mean, n = np.mean(costs), np.mean(trials)
            print(f"| {sampler} | {what} | {cells} | {mean:.1f} | {n:.0f} |", flush=True)


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
    found = commands.add_parser("predictions", help="the same, without a search")
    found.add_argument("--numbers", type=int, action="append", help="parameters of the functions")
    found.add_argument("--trials", type=int, default=40)
    found.add_argument("--seeds", type=int, default=4)
    found.add_argument("--only", action="append", choices=list(FUNCTIONS))
    found.set_defaults(call=predictions)
    found = commands.add_parser("fidelities", help="cheaper runs beside full runs alone")
    found.add_argument("--seeds", type=int, default=3)
    found.add_argument("--sampler", dest="samplers", action="append")
    found.set_defaults(call=fidelities)
    found = commands.add_parser("hierarchy", help="BoTorch's kernel for trees")
    found.add_argument("--trials", type=int, action="append", help="by default 30 and 60")
    found.add_argument("--seeds", type=int, default=2)
    found.add_argument("--only", action="append", help="a problem, such as jenatton")
    found.add_argument("--process", action="append", choices=list(PROCESSES))
    found.set_defaults(call=hierarchy)
    arguments = parser.parse_args()
    arguments.call(arguments)


if __name__ == "__main__":
    main()
