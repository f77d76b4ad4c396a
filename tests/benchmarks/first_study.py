"""What a first study in memory costs, imports included: `python tests/benchmarks/first_study.py`.

Each run is a fresh process, tunekit and Optuna in turn, so that other load on the machine meets
both. A run before the first round writes the byte code, as installing a package does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from statistics import median

from tables import ratio, table

TUNEKIT = """
import tunekit as tk
study = tk.study(space={"x": tk.Float(-5, 5), "y": tk.Float(-5, 5)}, seed=1)
study.optimize(lambda t: t.params["x"] ** 2 + t.params["y"] ** 2, n_trials=N)
"""

OPTUNA = """
import optuna
study = optuna.create_study()
study.optimize(lambda t: t.suggest_float("x", -5, 5) ** 2 + t.suggest_float("y", -5, 5) ** 2, N)
"""

PROGRAMS = (TUNEKIT, OPTUNA)

ROWS = (
    ("first trial", 1, "> 1x, then <= 150 ms"),
    ("6 trials, all before the model", 6, "> 1x, then <= 150 ms"),
    ("10 trials, 4 of them by the model (Optuna: random)", 10, ""),
)
"""(what, number of trials, goal)."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    first_study(parser.parse_args().rounds)


def first_study(rounds: int) -> None:
    """Print the medians of several rounds of each row."""

    def cells() -> Iterable[list[object]]:
        for what, n, goal in ROWS:
            ours, theirs = medians([p.replace("N)", f"{n})") for p in PROGRAMS], rounds)
            speedup = f"**{ratio(theirs, ours)}**"
            yield [what, f"{1e3 * ours:.0f}", f"{1e3 * theirs:.0f}", speedup, goal]

    table(
        f"First study in memory, default sampler, imports included, median of {rounds}",
        ["what", "tunekit ms", "Optuna ms", "Optuna / tunekit", "goal"],
        cells(),
    )


def medians(programs: list[str], rounds: int) -> list[float]:
    """Return the median seconds of each program, all run in turn in each round."""
    for program in programs:
        seconds(program)
    times = [[seconds(program) for program in programs] for _ in range(rounds)]
    return [median(column) for column in zip(*times, strict=True)]


def seconds(program: str) -> float:
    """Return the seconds that a fresh interpreter takes for a program."""
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], env=variables, check=True, capture_output=True)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
