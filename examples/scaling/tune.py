"""Tune learning rate and batch size on small models, predict them for a larger one, and check.

Character-level transformers learn the help texts that Python ships with. The small ones are tuned
by `tunekit`, a law of their runs says what to use for the largest, and a grid there shows how far
the law was off. Run it with `python examples/scaling/tune.py`; it needs torch and takes some
minutes on a CPU, `--quick` less than one.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import tunekit as tk

sys.path.insert(0, str(Path(__file__).parent))

from model import CONTEXT, n_parameters, train

SEQUENCES = [1, 2, 4, 8, 16, 32]


@dataclass(frozen=True)
class Size:
    """How much is run.

    Attributes:
        cells: width of each small model and its tokens for each parameter.
        more: the cells that the law may choose from for its planned runs.
        target: the same of the model to predict for.
        n_runs: runs in each cell that cover learning rates and batch sizes.
        n_planned: runs that the law plans.
        lr_steps: learning rates of the check, each twice the one before.
        batches: batch sizes of the check, in sequences.
    """

    cells: tuple[tuple[int, int], ...] = ((16, 6), (16, 18), (24, 6), (24, 18))
    more: tuple[tuple[int, int], ...] = ((16, 36), (32, 4), (32, 8))
    target: tuple[int, int] = (48, 8)
    n_runs: int = 6
    n_planned: int = 10
    lr_steps: tuple[int, ...] = (-2, -1, 0, 1)
    batches: tuple[int, ...] = (1, 2, 4)


QUICK = Size(((8, 6), (8, 18), (16, 4)), ((16, 8),), (24, 6), 5, 5, (-1, 0), (2, 4))


def objective(trial: tk.Trial) -> float:
    p = trial.params
    trial.set_user_attr("N", n_parameters(p["width"]))
    return train(width=p["width"], tokens=p["tokens"], lr=p["lr"], sequences=p["sequences"])


def scale(width: int, ratio: int) -> tuple[int, int]:
    """Return N and D of a model."""
    return n_parameters(width), ratio * n_parameters(width)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller models, fewer runs")
    parser.add_argument("--storage", default=None, help="URL to keep the study at")
    parser.add_argument("--workers", type=int, default=min(4, os.cpu_count() or 1))
    given = parser.parse_args()
    size = QUICK if given.quick else Size()
    widths = sorted({width for width, _ in (*size.cells, *size.more, size.target)})
    n, d = scale(*size.target)
    space = tk.Space(
        lr=tk.Float(3e-4, 0.1, log=True),
        sequences=tk.Categorical(SEQUENCES, ordered=True),
        width=tk.Categorical(widths, ordered=True),
        tokens=tk.Int(1000, d, log=True, scale="D"),
    )
    study = tk.study("chars", space=space, sampler="sobol", storage=given.storage, seed=1)

    # 1. A few runs cover the learning rates and batch sizes of every small cell.
    for width, ratio in size.cells * size.n_runs:
        study.enqueue_trial({"width": width, "tokens": scale(width, ratio)[1]})
    study.optimize(objective, n_trials=len(size.cells) * size.n_runs, workers=given.workers)
    roles = {"n": "N", "bs": "sequences", "sequence_length": CONTEXT}
    law = tk.scaling.fit(study, **roles)
    print(law)

    # 2. The law plans the next small runs, those that tell most about the largest model.
    more = [scale(*cell) for cell in size.more]
    budget = size.n_planned * 6 * max(n * d for n, d in more)
    plan = law.plan(
        budget,
        N=n,
        D=d,
        cells=more,
        runs_per_cell=5,
        runs_at_target=0,
        max_runs=size.n_planned,
    )
    plan.enqueue(study, sizes={n_parameters(width): {"width": width} for width in widths})
    study.optimize(objective, n_trials=len(plan), workers=given.workers)
    law = tk.scaling.fit(study, **roles)
    print(f"\nafter {len(plan)} planned runs\n{law}")

    # 3. The largest model runs once, at what the law predicts.
    at = law.predict(N=n, D=d)
    print(f"\n{at}")
    lr, batch = (
        at.lr.median,
        min(SEQUENCES, key=lambda s: abs(s * CONTEXT - at.bs.median)),
    )
    width = size.target[0]
    predicted = train(width=width, tokens=d, lr=lr, sequences=batch)

    # 4. A grid around the middle of what was tried shows how far the law was off.
    print(f"\ncheck at N={n:,}, D={d:,}: predicted lr {lr:.3g} and {batch} sequences")
    check = tk.study("check", space=space, sampler="sobol", storage=given.storage, seed=2)
    for step in size.lr_steps:
        for sequences in size.batches:
            point = {
                "lr": 0.008 * 2.0**step,
                "sequences": sequences,
                "width": width,
                "tokens": d,
            }
            check.enqueue_trial(point)
    check.optimize(
        objective,
        n_trials=len(size.lr_steps) * len(size.batches),
        workers=given.workers,
    )
    for trial in sorted(check.trials, key=lambda t: t.number):
        p = trial.params
        print(f"  lr {p['lr']:<8.3g} {p['sequences']:>2} sequences: loss {trial.value:.4f}")
    best = min(t.value for t in check.trials)
    print(f"loss of the prediction {predicted:.4f}, best of the grid {best:.4f}")
    print(f"gap {predicted / best - 1:+.2%}, after {len(study.trials)} small runs")


if __name__ == "__main__":
    main()
