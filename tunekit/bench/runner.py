"""The comparison: every contender on every problem with every seed, resumable at any point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunekit.bench.contenders import Contender
from tunekit.bench.episode import Proposer, SamplerProposer, play
from tunekit.bench.finished_cells import Cell, FinishedCells
from tunekit.bench.pools import PoolTask
from tunekit.bench.problem import Problem
from tunekit.bench.regret import LossScale
from tunekit.bench.sources import ProblemSource, problems_of
from tunekit.bench.workforce import Done, perform
from tunekit.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class ComparisonPlan:
    """What is compared.

    Attributes:
        sources: where the problems come from.
        contenders: samplers and peers.
        seeds: of the contenders' random streams.
        n_trials: budget of each run.
        workers: how many trials run at a time; several values compare them.
        keep_params: store the params of every trial too.
        n_pool: random points behind the yardstick; `None` is the problem's own number.
    """

    sources: tuple[ProblemSource, ...]
    contenders: tuple[Contender, ...]
    seeds: tuple[int, ...]
    n_trials: int = 40
    workers: tuple[int, ...] = (1,)
    keep_params: bool = False
    n_pool: int | None = None

    def __post_init__(self) -> None:
        empty = [k for k in ("sources", "contenders", "seeds", "workers") if not getattr(self, k)]
        if empty:
            raise InvalidArgument(f"a comparison without {empty[0]}: give at least one.")
        labels = [c.label for c in self.contenders]
        if twice := {label for label in labels if labels.count(label) > 1}:
            raise InvalidArgument(f'"{min(twice)}" takes part twice; name it once.')
        if self.n_trials < 1 or min(self.workers) < 1:
            raise InvalidArgument(
                f"{self.n_trials} trials by {min(self.workers)} workers: expected 1 or more."
            )

    def tasks(self) -> list[CellTask]:
        """Return all runs, those of one seed side by side."""
        return [
            CellTask(
                source,
                contender,
                Cell(
                    name,
                    source.seed,
                    contender.label,
                    seed,
                    self.n_trials,
                    workers,
                    source.variant,
                ),
                keep_params=self.keep_params,
            )
            for seed in self.seeds
            for source in self.sources
            for name in problems_of(source)
            for workers in self.workers
            for contender in self.contenders
        ]


@dataclass(frozen=True, slots=True)
class CellTask:
    """One run, as it travels to a worker process."""

    source: ProblemSource
    contender: Contender
    cell: Cell
    keep_params: bool = False

    def run(self) -> dict[str, Any]:
        """Return the episode as plain JSON."""
        problem = problems_of(self.source)[self.cell.problem]
        episode = play(
            problem,
            proposer_of(self.contender, problem, self.cell),
            n_trials=self.cell.n_trials,
            workers=self.cell.workers,
            seed=self.cell.seed,
            keep_params=self.keep_params,
        )
        return episode.to_dict()


@dataclass(frozen=True, slots=True)
class FinishedComparison:
    """What is known after a comparison.

    Attributes:
        results: cell -> its episode, of the cells that the plan asks for.
        scales: (problem, suite seed) -> its scale.
        errors: cell -> why it has no result; a rerun tries it again.
    """

    results: Mapping[Cell, Mapping[str, Any]]
    scales: Mapping[tuple[str, int], LossScale]
    errors: Mapping[Cell, str] = field(default_factory=dict)


Listener = Callable[[str, int, int], None]
"""Hears (what has ended, how many are done, of how many)."""


def proposer_of(contender: Contender, problem: Problem, cell: Cell) -> Proposer:
    """Return what proposes for a contender on a problem.

    Raises:
        InvalidArgument: no such sampler or peer, or options that it does not take.
        MissingExtra: it needs a package that is not installed.
    """
    if contender.kind == "sampler":
        from tunekit.registry import make

        return SamplerProposer(make("sampler", contender.name, dict(contender.options)))
    from tunekit.bench.peers.base import Setting, make_peer

    setting = Setting(cell.seed, cell.n_trials, cell.workers)
    return make_peer(contender, problem.space, setting)


def run(
    plan: ComparisonPlan,
    folder: Path,
    *,
    jobs: int = 1,
    pools: Path | None = None,
    listen: Listener = lambda what, n, total: None,
) -> FinishedComparison:
    """Run what the folder does not hold yet, and return all results of the plan.

    Args:
        plan: what is compared.
        folder: where results are kept; a rerun goes on there.
        jobs: processes; 0 runs everything in this one.
        pools: where random pools are kept; by default in the folder.
        listen: hears of progress.
    """
    tasks = plan.tasks()
    cells = FinishedCells(folder)
    missing = [t for t in tasks if t.cell not in cells.results]
    errors: dict[Cell, str] = {}
    with cells.writing() as writer:
        n_done = len(tasks) - len(missing)
        for done in perform(missing, jobs=jobs):
            n_done += 1
            cell = done.task.cell
            if done.error:
                errors[cell] = done.error
            else:
                writer.add(cell, done.result)
            listen(_said(done), n_done, len(tasks))
    results = {t.cell: cells.results[t.cell] for t in tasks if t.cell in cells.results}
    return FinishedComparison(
        results, _scales(plan, pools or folder / "pools", jobs, listen), errors
    )


def _scales(
    plan: ComparisonPlan, folder: Path, jobs: int, listen: Listener
) -> dict[tuple[str, int], LossScale]:
    tasks = [
        PoolTask(source, name, plan.n_pool, plan.n_trials, folder)
        for source in plan.sources
        for name in problems_of(source)
    ]
    found: dict[tuple[str, int], LossScale] = {}
    for done in perform(tasks, jobs=jobs):
        what = f"random points of {done.task.problem}"
        if done.error:
            what = f"{what}: {done.error}"
        else:
            found[done.task.problem, done.task.source.seed] = done.result
        listen(what, len(found), len(tasks))
    return found


def _said(done: Done[CellTask]) -> str:
    cell = done.task.cell
    what = f"{cell.problem} {cell.contender} seed {cell.seed}"
    return f"{what}: {done.error}" if done.error else what
