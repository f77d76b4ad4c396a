"""Tuning with cheap runs on recorded curves: `python tests/benchmarks/fidelity.py`.

The epochs of TaskSet's curves are a fidelity: a trial may end at any of them, only full runs are
results, and what counts is the sum of the epochs. A point gets the curve of the nearest recorded
configuration. Peers are Optuna's TPE whose trials its SuccessiveHalvingPruner ends, and random
points promoted by asynchronous successive halving, which continue from where they paused.

Printed is the regret after 5, 10 and 20 full trainings' worth of epochs: 0 equals the best
recorded configuration, 1 the median of as many random full runs.

Reference: Li et al., 2020, "A system for massively parallel hyperparameter tuning",
arXiv 1810.05934, algorithm 2 (the promotions).
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import tunekit as tk
from tunekit.bench.recorded import Recording, Row
from tunekit.bench.regret import LossScale, normalised, scale_of
from tunekit.spaces import Params
from tunekit.spaces.encode import Encoder

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "taskset"
FROM_ONE = ("beta1", "beta2")
"""Parameters close to 1: the logarithm of their distance from 1 is searched."""

AT = (5, 10, 20)


@dataclass(frozen=True)
class Task:
    """The curves of one task, looked up by the nearest configuration.

    Attributes:
        curves: `(n, T)` losses; NaN where diverged.
    """

    name: str
    space: tk.Space
    curves: np.ndarray
    lookup: Recording
    scale: LossScale

    @property
    def n_epochs(self) -> int:
        """The epochs of a full run."""
        return int(self.curves.shape[1])

    def curve(self, params: Mapping[str, Any]) -> np.ndarray:
        """Return the `(T,)` losses at a point."""
        point = {k: v for k, v in params.items() if k != "epochs"}
        row = self.lookup.nearest(Params(point))
        return np.asarray(self.curves[int(row.metrics["row"])])


@dataclass
class Spending:
    """The epochs that a run of a tuner has spent, and its full runs.

    Attributes:
        ends: (epochs spent, loss) of each full run.
    """

    total: float
    spent: float = 0.0
    ends: list[tuple[float, float]] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether the epochs are used up."""
        return self.spent >= self.total

    def add(self, epochs: int, *, loss: float | None = None) -> None:
        """Spend some epochs, at the end of which a full run may have ended."""
        self.spent += epochs
        if loss is not None and self.spent <= self.total and math.isfinite(loss):
            self.ends.append((self.spent, loss))

    def best_after(self, epochs: float) -> float | None:
        """Return the best loss of the full runs so far, `None` without one."""
        return min((loss for at, loss in self.ends if at <= epochs), default=None)


Tuner = Callable[[Task, Spending, int], None]


def load(folder: Path) -> list[Task]:
    """Return all tasks of a folder, by name."""
    return [_task(path) for path in sorted(folder.glob("*.json.gz"))]


def _task(path: Path) -> Task:
    with gzip.open(path, "rt", encoding="utf-8") as text:
        runs = json.load(text)
    losses = [[math.nan if v is None else float(v) for v in r["valid"]["loss"]] for r in runs]
    curves = np.array(losses)
    points = [{k: 1 - v if k in FROM_ONE else v for k, v in r["hp"].items()} for r in runs]
    ranges = {k: sorted(p[k] for p in points) for k in points[0]}
    space = tk.Space({k: tk.Float(v[0], v[-1], log=True) for k, v in ranges.items()})
    rows = [Row(Params(p), {"row": float(i)}) for i, p in enumerate(points)]
    lookup = Recording(Encoder(space), rows)
    return Task(path.name, space, curves, lookup, scale_of(curves[:, -1], n_trials=AT[-1]))


def tunekit_tuner(**options: Any) -> Tuner:
    """Return a sampler of ours, which chooses the epochs of each trial."""

    def tune(task: Task, spending: Spending, seed: int) -> None:
        whole = task.n_epochs
        space = tk.Space({**_domains(task), "epochs": tk.Int(1, whole, log=True, fidelity=True)})
        study = tk.study(space=space, objectives="loss", seed=seed, **options)
        while not spending.is_over:
            trial = study.ask()
            epochs = int(trial.params["epochs"])
            loss = float(task.curve(trial.params)[epochs - 1])
            study.tell(trial, loss)
            spending.add(epochs, loss=loss if epochs == whole else None)

    return tune


def stopped_tuner(**options: Any) -> Tuner:
    """Return a sampler of ours whose trials a stopper ends."""

    def tune(task: Task, spending: Spending, seed: int) -> None:
        study = tk.study(space=task.space, objectives="loss", seed=seed, **options)
        while not spending.is_over:
            trial = study.ask()
            curve = task.curve(trial.params).tolist()
            for epoch, loss in enumerate(curve, start=1):
                spending.add(1, loss=loss if epoch == len(curve) else None)
                if not math.isfinite(loss) or epoch == len(curve):
                    study.tell(trial, loss)
                    break
                trial.report(loss, epoch, raise_on_stop=False)
                if trial.should_prune():
                    study.tell(trial, state="stopped")
                    break

    return tune


def optuna_tuner(least: int, factor: int) -> Tuner:
    """Return Optuna's TPE with its pruner by successive halving."""

    def tune(task: Task, spending: Spending, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        pruner = optuna.pruners.SuccessiveHalvingPruner(
            min_resource=least, reduction_factor=factor
        )
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed), pruner=pruner)
        domains = _domains(task)
        while not spending.is_over:
            trial = study.ask()
            for k, d in domains.items():
                trial.suggest_float(k, d.lo, d.hi, log=True)
            curve = task.curve(trial.params).tolist()
            for epoch, loss in enumerate(curve, start=1):
                spending.add(1, loss=loss if epoch == len(curve) else None)
                if not math.isfinite(loss):
                    study.tell(trial, state=optuna.trial.TrialState.FAIL)
                    break
                trial.report(loss, epoch)
                if epoch == len(curve):
                    study.tell(trial, loss)
                elif trial.should_prune():
                    study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                    break

    return tune


def promotions(least: int, factor: int) -> Tuner:
    """Return asynchronous successive halving of random points, which pause at each rung."""

    def tune(task: Task, spending: Spending, seed: int) -> None:
        rng = np.random.default_rng(seed)
        encoder = Encoder(task.space)
        rungs = [least]
        while rungs[-1] * factor < task.n_epochs:
            rungs.append(rungs[-1] * factor)
        rungs.append(task.n_epochs)
        paused: list[dict[int, float]] = [{} for _ in rungs]
        gone_on: list[set[int]] = [set() for _ in rungs]
        points: list[np.ndarray] = []
        while not spending.is_over:
            i, rung = _promoted(paused, gone_on, factor)
            if rung == 0:
                i = len(points)
                points.append(task.curve(encoder.decode(rng.random((1, len(encoder))))[0]))
            before = rungs[rung - 1] if rung else 0
            loss = float(points[i][rungs[rung] - 1])
            paused[rung][i] = loss if math.isfinite(loss) else math.inf
            is_last = rung == len(rungs) - 1
            spending.add(rungs[rung] - before, loss=loss if is_last else None)

    return tune


def _promoted(
    paused: list[dict[int, float]], gone_on: list[set[int]], factor: int
) -> tuple[int, int]:
    """Return the run to continue and the rung to take it to; (-1, 0) for a new run."""
    for rung in reversed(range(len(paused) - 1)):
        ranked = sorted(paused[rung], key=paused[rung].__getitem__)
        for i in ranked[: len(ranked) // factor]:
            if i not in gone_on[rung] and math.isfinite(paused[rung][i]):
                gone_on[rung].add(i)
                return i, rung + 1
    return -1, 0


def _domains(task: Task) -> dict[str, tk.Float]:
    return {p.path: p.domain for p in task.space if isinstance(p.domain, tk.Float)}


TUNERS: dict[str, Tuner] = {
    "auto": tunekit_tuner(sampler="auto"),
    "auto without a fidelity, second_look": stopped_tuner(sampler="auto", stopper="second_look"),
    "Optuna TPE + SuccessiveHalving 4, 2": optuna_tuner(4, 2),
    "Optuna TPE + SuccessiveHalving 3, 3": optuna_tuner(3, 3),
    "ASHA, promoted 4, 2": promotions(4, 2),
    "ASHA, promoted 2, 3": promotions(2, 3),
}


def regrets(task: Task, tuner: Tuner, seed: int) -> tuple[list[float], float]:
    """Return the regret at each of `AT`, and the CPU seconds of one run."""
    spending = Spending(total=AT[-1] * task.n_epochs)
    began = time.process_time()
    tuner(task, spending, seed)
    seconds = time.process_time() - began
    best = [spending.best_after(n * task.n_epochs) for n in range(1, AT[-1] + 1)]
    found = normalised(best, task.scale)
    return [float(found[n - 1]) for n in AT], seconds


def measure(name: str, tasks: list[Task], n_seeds: int) -> None:
    """Print the row of one tuner."""
    runs = [regrets(task, TUNERS[name], seed) for task in tasks for seed in range(n_seeds)]
    values = np.array([r for r, _ in runs])
    error = values.std(axis=0, ddof=1) / math.sqrt(len(values)) if len(values) > 1 else [0.0] * 3
    middle = np.median(values, axis=0)
    figures = zip(values.mean(axis=0), error, middle, strict=True)
    cells = [f"{m:.2f} +- {e:.2f} ({d:.2f})" for m, e, d in figures]
    print(f"| {name} | {' | '.join(cells)} | {np.mean([s for _, s in runs]):.1f} |", flush=True)


def main() -> None:
    """Parse the arguments and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of TaskSet curves")
    parser.add_argument("--seeds", type=int, default=6, help="runs of each tuner on each task")
    parser.add_argument("--only", action="append", help="rows whose name begins so")
    parser.add_argument("--quick", action="store_true", help="one task, one seed")
    arguments = parser.parse_args()
    tasks = load(arguments.data)
    if not tasks:
        parser.error(f"no curves (*.json.gz) in {arguments.data}; give --data FOLDER")
    if arguments.quick:
        tasks, arguments.seeds = tasks[:1], 1
    warnings.simplefilter("ignore")  # of the peers, on curves of NaN
    print(f"{len(tasks)} tasks, {arguments.seeds} seeds: regret, mean +- its error (median)\n")
    heads = " | ".join(f"after {n} full trainings" for n in AT)
    print(f"| tuner | {heads} | CPU s a run |\n|---|---|---|---|---|", flush=True)
    for name in TUNERS:
        if not arguments.only or name.startswith(tuple(arguments.only)):
            measure(name, tasks, arguments.seeds)


if __name__ == "__main__":
    main()
