"""Prints how well final losses of TaskSet are foreseen at 10, 25 and 50 % of the curves.

    python tests/benchmarks/curve_prediction.py [--quick] [--data DIR] [--seeds 3] [--train 100]

The loss is the validation loss, from 0 (the best of the task) to 1 (a loss of 10 or more, NaN).
A model is trained on random complete curves of a task and judged on all others; the columns
"last" are the value at the time of the forecast. The median over the tasks is printed, and with
`--tasks` each task. The interval is that of 90 %; its coverage is also given for the easy,
middle and hard third of the runs, as the model itself ranks them.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from tunekit_surrogates.curves.predictor import Completed, CurvePredictor

CAP = 10.0
SHARES = (0.10, 0.25, 0.50)
TARGETS = {0.10: (0.78, 0.027), 0.25: (0.84, 0.0175), 0.50: (0.92, 0.008)}
LOG = ("learning_rate", "epsilon", "l1", "l2", "linear_decay", "exponential_decay")
LOG_FROM_ONE = ("beta1", "beta2")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """Curves of one task: `(n, T)` losses, `inf` where not finite, and `(n, d)` in [0, 1]."""

    name: str
    curves: Floats
    x: Floats


def data_folder() -> Path | None:
    """Return the folder of the curves, if it lies beside a folder above."""
    for parent in Path(__file__).resolve().parents:
        if (parent / "shared/data/taskset").is_dir():
            return parent / "shared/data/taskset"
    return None


def load(folder: Path) -> list[Task]:
    """Return all tasks of a folder."""
    tasks = []
    for path in sorted(folder.glob("*.json.gz")):
        with gzip.open(path) as file:
            runs = json.load(file)
        losses = [[math.nan if v is None else v for v in r["valid"]["loss"]] for r in runs]
        curves = np.array(losses, np.float64)
        curves[~np.isfinite(curves)] = np.inf
        rows = [
            [math.log(r["hp"][k]) for k in LOG] + [math.log(1 - r["hp"][k]) for k in LOG_FROM_ONE]
            for r in runs
        ]
        x = np.array(rows)
        x = (x - x.min(axis=0)) / np.ptp(x, axis=0)
        tasks.append(Task(path.name.split(".")[0], curves, x))
    return tasks


def measured(task: Task, *, n_train: int, seed: int) -> list[list[float]]:
    """Return, for each share of the curve, all figures of one task and one draw of curves."""
    order = np.random.default_rng(seed).permutation(len(task.curves))
    train, test = order[:n_train], order[n_train:]
    finals = task.curves[:, -1]
    best = float(finals.min())

    def unit(values: Floats) -> Floats:
        return (np.clip(values, best, CAP) - best) / (CAP - best)

    predictor = CurvePredictor(Completed(task.curves[train], finals[train], task.x[train]))
    truth, out = finals[test], []
    for share in SHARES:
        t = round(share * task.curves.shape[1])
        heads, x = task.curves[test, :t], task.x[test]
        began = time.perf_counter()
        predictor.forecast(heads[:1], x[:1])
        fitted = time.perf_counter()
        forecast = predictor.forecast(heads, x)
        ended = time.perf_counter()
        for i in range(20):
            predictor.forecast(heads[i : i + 1], x[i : i + 1])
        single = (time.perf_counter() - ended) / 20
        assert forecast is not None
        low, high = unit(forecast.quantile(0.05)), unit(forecast.quantile(0.95))
        inside = (low <= unit(truth) + 1e-12) & (unit(truth) <= high + 1e-12)
        thirds = np.array_split(np.argsort(forecast.sizes), 3)
        last = heads[:, -1]
        out.append(
            [
                kendalltau(forecast.centre, truth).statistic,
                kendalltau(last, truth).statistic,
                float(np.abs(unit(forecast.centre) - unit(truth)).mean()),
                float(np.abs(unit(last) - unit(truth)).mean()),
                float(inside.mean()),
                *(float(inside[k].mean()) for k in thirds),
                1e3 * (fitted - began),
                1e3 * (ended - fitted) / len(test),
                1e3 * single,
            ]
        )
    return out


def row(name: str, share: float, f: NDArray[np.float64]) -> str:
    """Return one line of the table."""
    tau, mae = TARGETS[share]
    cells = [
        name,
        f"{share:.0%}",
        f"{f[0]:.3f}",
        f"{f[1]:.3f}",
        f">= {tau}",
        f"{f[2]:.4f}",
        f"{f[3]:.4f}",
        f"< {mae}",
        f"{f[4]:.1%}",
        " ".join(f"{v:.0%}" for v in f[5:8]),
        f"{f[8]:.0f}",
        f"{f[9]:.3f}",
        f"{f[10]:.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


HEAD = (
    "| task | seen | tau | tau last | target | MAE | MAE last | target | in 90 % | easy..hard "
    "| fit ms | ms each of many | ms alone |\n|" + " --- |" * 13
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one task, one draw of 50 curves")
    parser.add_argument("--tasks", action="store_true", help="print each task as well")
    parser.add_argument("--data", type=Path, default=data_folder())
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train", type=int, default=100)
    given = parser.parse_args()
    if given.data is None:
        raise SystemExit("no folder shared/data/taskset found above; give one with --data")
    tasks = load(given.data)
    if given.quick:
        tasks, given.seeds, given.train = tasks[:1], 1, 50
    print(f"{len(tasks)} tasks, {given.train} complete curves, {given.seeds} draws\n\n{HEAD}")
    figures = np.array(
        [
            [measured(task, n_train=given.train, seed=s) for s in range(given.seeds)]
            for task in tasks
        ]
    ).mean(axis=1)
    for k, share in enumerate(SHARES):
        if given.tasks:
            for task, f in zip(tasks, figures, strict=True):
                print(row(task.name.split("imdb_")[-1], share, f[k]))
        print(row("median", share, np.median(figures[:, k], axis=0)))


if __name__ == "__main__":
    main()
