"""Which check finds which seeded sickness, what is said of sound studies, and what a look costs.

Run it from the root: `python -m tests.benchmarks.study_health --seeds 20`.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import replace

from tests.analysis.seeded_studies import SICK, SOUND, TREE, Seeded, bowl, study
from tunekit.analysis.health import CHECKS

N_TRIALS = 10_000
N_REPORTS = 50
TARGET_S = 0.3


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    print(f"### Sick studies: reports by check, of {len(seeds)} seeds\n")
    _header(["sick study", *CHECKS, "exactly its own"])
    for name, (check, make) in SICK.items():
        found = [tuple(f.check for f in make(seed).health().sick) for seed in seeds]
        _row(name, found, str(sum(f == (check,) for f in found)))
    print(f"\n### Sound studies: reports by check, of {len(seeds)} seeds\n")
    _header(["sound study", *CHECKS, "none"])
    for name, make_sound in SOUND.items():
        found = [tuple(f.check for f in make_sound(seed).health().sick) for seed in seeds]
        _row(name, found, str(found.count(())))
    _cost()


def _header(names: list[str]) -> None:
    print(f"| {' | '.join(names)} |\n|{' --- |' * len(names)}")


def _row(name: str, found: list[tuple[str, ...]], last: str) -> None:
    counts = Counter(check for checks in found for check in checks)
    cells = [str(counts[check]) if counts[check] else "" for check in CHECKS]
    print(f"| {name} | {' | '.join(cells)} | {last} |", flush=True)


def _cost() -> None:
    """Print the CPU time of a look at a long conditional study whose trials have reported."""
    whole = study(TREE, bowl(TREE, {}), n=N_TRIALS, seed=0)
    steps = {t.number: list(range(N_REPORTS)) for t in whole.trials}
    spec = replace(whole.spec, stopper="asha", attrs={"max_trials": N_TRIALS})
    long = Seeded(whole.space, spec, whole.trials, steps)
    history = long.history()
    spent = []
    for _ in range(5):
        start = time.process_time()
        long.health(history)
        spent.append(time.process_time() - start)
    print(f"\n### A look at {N_TRIALS:,} conditional trials with {N_REPORTS} reports each\n")
    _header(["CPU s, the first look", "CPU s, the best of 5", "target"])
    print(f"| {spent[0]:.3f} | {min(spent):.3f} | {TARGET_S} |")


if __name__ == "__main__":
    main()
