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


def choices(results: Mapping[Cell, Mapping[str, Any]]) -> list[Row]:
    """Return a row for each family, contender, parameter and choice that any contender tried.

    `trials` counts those with the choice, `active` those in which the parameter was active, and
    `runs` the runs in which the choice was tried at least once. Only texts and truth values count
    as choices. Without kept params there are no rows.
    """
    trials: Counter[tuple[str, Place]] = Counter()
    active: Counter[tuple[str, str, str]] = Counter()
    runs: Counter[tuple[str, Place]] = Counter()
    for cell, result in results.items():
        family = cell.problem.partition("/")[0]
        of_run: Counter[Place] = Counter()
        for params in result.get("params", ()):
            for path, value in params.items():
                if isinstance(value, str | bool):
                    of_run[family, path, str(value)] += 1
                    active[cell.contender, family, path] += 1
        for place, n in of_run.items():
            trials[cell.contender, place] += n
            runs[cell.contender, place] += 1
    contenders = dict.fromkeys(cell.contender for cell in results)
    return [
        {
            "family": place[0],
            "contender": contender,
            "parameter": place[1],
            "choice": place[2],
            "trials": trials[contender, place],
            "active": active[contender, place[0], place[1]],
            "runs": runs[contender, place],
        }
        for contender in contenders
        for place in sorted({place for _, place in trials})
    ]
