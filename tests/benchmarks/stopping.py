"""Early stopping on recorded learning curves: `python tests/benchmarks/stopping.py`.

Replays TaskSet's curves under our rules and those of Optuna and Ray (`tunekit/bench/stopping.py`).
Rules of Optuna prune real studies, those of Ray are asked as Tune asks them.

The rules were tuned on the first half of the tasks (by name) only; the other half is held out.
"""

from __future__ import annotations

import argparse
import gzip
import json
import warnings
from itertools import groupby
from pathlib import Path

import numpy as np

from tunekit.bench.stopping import compared
from tunekit.bench.stopping_rules import MakeRule, rules
from tunekit.registry import names

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "taskset"


def read(folder: Path) -> list[np.ndarray]:
    """Return the validation losses of each task, `(configurations, checkpoints)`, by name."""
    found = []
    for file in sorted(folder.glob("*.json.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as text:
            runs = json.load(text)
        found.append(np.array([[float(x) for x in run["valid"]["loss"]] for run in runs]))
    return found


def measure(made: dict[str, MakeRule], tasks: list[np.ndarray], sizes: argparse.Namespace) -> None:
    """Print one table: speed-up and what is lost, by rule and number of slots."""
    heads = [f"{s} at a time: speed-up (least) | kept | mean loss, %" for s in sizes.slots]
    print(f"| rule | {' | '.join(heads)} |")
    print(f"|---{'|---' * 3 * len(heads)}|")
    found = compared(
        made, tasks, n_streams=sizes.streams, n_runs=sizes.trials, slots=tuple(sizes.slots)
    )
    for name, outcomes in groupby(found, lambda o: o.rule):
        cells = []
        for o in outcomes:
            cells += [f"{o.speed_up:.2f}x ({o.least:.2f})", f"{o.n_kept}/{o.n_streams}"]
            cells.append(f"{100 * o.loss:.2f} +- {100 * o.error:.2f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Parse the arguments and print a table for the tuned and the held-out tasks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of TaskSet curves")
    parser.add_argument("--streams", type=int, default=16, help="of each task")
    parser.add_argument("--trials", type=int, default=100, help="configurations of a stream")
    parser.add_argument("--slots", type=int, action="append", help="trials at a time; repeatable")
    parser.add_argument("--stopper", action="append", default=[], help="a further one of ours")
    parser.add_argument("--only", action="append", help="rows whose name begins so")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it all run?")
    arguments = parser.parse_args()
    arguments.slots = arguments.slots or [1, 8]
    if arguments.quick:
        arguments.streams, arguments.trials = 1, 12
    if unknown := set(arguments.stopper) - set(names("stopper")):
        parser.error(f"no stopper {sorted(unknown)}; there are {', '.join(names('stopper'))}")
    tasks = read(arguments.data)
    if not tasks:
        parser.error(f"no curves (*.json.gz) in {arguments.data}; give --data FOLDER")
    made = rules(tasks[0].shape[1], tuple(arguments.stopper))
    if arguments.only:
        made = {n: r for n, r in made.items() if n.startswith(tuple(arguments.only))}
    warnings.simplefilter("ignore")  # of the peers, on curves of NaN
    half = (len(tasks) + 1) // 2
    for title, chosen in (
        ("tasks that rules were tuned on", tasks[:half]),
        ("held-out tasks", tasks[half:]),
    ):
        print(f"\n### {len(chosen)} {title}, {len(chosen) * arguments.streams} streams\n")
        measure(made, chosen, arguments)


if __name__ == "__main__":
    main()
