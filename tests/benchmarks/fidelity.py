"""Tuning with cheap runs on recorded curves: `python tests/benchmarks/fidelity.py`.

The epochs of TaskSet's curves are a fidelity: a trial may end at any of them, only full runs are
results, and what counts is the sum of the epochs, each trained once: trials of ours go on from
the checkpoints of shorter runs. A point gets the curve of the nearest recorded configuration, or
with `--lookup forest` the curve that a forest of the recorded runs predicts. Peers are Optuna's
TPE whose trials its SuccessiveHalvingPruner ends, and random points promoted by asynchronous
successive halving, which continue from where they paused.

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
from tempfile import TemporaryDirectory
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

N_TREES = 60
"""Trees of the forest."""


@dataclass(frozen=True)
class Task:
    """The curves of one task.

    Attributes:
        n_epochs: the epochs of a full run.
        look_up: maps params to the `(n_epochs,)` losses of a run; NaN where it diverged.
        scale: of the losses of full runs.
    """

    name: str
    space: tk.Space
    n_epochs: int
    look_up: Callable[[Params], np.ndarray]
    scale: LossScale

    def curve(self, params: Mapping[str, Any]) -> np.ndarray:
        """Return the `(n_epochs,)` losses at a point."""
        return self.look_up(Params({k: v for k, v in params.items() if k != "epochs"}))


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


def load(folder: Path, lookup: str = "nearest") -> list[Task]:
    """Return all tasks of a folder, by name."""
    return [_task(path, lookup) for path in sorted(folder.glob("*.json.gz"))]


def _task(path: Path, lookup: str) -> Task:
    with gzip.open(path, "rt", encoding="utf-8") as text:
        runs = json.load(text)
    losses = [[math.nan if v is None else float(v) for v in r["valid"]["loss"]] for r in runs]
    curves = np.array(losses)
    points = [{k: 1 - v if k in FROM_ONE else v for k, v in r["hp"].items()} for r in runs]
    ranges = {k: sorted(p[k] for p in points) for k in points[0]}
    space = tk.Space({k: tk.Float(v[0], v[-1], log=True) for k, v in ranges.items()})
    encoder = Encoder(space)
    look_up, ends = (_forest if lookup == "forest" else _nearest)(encoder, points, curves)
    n_epochs = int(curves.shape[1])
    return Task(path.name, space, n_epochs, look_up, scale_of(ends, n_trials=AT[-1]))


Lookup = tuple[Callable[[Params], np.ndarray], np.ndarray]


def _nearest(encoder: Encoder, points: list[dict[str, float]], curves: np.ndarray) -> Lookup:
    """Return the curves by the nearest recorded point, and the losses that full runs may have."""
    rows = [Row(Params(p), {"row": float(i)}) for i, p in enumerate(points)]
    recording = Recording(encoder, rows)

    def look_up(params: Params) -> np.ndarray:
        return np.asarray(curves[int(recording.nearest(params).metrics["row"])])

    return look_up, curves[:, -1]


def _forest(encoder: Encoder, points: list[dict[str, float]], curves: np.ndarray) -> Lookup:
    """Return the curves that trees predict, and the losses of random full runs.

    Losses above that of an untrained network, and of diverged runs, count as untrained.
    """
    from sklearn.ensemble import ExtraTreesRegressor

    untrained = float(np.nanmedian(curves[:, 0]))
    capped = np.minimum(np.where(np.isnan(curves), untrained, curves), untrained)
    forest = ExtraTreesRegressor(N_TREES, min_samples_leaf=2, random_state=0, n_jobs=1)
    forest.fit(encoder.encode([Params(p) for p in points]), capped)
    random = np.random.default_rng(0).random((4000, len(encoder)))

    def look_up(params: Params) -> np.ndarray:
        return np.asarray(forest.predict(encoder.encode([params]))[0])

    return look_up, forest.predict(random)[:, -1]


def tunekit_tuner(**options: Any) -> Tuner:
    """Return a sampler of ours, which chooses the epochs of each trial.

    A trial goes on from the checkpoint of a shorter run of its point, and ends where it diverges.
    """

    def tune(task: Task, spending: Spending, seed: int) -> None:
        whole = task.n_epochs
        space = tk.Space({**_domains(task), "epochs": tk.Int(1, whole, log=True, fidelity=True)})
        options["objectives"], options["seed"] = "loss", seed
        with TemporaryDirectory() as folder:
            study = tk.study(space=space, checkpoints=folder, **options)
            while not spending.is_over:
                trial = study.ask()
                epochs, before = int(trial.params["epochs"]), trial.resumed_from or 0
                curve = task.curve(trial.params)[:epochs]
                finite = np.isfinite(curve)
                n = epochs if finite.all() else int(np.argmin(finite)) + 1
                loss = float(curve[n - 1])
                if n == epochs:
                    (trial.checkpoint_dir / "epoch").write_text(str(n))
                    trial.report(loss, n, checkpoint=True)
                study.tell(trial, loss)
                spending.add(n - before, loss=loss if epochs == whole else None)

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
    parser.add_argument(
        "--lookup", choices=("nearest", "forest"), default="nearest", help="curve of a point"
    )
    parser.add_argument("--seeds", type=int, default=6, help="runs of each tuner on each task")
    parser.add_argument("--only", action="append", help="rows whose name begins so")
    parser.add_argument("--quick", action="store_true", help="one task, one seed")
    arguments = parser.parse_args()
    tasks = load(arguments.data, arguments.lookup)
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
