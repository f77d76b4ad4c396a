"""Simulated advisers of known quality: `python tests/benchmarks/llm_advisers.py`.

Each adviser answers behind a real HTTP endpoint, and `auto` mixes it in as it does a language
model. It is compared with `auto` alone on the same instance and seed. `--seeds 3 --problems
"15 knobs"` takes two minutes; everything takes about two hours of one core. `--runs FILE` keeps
finished runs, so that a comparison resumes, and several processes can share the problems.

Trials are those until the best result of `auto` alone after all its trials is reached, counted as
all of them where it is not. Normalised regret is 0 at the optimum and 1 where random search is.
`auto` alone with another seed shows how much of a difference is luck.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from advisers import PROBLEMS, Adviser, Quality
from tables import table

from tunekit.bench.episode import SamplerProposer, play
from tunekit.bench.problem import Problem
from tunekit.bench.regret import LossScale, normalised, scale_of
from tunekit.registry import make
from tunekit.samplers.base import sample
from tunekit.samplers.random_streams import stream
from tunekit.testing.openai_server import running_endpoint

N_POOL = 2000
"""Random points that define regret 1."""

POOL_SEED = 1 << 40
"""Far from the seeds of the runs."""

OTHER_SEED = 1000
"""Added to the seed of a run, not to that of its instance."""

ALONE, AGAIN = "auto alone", "auto alone, another seed"
GOOD = {f"good, error {e:.0%}": Quality(error=e) for e in (0.05, 0.1)}
BAD = {"misleading": Quality("wrong", 0.1), "random": Quality("uniform")}
RANGES = {
    "one point and ranges, error 10%": Quality(error=0.1, names_ranges=True),
    "one point and ranges, misleading": Quality("wrong", 0.1, names_ranges=True),
}
LEARNING = Quality(error=0.2, is_biased=True, reads_state=True)
TOLD, UNTOLD = "reads the state", "reads the state, not told"
ADVISERS: dict[str, Quality | None] = {
    ALONE: None, **GOOD, **BAD, **RANGES, TOLD: LEARNING, UNTOLD: LEARNING, AGAIN: None,
}  # fmt: skip

Key: TypeAlias = tuple[str, int, str]
"""Problem, seed, adviser."""


def losses(problem: Problem, adviser: str, *, seed: int, n_trials: int) -> list[float]:
    """Return the losses of one run in the order of its trials; infinite without a result."""
    quality = ADVISERS[adviser]
    if quality is None:
        other = OTHER_SEED if adviser == AGAIN else 0
        return _played(problem, {}, seed=seed + other, n_trials=n_trials)
    with running_endpoint(Adviser(problem, quality, seed=seed)) as endpoint:
        llm = {
            "model": "simulated",
            "base": endpoint.base,
            "wait_s": 600.0,
            "timeout_s": 600.0,
            "max_tokens": None,
            "with_state": adviser != UNTOLD,
            "n_points": 1 if adviser in RANGES else 4,
        }
        return _played(problem, {"llm": llm}, seed=seed, n_trials=n_trials)


def _played(
    problem: Problem, options: dict[str, object], *, seed: int, n_trials: int
) -> list[float]:
    proposer = SamplerProposer(make("sampler", "auto", options))
    episode = play(problem, proposer, n_trials=n_trials, seed=seed)
    return [np.inf if loss is None else loss for loss in episode.losses]


def scale(problem: Problem, n_trials: int) -> LossScale:
    """Return what regret 0 and 1 are on a problem."""
    rng = stream(POOL_SEED, 0)
    pool = np.array([problem.evaluate(sample(problem.space, rng)) for _ in range(N_POOL)])
    return scale_of(pool, n_trials=n_trials, best_known=problem.best_known)


@dataclass(slots=True)
class Runs:
    """The runs of all advisers.

    Attributes:
        n_trials: of each run.
        path: file that keeps them, `None` for none.
        losses: losses of each run by trial.
        regret: normalised regret of each run at its end.
    """

    n_trials: int
    path: Path | None = None
    losses: dict[Key, list[float]] = field(default_factory=dict)
    regret: dict[Key, float] = field(default_factory=dict)

    def read(self) -> None:
        """Read the runs that the file keeps."""
        if self.path is not None and self.path.exists():
            for line in self.path.read_text().splitlines():
                problem, seed, adviser, run, regret = json.loads(line)
                self.losses[problem, seed, adviser] = run
                self.regret[problem, seed, adviser] = regret

    def fill(self, problems: Sequence[str], seeds: Iterable[int]) -> None:
        """Make the runs that are missing, seed by seed."""
        for seed in seeds:
            for name in problems:
                missing = [a for a in ADVISERS if (name, seed, a) not in self.losses]
                if missing:
                    self._make(name, seed, missing)

    def _make(self, name: str, seed: int, advisers: Sequence[str]) -> None:
        problem = PROBLEMS[name](seed)
        of = scale(problem, self.n_trials)
        for adviser in advisers:
            run = losses(problem, adviser, seed=seed, n_trials=self.n_trials)
            key = name, seed, adviser
            self.losses[key], self.regret[key] = run, float(normalised(run, of)[-1])
            if self.path is not None:
                with self.path.open("a") as file:
                    file.write(json.dumps([*key, run, self.regret[key]]) + "\n")

    def speed(self, instances: Sequence[tuple[str, int]], adviser: str) -> list[object]:
        """Return the cells on how many times fewer trials an adviser needs."""
        alone, own, reached = [], [], []
        for name, seed in instances:
            first = self.losses[name, seed, ALONE]
            goal = min(first)
            run = self.losses[name, seed, adviser]
            alone.append(first.index(goal) + 1)
            found = next((i + 1 for i, loss in enumerate(run) if loss <= goal), None)
            own.append(found or self.n_trials)
            reached.append(found is not None)
        return [
            f"{np.mean(alone):.1f}",
            f"{np.mean(own):.1f}",
            f"{np.mean(reached):.0%}",
            f"**{self.n_trials / np.mean(own):.1f}x**",
            f"{np.mean(alone) / np.mean(own):.1f}x",
        ]

    def cost(self, instances: Sequence[tuple[str, int]], adviser: str) -> list[object]:
        """Return the cells on what an adviser adds to the regret at the end."""
        alone = np.array([self.regret[name, seed, ALONE] for name, seed in instances])
        own = np.array([self.regret[name, seed, adviser] for name, seed in instances])
        rng, n = np.random.default_rng(0), len(own)
        drawn = (own - alone)[rng.integers(n, size=(4000, n))].mean(axis=1)
        low, high = np.quantile(drawn, [0.025, 0.975])
        return [
            f"{alone.mean():.3f}",
            f"{own.mean():.3f}",
            f"**{100 * (own - alone).mean():+.1f}**",
            f"{100 * low:+.1f} to {100 * high:+.1f}",
            f"{100 * np.median(own - alone):+.2f}",
        ]


SPEED = ["alone", "advised", "reached", "trials / advised", "alone / advised"]
COST = ["alone", "advised", "cost in points of 100", "95 %", "median cost"]


def show(runs: Runs, problems: Sequence[str], seeds: Sequence[int]) -> None:
    """Print the tables."""

    def rows(cells: str, advisers: Iterable[str]) -> Iterable[list[object]]:
        for adviser in advisers:
            for name in problems:
                of = [(name, seed) for seed in seeds]
                yield [adviser, name, *getattr(runs, cells)(of, adviser)]
            of = [(name, seed) for name in problems for seed in seeds]
            yield [adviser, "**all**", *getattr(runs, cells)(of, adviser)]

    first = ["adviser", "problem"]
    table(
        f"Trials to the result of {runs.n_trials} trials of {ALONE}, {len(seeds)} seeds (target: "
        "at least 2x fewer)",
        first + SPEED,
        rows("speed", GOOD),
    )
    table(
        "Normalised regret at the end (target: at most 5 points of 100)",
        first + COST,
        rows("cost", [*BAD, AGAIN]),
    )
    table("Ranges: trials", first + SPEED, rows("speed", RANGES))
    table("Ranges: regret", first + COST, rows("cost", RANGES))
    table("The state in the prompt: trials", first + SPEED, rows("speed", [TOLD, UNTOLD]))
    table("The state in the prompt: regret", first + COST, rows("cost", [TOLD, UNTOLD]))


def main() -> None:
    """Parse the arguments, make the runs and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="instances of each problem")
    parser.add_argument("--first", type=int, default=0, help="first instance")
    parser.add_argument("--trials", type=int, default=40, help="trials of each run")
    parser.add_argument("--problems", nargs="+", choices=list(PROBLEMS), default=list(PROBLEMS))
    parser.add_argument("--runs", type=Path, help="file that keeps finished runs")
    arguments = parser.parse_args()
    runs = Runs(arguments.trials, arguments.runs)
    runs.read()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    runs.fill(arguments.problems, seeds)
    show(runs, arguments.problems, seeds)


if __name__ == "__main__":
    main()
