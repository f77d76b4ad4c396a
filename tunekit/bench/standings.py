"""Computes regret, ranks and costs of a comparison, as rows of tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tunekit.bench.finished_cells import Cell
from tunekit.bench.regret import interval, normalised, ranks
from tunekit.bench.runner import FinishedComparison

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALL = "all"
"""Family name of the rows that cover all problems."""

Row: TypeAlias = dict[str, Any]

ProblemKey: TypeAlias = tuple[str, int]
"""A problem's name and the seed of its instance."""


@dataclass(frozen=True, slots=True)
class ContenderAt:
    """A contender at a number of parallel workers; one row of a table."""

    contender: str
    workers: int

    def label(self, *, with_workers: bool) -> str:
        """Return the name shown in tables."""
        return f"{self.contender} x{self.workers}" if with_workers else self.contender


@dataclass(frozen=True, slots=True)
class ProblemScore:
    """Scores of one entry on one problem.

    Attributes:
        seeds: int[n_seeds], in the order of `curves`.
        curves: float64[n_seeds, n_trials], normalised regret after each trial.
        cpu_ms: float64[n_suggestions], CPU time of every suggestion.
        shares: float64[n_seeds], final hypervolume as a share of the best known, with several
            objectives.
    """

    seeds: tuple[int, ...]
    curves: NDArray[np.float64]
    cpu_ms: NDArray[np.float64]
    shares: NDArray[np.float64] | None = None

    @property
    def auc(self) -> NDArray[np.float64]:
        """Return float64[n_seeds], the mean regret over the trials."""
        mean: NDArray[np.float64] = self.curves.mean(axis=1)
        return mean

    @property
    def final(self) -> NDArray[np.float64]:
        """Return float64[n_seeds], the regret after the last trial."""
        return self.curves[:, -1]


class Standings:
    """The scores of all entries on all problems that have a scale.

    Attributes:
        scores: entry -> problem -> score.
    """

    def __init__(self, outcome: FinishedComparison) -> None:
        runs: dict[ContenderAt, dict[ProblemKey, dict[int, Mapping[str, Any]]]] = {}
        for cell, result in outcome.results.items():
            problem = (cell.problem, cell.suite_seed)
            if problem in outcome.scales:
                of_entry = runs.setdefault(ContenderAt(cell.contender, cell.workers), {})
                of_entry.setdefault(problem, {})[cell.seed] = result
        self.scores = {
            entry: {p: _score(found, outcome, p) for p, found in problems.items()}
            for entry, problems in runs.items()
        }

    @property
    def problems(self) -> list[ProblemKey]:
        """Return all problems by name."""
        return sorted({p for scores in self.scores.values() for p in scores})

    def families(self) -> dict[str, list[ProblemKey]]:
        """Return the problems of each family, then all problems if there are several families."""
        found: dict[str, list[ProblemKey]] = {}
        for problem in self.problems:
            found.setdefault(family_of(problem), []).append(problem)
        return {**found, ALL: self.problems} if len(found) > 1 else found

    def label(self, entry: ContenderAt) -> str:
        """Return the name of an entry, with its worker count if entries differ in it."""
        return entry.label(with_workers=len({e.workers for e in self.scores}) > 1)

    def table(self) -> list[Row]:
        """Return one row per family and entry, sorted by AUC within each family.

        `rank_auc` and `rank_final` are means over the problems that every entry ran.
        """
        return [
            row for name, problems in self.families().items() for row in self._rows(name, problems)
        ]

    def by_problem(self) -> list[Row]:
        """Return one row per problem and entry."""
        rows = []
        for problem in self.problems:
            rows += self._rows(f"{problem[0]} ({problem[1]})", [problem])
        return [{"problem": row.pop("family"), **row} for row in rows]

    def _rows(self, family: str, problems: Sequence[ProblemKey]) -> list[Row]:
        ranked = self._ranks(problems)
        rows = []
        for entry, scores in self.scores.items():
            own = [scores[p] for p in problems if p in scores]
            if own:
                rows.append(
                    {
                        "family": family,
                        "contender": self.label(entry),
                        "settings": entry.contender,
                        "workers": entry.workers,
                        "problems": len(own),
                        "runs": sum(len(s.seeds) for s in own),
                        **_measure("auc", [s.auc for s in own]),
                        **_measure("final", [s.final for s in own]),
                        **_shares(own),
                        **ranked.get(entry, {}),
                        **costs(s.cpu_ms for s in own),
                    }
                )
        return sorted(rows, key=lambda row: float(row["auc"]))

    def _ranks(self, problems: Sequence[ProblemKey]) -> dict[ContenderAt, Row]:
        entries = [e for e, scores in self.scores.items() if any(p in scores for p in problems)]
        shared = [p for p in problems if all(p in self.scores[e] for e in entries)]
        if not shared:
            return {}
        auc = ranks(np.array([[self.scores[e][p].auc.mean() for e in entries] for p in shared]))
        end = ranks(np.array([[self.scores[e][p].final.mean() for e in entries] for p in shared]))
        return {
            e: {"rank_auc": float(auc[:, i].mean()), "rank_final": float(end[:, i].mean())}
            for i, e in enumerate(entries)
        }

    def curve(self, entry: ContenderAt, problems: Sequence[ProblemKey]) -> list[Row]:
        """Return the mean regret over problems and its interval after each trial."""
        own = [self.scores[entry][p].curves for p in problems if p in self.scores[entry]]
        n_trials = own[0].shape[1]
        return [
            {"trial": t, **_measure("regret", [c[:, t] for c in own])} for t in range(n_trials)
        ]


def family_of(problem: ProblemKey) -> str:
    """Return the suite of a problem."""
    return problem[0].partition("/")[0]


def costs(samples: Iterable[NDArray[np.float64]]) -> Row:
    """Return median, 95 % quantile and maximum of the milliseconds per suggestion."""
    ms = np.concatenate(list(samples))
    return {
        "cpu_ms_median": float(np.median(ms)),
        "cpu_ms_p95": float(np.quantile(ms, 0.95)),
        "cpu_ms_max": float(ms.max()),
    }


def _score(
    found: Mapping[int, Mapping[str, Any]], outcome: FinishedComparison, problem: ProblemKey
) -> ProblemScore:
    scale = outcome.scales[problem]
    seeds = tuple(sorted(found))
    curves = np.array([normalised(found[s]["exact"], scale) for s in seeds])
    cpu_ms = np.concatenate([np.asarray(found[s]["cpu_ms"], float) for s in seeds])
    shares = None
    if scale.is_hypervolume:
        reached = [
            min((v for v in found[s]["exact"] if v is not None), default=0.0) for s in seeds
        ]
        shares = np.array(reached) / scale.best
    return ProblemScore(seeds, curves, cpu_ms if cpu_ms.size else np.array([math.nan]), shares)


def _shares(scores: Sequence[ProblemScore]) -> Row:
    """Return the mean share of the best hypervolume, if all problems have several objectives."""
    shares = [s.shares for s in scores if s.shares is not None]
    return _measure("share", shares) if len(shares) == len(scores) else {}


def _measure(name: str, values: Sequence[NDArray[np.float64]]) -> Row:
    low, high = interval(values)
    mean = float(np.mean([v.mean() for v in values]))
    return {name: mean, f"{name}_low": low, f"{name}_high": high}


def failures(errors: Mapping[Cell, str]) -> list[Row]:
    """Return one row per contender and reason, with the number of failed runs."""
    counted: dict[tuple[str, str], list[Cell]] = {}
    for cell, why in errors.items():
        counted.setdefault((cell.contender, why), []).append(cell)
    return [
        {"contender": name, "runs": len(cells), "first": cells[0].problem, "why": why}
        for (name, why), cells in counted.items()
    ]
