"""Prints how many trials a wind tunnel needs beside a full tune of each rung.

    python tests/benchmarks/wind_tunnel.py [steplaw.csv]

The rungs are a synthetic model whose best values move as muP says, and, with a table that has the
columns lr, bs, smooth loss, D and N, cells of it, replayed: losses between its points are linear
in ln lr and ln bs, a little more than they are. Gaps are relative to the best of the cell.
"""

from __future__ import annotations

import csv
import math
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import RegularGridInterpolator

import tunekit as tk

Loss = Callable[[Mapping[str, Any]], float]

STEP = math.sqrt(2)


def synthetic(params: Mapping[str, Any]) -> float:
    """Return the loss of a model with muP's rules, five parameters and an interaction."""
    m = params["width"] / 64
    x = math.log2(params["lr"] * m / 0.01)
    y = math.log2(params["init"] * math.sqrt(m) / 0.1)
    act = {"gelu": 0.0, "swiglu": 0.004, "relu": 0.01}[params["act"]]
    wd = 0.05 * (params["wd"] - 0.1) ** 2
    return 2 + 1.5 * m**-0.3 + 0.02 * x * x + 0.01 * y * y + 0.004 * x * y + act + wd


def cells_of(path: Path) -> dict[tuple[float, float], RegularGridInterpolator]:
    """Return (N, D) -> the smoothed loss over (ln lr, ln bs), linear between the runs."""
    runs: dict[tuple[float, float], dict[tuple[int, float], float]] = {}
    for row in csv.DictReader(path.open()):
        place = (round(math.log(float(row["lr"]), STEP)), float(row["bs"]))
        cell = runs.setdefault((float(row["N"]), float(row["D"])), {})
        cell[place] = float(row["smooth loss"])
    return {key: _surface(cell) for key, cell in runs.items()}


def _surface(cell: Mapping[tuple[int, float], float]) -> RegularGridInterpolator:
    lrs, sizes = sorted({k for k, _ in cell}), sorted({b for _, b in cell})
    worst = max(cell.values())
    table = np.array([[cell.get((k, b), worst) for b in sizes] for k in lrs])
    axes = (np.array(lrs) * math.log(STEP), np.log(sizes))
    return RegularGridInterpolator(axes, table, bounds_error=False, fill_value=worst)


def measured(
    rungs: Sequence[Mapping[str, float]], space: tk.Space, loss: Loss, **plan: Any
) -> list[tuple[int, float]]:
    """Return (trials, loss) of each rung of a tunnel that runs to its certificates."""
    with tempfile.TemporaryDirectory() as folder:
        tunnel = tk.scaling.wind_tunnel(
            "w", space=space, rungs=rungs, storage=f"sqlite:///{folder}/w.db", seed=0, **plan
        )
        tunnel.run(lambda trial: loss(trial.params), progress=False)
        return [(len(s.trials), s.best_value) for s in tunnel.studies]


def tuned_apart(
    rungs: Sequence[Mapping[str, float]], space: tk.Space, loss: Loss, **plan: Any
) -> list[tuple[int, float]]:
    """Return (trials, loss) of a full descent on each rung, which knows nothing of the others."""
    out = []
    for rung in rungs:
        study = tk.study(
            space=tk.Space({**dict(space.nodes), **rung}),
            sampler="coordinate",
            sampler_options=plan,
            seed=0,
        )
        study.optimize(lambda trial: loss(trial.params), progress=False)
        out.append((len(study.trials), study.best_value))
    return out


def show(title: str, results: Mapping[str, list[tuple[int, float]]], best: list[float]) -> None:
    """Print one line a method: trials a rung, in all, and the gaps to the best loss."""
    print(f"\n{title}\n| method | trials a rung | in all | gap a rung, % | mean gap, % |")
    print("| --- | --- | --- | --- | --- |")
    for name, rows in results.items():
        gaps = [100 * (loss - least) / least for (_, loss), least in zip(rows, best, strict=True)]
        trials = [n for n, _ in rows]
        print(
            f"| {name} | {' '.join(map(str, trials))} | {sum(trials)} | "
            f"{' '.join(f'{g:.3f}' for g in gaps)} | {sum(gaps) / len(gaps):.3f} |"
        )


def run_synthetic() -> None:
    """Compare the methods on the synthetic model."""
    space = tk.Space(
        lr=tk.Float(0.01 / 16, 0.16, log=True, default=0.04),
        init=tk.Float(0.1 / 16, 1.6, log=True, default=0.4),
        act=["relu", "swiglu", "gelu"],
        wd=tk.Float(0, 0.2),
    )
    rungs = [{"width": w} for w in WIDTHS]
    mup = {"lr": "1/m", "init": "1/sqrt(m)"}
    results = {
        "full descent on each rung": tuned_apart(rungs, space, synthetic, n_points=9),
        "tunnel, muP's rules": measured(rungs, space, synthetic, transfer=mup, n_points=9),
        "tunnel, constant": measured(rungs, space, synthetic, n_points=9),
        "tunnel, constant, stable ones frozen": measured(
            rungs, space, synthetic, n_points=9, freeze_stable=True
        ),
        "tunnel, laws fitted on the way": measured(
            rungs, space, synthetic, transfer={"lr": "law", "init": "law"}, n_points=9
        ),
    }
    show("Synthetic model, four widths", results, [2 + 1.5 * (w / 64) ** -0.3 for w in WIDTHS])


WIDTHS = (64, 128, 256, 512)

LADDERS: Mapping[str, Sequence[tuple[int, int]]] = {
    "tokens for each parameter growing": [(0, 0), (1, 1), (2, 1), (3, 2), (4, 1)],
    "about 20 tokens a parameter": [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0)],
    "about 53 tokens a parameter": [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)],
}


def run_table(path: Path) -> None:
    """Compare the methods on ladders of cells of a table."""
    cells = cells_of(path)
    by_n = {n: sorted(d for m, d in cells if m == n) for n in sorted({n for n, _ in cells})}
    models = list(by_n)
    lrs = [float(f"{math.exp(x):.6g}") for x in next(iter(cells.values())).grid[0]]
    sizes = [round(math.exp(x)) for x in next(iter(cells.values())).grid[1]]
    space = tk.Space(
        lr=tk.Float(lrs[0] / 4, lrs[-1] * 4, log=True, default=lrs[6]),
        bs=tk.Int(min(sizes) // 2, max(sizes) * 2, log=True, default=sizes[4]),
    )
    for title, places in LADDERS.items():
        rungs = [{"N": models[i], "D": by_n[models[i]][j]} for i, j in places]
        best = [float(cells[r["N"], r["D"]].values.min()) for r in rungs]

        def loss(params: Mapping[str, Any]) -> float:
            surface = cells[params["N"], params["D"]]
            return float(surface([math.log(params["lr"]), math.log(params["bs"])])[0])

        values = {"lr": lrs, "bs": sizes}
        given = {"lr": {"N": -0.713, "D": 0.307}, "bs": {"D": 0.571}}
        n_all = [int(np.isfinite(cells[r["N"], r["D"]].values).sum()) for r in rungs]
        results = {
            "whole grid": list(zip(n_all, best, strict=True)),
            "full descent on each rung": tuned_apart(rungs, space, loss, values=values),
            "tunnel, constant": measured(rungs, space, loss, values=values),
            "tunnel, Step Law's exponents": measured(
                rungs, space, loss, values=values, transfer=given
            ),
            "tunnel, laws fitted on the way": measured(
                rungs, space, loss, values=values, transfer={"lr": "law", "bs": "law"}
            ),
            "the same, within 0.05 % counts as equal": measured(
                rungs, space, loss, values=values,
                transfer={"lr": "law", "bs": "law"}, tolerance=0.0005 * best[0],
            ),
        }  # fmt: skip
        show(f"Cells of {path.name}: {title}", results, best)


if __name__ == "__main__":
    run_synthetic()
    if len(sys.argv) > 1:
        run_table(Path(sys.argv[1]))
