"""Scaling laws on a table of finished runs: `python tests/benchmarks/scaling_laws.py`.

A gap is the relative loss excess, in percent, of the predicted learning rate and batch size over
the best run of a cell, with the losses of the cell interpolated linearly over their logarithms.
The best run of about 120 is lucky as well as good: a law that saw every run has gaps, too.

The table is read from `../shared/data/steplaw`, which has no licence and is not shipped. The
published Step Law was fitted to these very runs.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from scaling_replay import Predictor, Table, best_of_five, planned_law, predictor, read
from scipy.optimize import minimize
from tables import table

from tunekit_surrogates.scaling import PRESETS, Runs, fit_law, fit_loss, validate
from tunekit_surrogates.scaling.fit import Method

DATA = Path(__file__).parents[2].parent / "shared/data/steplaw/dense_lr_bs_loss.csv"
METHODS: tuple[Method, ...] = ("auto", "surface", "cells", "threshold", "quadratic")


def fitted(runs: Runs) -> dict[str, Predictor]:
    """Return what each method and each published law predicts, by name."""
    laws: dict[str, Predictor] = {}
    for method in METHODS:
        law = fit_law(runs, method=method, n_bootstraps=0)
        name = f"auto ({law.method})" if method == "auto" else method
        laws[name] = predictor(law)
    middle = np.exp(np.log([runs.n, runs.d]).mean(axis=1)).tolist()
    for preset in ("deepseek", "mup"):
        priors = PRESETS[preset].priors(*middle, sd=1e-3)
        anchored = fit_law(runs, method="cells", priors=priors)
        laws[f"{preset} exponents, anchored"] = predictor(anchored)
    for preset in ("step_law", "deepseek"):
        lr, bs = PRESETS[preset].lr, PRESETS[preset].bs
        assert lr is not None
        assert bs is not None
        laws[f"{preset}, published"] = lambda n, d, lr=lr, bs=bs: (lr(n, d), bs(n, d))
    return laws


def splits(runs: Table, *, n_subsets: int) -> None:
    """Print the gaps on larger cells of laws that saw smaller ones."""
    k = len(runs.cells)
    half = k // 2
    rng = np.random.default_rng(1)
    subsets = []
    for _ in range(n_subsets):
        size = int(rng.integers(min(5, half), half + 2))
        subsets.append(sorted(rng.choice(2 * k // 3, size, replace=False).tolist()))
    tests = [list(range(half)), list(range(half + k % 2)), *subsets]
    found: dict[str, list[list[float]]] = {}
    for seen in tests:
        larger = list(range(max(seen) + 1, k))
        for i, law in enumerate(fitted(runs.of(seen)).items()):
            name = "auto" if i == 0 else law[0]
            found.setdefault(name, []).append(runs.gaps(law[1], larger))
    rows = []
    for name, gaps in found.items():
        means = [float(np.mean(one)) for one in gaps]
        subset = f"{np.mean(means[2:]):.3f}" if len(means) > 2 else "-"
        rows.append(
            [name, f"{means[0]:.3f}", f"{max(gaps[0]):.3f}", f"{means[1]:.3f}", subset, "<= .080"]
        )
    table(
        f"Smaller cells -> larger cells (of {k}; gaps in %)",
        [
            "law",
            f"{half} smallest: mean",
            "worst",
            f"{half + k % 2} smallest: mean",
            f"{n_subsets} random subsets: mean",
            "target",
        ],
        rows,
    )


def few_runs(runs: Table, *, n_draws: int) -> None:
    """Print the gaps of laws from few runs: planned ones, and ones drawn at random."""
    every = list(range(len(runs.cells)))
    half = len(every) // 2
    rows = []
    for start in ("deepseek", "mup"):
        for name, candidates in (("any cell", every), ("the smaller half", every[: half + 1])):
            law, n = planned_law(runs, candidates, start=start, n_runs=35)
            gaps = runs.gaps(predictor(law), every)
            larger = float(np.mean(gaps[half:]))
            what = f"{n} planned in {name}, from {start}"
            rows.append([what, f"{np.mean(gaps):.3f}", f"{larger:.3f}", "<= .100"])
    whole = runs.of(every)
    means, larger_means = [], []
    for seed in range(n_draws):
        drawn = np.random.default_rng(seed).choice(len(whole), min(150, len(whole)), replace=False)
        gaps = runs.gaps(predictor(fit_law(whole.where(drawn))), every)
        means.append(float(np.mean(gaps)))
        larger_means.append(float(np.mean(gaps[half:])))
    what = f"150 at random, mean of {n_draws} draws"
    rows.append([what, f"{np.mean(means):.3f}", f"{np.mean(larger_means):.3f}", "<= .120"])
    rows.append(["150 at random, worst draw", f"{max(means):.3f}", f"{max(larger_means):.3f}", ""])
    table(
        "Laws from few runs (mean gaps in %)",
        ["runs", "all cells", "larger half", "target"],
        rows,
    )


def at_target(runs: Table) -> None:
    """Print the gaps of the best of five runs in a cell, after the law of smaller cells."""
    k = len(runs.cells)
    gaps, alone = [], []
    for i in range(k // 2, k):
        law = fit_law(runs.of(range(i)))
        alone.append(runs.gaps(predictor(law), [i])[0])
        gaps.append(best_of_five(runs, i, law))
    table(
        "A target cell, from the law of all smaller cells (gaps in %)",
        ["what", "mean", "worst", "target"],
        [
            ["the law alone", f"{np.mean(alone):.3f}", f"{max(alone):.3f}", ""],
            ["the law and 5 runs", f"{np.mean(gaps):.3f}", f"{max(gaps):.3f}", "<= .060"],
        ],
    )


def coverage(runs: Runs) -> None:
    """Print how often 90 % intervals hold the centre of the plateau of a held-out cell."""
    rows = []
    for method in ("surface", "cells"):
        cells = validate(runs, method=method)
        lr, bs = sum(c.lr_covered for c in cells), sum(c.bs_covered for c in cells)
        share = (lr + bs) / (2 * len(cells))
        gap = 100.0 * np.mean([c.gap for c in cells])
        n = len(cells)
        rows.append([method, f"{gap:.3f}", f"{lr}/{n}", f"{bs}/{n}", f"{share:.0%}", "85-95 %"])
    table(
        "Each cell held out in turn",
        ["method", "mean gap, %", "lr covered", "bs covered", "both", "target"],
        rows,
    )


def chinchilla(seed: int, *, noise: float, k: int = 245) -> tuple[np.ndarray, ...]:
    """Return N, D and losses of a surface with Besiroglu's coefficients."""
    rng = np.random.default_rng(seed)
    compute = np.exp(rng.uniform(np.log(6e18), np.log(3e21), k))
    n = np.sqrt(compute / 120) * np.exp(rng.uniform(-1.6, 1.6, k))
    d = compute / 6 / n
    loss = np.vectorize(PRESETS["besiroglu"].loss)(n, d) * np.exp(rng.normal(0, noise, k))
    return n, d, loss


def recovered(*, n_seeds: int) -> None:
    """Print the errors of the coefficients on a known surface."""
    truth = np.array([1.8172, 0.3478, 0.3658])
    rows = []
    for noise in (3e-4, 1e-3, 3e-3):
        errors = []
        for seed in range(n_seeds):
            n, d, loss = chinchilla(seed, noise=noise)
            law = fit_loss(n, d, loss=loss)
            errors.append(np.abs(np.array([law.e, *law.exponents]) - truth))
        middle = np.median(errors, axis=0)
        rows.append([f"{noise:g}", *(f"{e:.4f}" for e in middle), ".005, .003, .003"])
    table(
        f"E + A/N^a + B/D^b from 245 losses: median errors over {n_seeds} draws",
        ["noise of ln L", "E", "a", "b", "target"],
        rows,
    )


def speed(*, k: int, n_bootstraps: int) -> None:
    """Print the time of full fits with bootstraps, beside the recipe of one scipy fit a start."""
    n, d, loss = chinchilla(0, noise=1e-3, k=k)
    started = time.process_time()
    fit_loss(n, d, loss=loss, n_bootstraps=n_bootstraps)
    ours = time.process_time() - started
    started = time.process_time()
    _recipe(n, d, loss)
    theirs = (time.process_time() - started) * n_bootstraps
    table(
        f"E + A/N^a + B/D^b of {k} losses with {n_bootstraps} bootstraps, CPU s",
        ["tunekit", "scipy BFGS from a grid of starts", "ratio", "target"],
        [
            [
                f"{ours:.2f}",
                f"{theirs:.0f} (one fit x {n_bootstraps})",
                f"{theirs / ours:.0f}x",
                "< 5 s",
            ]
        ],
    )


def _recipe(n: np.ndarray, d: np.ndarray, loss: np.ndarray) -> np.ndarray:
    """Fit as published: BFGS with numerical gradients on a log-Huber error, a start at a time."""
    x, y, t = np.log(n), np.log(d), np.log(loss)

    def error(p: np.ndarray) -> float:
        a, b, e, alpha, beta = p
        law = np.logaddexp.reduce([a - alpha * x, b - beta * y, np.full_like(x, e)])
        r = np.abs(law - t)
        return float(np.where(r < 1e-3, 0.5 * r**2, 1e-3 * (r - 0.5e-3)).sum())

    grid = [(a, b, e, k, k) for a in (5, 10) for b in (5, 10) for e in (0, 1) for k in (0.2, 0.5)]
    found = [minimize(error, start, method="BFGS") for start in grid]
    return np.asarray(min(found, key=lambda one: float(one.fun)).x)


def whole_fit(runs: Runs, *, n_bootstraps: int) -> None:
    """Print the time of a full fit of the table, and what it predicts for a model of 7B."""
    started = time.process_time()
    law = fit_law(runs, n_bootstraps=n_bootstraps)
    for method in ("threshold", "quadratic"):
        fit_law(runs, method=method, n_bootstraps=n_bootstraps)
    took = time.process_time() - started
    at, step = law.predict(7e9, 1.4e12), PRESETS["step_law"]
    assert step.lr is not None
    assert step.bs is not None
    table(
        f"N = 7e9, D = 1.4e12 from {len(runs)} runs ({law.method};"
        f" all methods with {n_bootstraps} bootstraps in {took:.1f} CPU s, target < 5 s)",
        ["", "median", "50 %", "90 %", "Step Law, published"],
        [
            [
                name,
                f"{one.median:.3g}",
                f"{one.low50:.3g} to {one.high50:.3g}",
                f"{one.low90:.3g} to {one.high90:.3g}",
                published,
            ]
            for name, one, published in (
                ("learning rate", at.lr, f"{step.lr(7e9, 1.4e12):.3g}"),
                ("batch, tokens", at.bs, f"{step.bs(7e9, 1.4e12):.3g}"),
                ("loss", at.loss, "-"),
            )
            if one is not None
        ],
    )
    print(f"\nExtrapolation {at.extrapolation:.0f}x in compute; a rate twice too low costs")
    print(f"{at.excess_low:.2%} of the loss, one twice too high {at.excess_high:.2%}.")


def main() -> int:
    """Parse the arguments and print the tables; return 0 where the data are absent."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="CSV with lr, bs, N, D, loss")
    parser.add_argument("--sequence-length", type=int, default=2048, help="tokens of a sequence")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it all run?")
    arguments = parser.parse_args()
    if not arguments.data.exists():
        print(
            f"skipped: there is no {arguments.data}; give --data FILE.csv with lr, bs, N, D, loss"
        )
        return 0
    runs = read(arguments.data, sequence_length=arguments.sequence_length)
    cells = Table(runs)
    quick = arguments.quick
    splits(cells, n_subsets=1 if quick else 12)
    few_runs(cells, n_draws=1 if quick else 20)
    at_target(cells)
    coverage(runs)
    whole_fit(runs, n_bootstraps=10 if quick else 1000)
    recovered(n_seeds=1 if quick else 20)
    speed(k=50 if quick else 2000, n_bootstraps=2 if quick else 1000)
    return 0


if __name__ == "__main__":
    sys.exit(main())
