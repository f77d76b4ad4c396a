"""Counts how often each choice was tried, from the params that a comparison has kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from tunekit.bench.finished_cells import Cell

if TYPE_CHECKING:
    from tunekit.bench.standings import Row

Place: TypeAlias = tuple[str, str, str]
"""Family of problems, path of a parameter, and a choice."""

Who: TypeAlias = tuple[str, int]
"""Contender and number of workers."""


def choices(results: Mapping[Cell, Mapping[str, Any]]) -> list[Row]:
    """Return a row for each contender, its workers, and each choice that any contender tried.

    `trials` counts those with the choice, `active` those in which the parameter was active, and
    `runs` the runs in which the choice was tried at least once. Only texts and truth values count
    as choices. Without kept params there are no rows.
    """
    trials: Counter[tuple[Who, Place]] = Counter()
    active: Counter[tuple[Who, str, str]] = Counter()
    runs: Counter[tuple[Who, Place]] = Counter()
    for cell, result in results.items():
        who = cell.contender, cell.workers
        family = cell.problem.partition("/")[0]
        of_run: Counter[Place] = Counter()
        for params in result.get("params", ()):
            for path, value in params.items():
                active[who, family, path] += 1
                if isinstance(value, str | bool):
                    of_run[family, path, str(value)] += 1
        for place, n in of_run.items():
            trials[who, place] += n
            runs[who, place] += 1
    return [
        {
            "family": place[0],
            "contender": who[0],
            "workers": who[1],
            "parameter": place[1],
            "choice": place[2],
            "trials": trials[who, place],
            "active": active[who, place[0], place[1]],
            "runs": runs[who, place],
        }
        for who in dict.fromkeys((cell.contender, cell.workers) for cell in results)
        for place in sorted({place for _, place in trials})
    ]
