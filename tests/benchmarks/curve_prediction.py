"""Prints how well final losses of TaskSet are foreseen at 10, 25 and 50 % of the curves.

    python tests/benchmarks/curve_prediction.py [--quick] [--data DIR] [--seeds 6] [--train 10 ...]

A model is trained on random complete curves of a task and judged on all others, beside the last
value of each curve. Printed are means over the tasks and draws: Kendall's tau, its difference
from that of the last value with the standard error over tasks and draws, and how often the final
loss lies in the interval of 90 %. The second table is that of a model which also sees the
training loss. With `--tasks` each task has its rows.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from tunekit_surrogates.curves.predictor import Completed, CurvePredictor

SHARES = (0.10, 0.25, 0.50)
LOG = ("learning_rate", "epsilon", "l1", "l2", "linear_decay", "exponential_decay")
LOG_FROM_ONE = ("beta1", "beta2")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """Curves of one task: `(n, T)` losses, `inf` where not finite, and `(n, d)` in [0, 1].

    Attributes:
        training: `(n, T)` training losses.
    """

    name: str
    curves: Floats
    training: Floats
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
        curves, training = (_losses(runs, part) for part in ("valid", "train"))
        rows = [
            [math.log(r["hp"][k]) for k in LOG] + [math.log(1 - r["hp"][k]) for k in LOG_FROM_ONE]
            for r in runs
        ]
        x = np.array(rows)
        x = (x - x.min(axis=0)) / np.ptp(x, axis=0)
        tasks.append(Task(path.name.split(".")[0], curves, training, x))
    return tasks


def _losses(runs: list[dict[str, Any]], part: str) -> Floats:
    rows = [[math.nan if v is None else v for v in r[part]["loss"]] for r in runs]
    curves = np.array(rows, np.float64)
    curves[~np.isfinite(curves)] = np.inf
    return curves


FIGURES = (
    "tau",
    "tau of the last",
    "difference",
    "in 90 %",
    "a model",
    "fit, CPU ms",
    "one more, CPU ms",
)


def measured(
    task: Task, *, n_train: int, seed: int, with_training: bool
) -> list[tuple[float, ...]]:
    """Return, for each share of the curve, the figures of one task and one draw of curves."""
    order = np.random.default_rng(seed).permutation(len(task.curves))
    train, test = order[:n_train], order[n_train:]
    finals = task.curves[:, -1]
    others = task.training[None] if with_training else None
    seen = None if others is None else others[:, train]
    predictor = CurvePredictor(Completed(task.curves[train], finals[train], task.x[train], seen))
    truth, out = finals[test], []
    for share in SHARES:
        t = round(share * task.curves.shape[1])
        heads, x = task.curves[test, :t], task.x[test]
        more = None if others is None else others[:, test, :t]
        first = None if more is None else more[:, :1]
        began = time.process_time()
        predictor.forecast(heads[:1], x[:1], others=first)
        fitted = time.process_time()
        for _ in range(20):
            predictor.forecast(heads[:1], x[:1], others=first)
        alone = (time.process_time() - fitted) / 20
        forecast = predictor.forecast(heads, x, others=more)
        assert forecast is not None
        inside = (forecast.quantile(0.05) <= truth) & (truth <= forecast.quantile(0.95))
        taus = [kendalltau(v, truth).statistic for v in (forecast.centre, heads[:, -1])]
        out.append(
            (
                *taus,
                taus[0] - taus[1],
                float(inside.mean()),
                float(not forecast.fallback),
                1e3 * (fitted - began),
                1e3 * alone,
            )
        )
    return out


def row(name: str, figures: NDArray[np.float64]) -> str:
    """Return the line of `(n, 7)` figures."""
    tau, last, gain, inside, learnt, fit_ms, alone_ms = figures.mean(axis=0)
    error = figures[:, 2].std(ddof=1) / math.sqrt(len(figures)) if len(figures) > 1 else 0.0
    cells = [
        name,
        f"{tau:.3f}",
        f"{last:.3f}",
        f"{gain:+.3f} +- {error:.3f}",
        f"{inside:.1%}",
        f"{learnt:.0%}",
        f"{fit_ms:.0f}",
        f"{alone_ms:.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


def table(tasks: list[Task], given: argparse.Namespace, *, with_training: bool) -> None:
    """Print the rows of all sizes and shares."""
    print(f"\n| curves, seen | {' | '.join(FIGURES)} |\n|" + " --- |" * (len(FIGURES) + 1))
    for n_train in given.train:
        options = {"n_train": n_train, "with_training": with_training}
        found = np.array(
            [
                [measured(task, seed=seed, **options) for seed in range(given.seeds)]
                for task in tasks
            ]
        )
        for k, share in enumerate(SHARES):
            if given.tasks:
                for task, f in zip(tasks, found, strict=True):
                    print(row(f"{n_train}, {share:.0%} {task.name.split('imdb_')[-1]}", f[:, k]))
            figures = found[:, :, k].reshape(-1, len(FIGURES))
            print(row(f"{n_train}, {share:.0%}", figures), flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one task, one draw of 50 curves")
    parser.add_argument("--tasks", action="store_true", help="print each task as well")
    parser.add_argument("--data", type=Path, default=data_folder())
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--train", type=int, nargs="+", default=[10, 20, 50, 100])
    given = parser.parse_args()
    if given.data is None:
        raise SystemExit("no folder shared/data/taskset found above; give one with --data")
    tasks = load(given.data)
    if given.quick:
        tasks, given.seeds, given.train = tasks[:1], 1, [50]
    print(f"{len(tasks)} tasks, {given.seeds} draws of complete curves")
    table(tasks, given, with_training=False)
    print("\nWith the training loss:")
    table(tasks, given, with_training=True)


if __name__ == "__main__":
    main()
