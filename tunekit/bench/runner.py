"""Runs every contender on every problem with every seed; a comparison can resume at any point."""

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
from tunekit.records import TrialState


@dataclass(frozen=True, slots=True)
class ComparisonPlan:
    """Defines a comparison.

    Attributes:
        sources: sources of the problems.
        contenders: samplers and peers.
        seeds: seeds of the contenders' random streams.
        n_trials: trial budget of each run.
        workers: number of parallel trials; several values are compared with each other.
        keep_params: also store the params of every trial.
        n_pool: random points for the regret scale; `None` takes the problem's default.
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
            raise InvalidArgument(f"The comparison has no {empty[0]}; give at least one.")
        labels = [c.label for c in self.contenders]
        if twice := {label for label in labels if labels.count(label) > 1}:
            raise InvalidArgument(f'Contender "{min(twice)}" is listed twice; list it once.')
        if self.n_trials < 1 or min(self.workers) < 1:
            raise InvalidArgument(
                f"n_trials={self.n_trials}, workers={min(self.workers)}: expected 1 or more of "
                "each."
            )

    def tasks(self) -> list[CellTask]:
        """Return all runs, grouped by seed."""
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
    """One run, in a form that can be sent to a worker process."""

    source: ProblemSource
    contender: Contender
    cell: Cell
    keep_params: bool = False

    def run(self) -> dict[str, Any]:
        """Run the episode and return it as plain JSON."""
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
    """Holds the results of a comparison.

    Attributes:
        results: cell -> episode, for the cells of the plan.
        scales: (problem, suite seed) -> loss scale.
        errors: cell -> reason for the missing result; a rerun tries the cell again.
    """

    results: Mapping[Cell, Mapping[str, Any]]
    scales: Mapping[tuple[str, int], LossScale]
    errors: Mapping[Cell, str] = field(default_factory=dict)


Listener = Callable[[str, int, int], None]
"""Called with (name of the ended run, number done, total)."""


def proposer_of(contender: Contender, problem: Problem, cell: Cell) -> Proposer:
    """Make the proposer of a contender on a problem.

    Raises:
        InvalidArgument: unknown sampler or peer, or unknown options.
        MissingExtra: a required package is not installed.
    """
    if contender.kind == "sampler":
        from tunekit.registry import make

        return SamplerProposer(make("sampler", contender.name, dict(contender.options)))
    from tunekit.bench.peers.base import Setting, make_peer

    setting = Setting(
        cell.seed,
        cell.n_trials,
        cell.workers,
        objectives=problem.objectives,
        constraints=problem.constraints,
    )
    return make_peer(contender, problem.space, setting)


def run(
    plan: ComparisonPlan,
    folder: Path,
    *,
    jobs: int = 1,
    pools: Path | None = None,
    listen: Listener = lambda what, n, total: None,
) -> FinishedComparison:
    """Run the missing cells of a plan and return all its results.

    Args:
        plan: comparison to run.
        folder: results folder; a rerun resumes from it.
        jobs: worker processes; 0 runs everything in this process.
        pools: cache folder of random pools; by default inside `folder`.
        listen: progress callback.
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
    if done.error:
        return f"{what}: {done.error}"
    states = done.result["states"]
    n_failed = len(states) - states.count(TrialState.COMPLETE)
    if 2 * n_failed <= len(states):
        return what
    return (
        f"{what}: {n_failed} of {len(states)} trials failed, the first with {done.result['error']}"
    )
