"""Compares contenders run by run: mean paired difference with its standard error."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tunekit.bench.standings import ContenderAt, ProblemKey, Row, Standings
from tunekit.errors import InvalidArgument, did_you_mean


def check_against(against: str, labels: Sequence[str]) -> None:
    """Check that a comparison contains the contender to compare with.

    Raises:
        InvalidArgument: it does not.
    """
    if against not in labels:
        raise InvalidArgument(
            f'--against "{against}"{did_you_mean(against, labels)}: expected one of the '
            f"contenders, {', '.join(labels)}."
        )


def differences(standings: Standings, against: str) -> list[Row]:
    """Return one row per family and other entry, with its regret minus that of `against`.

    Runs on the same problem with the same seed form a pair; below 0 is better than `against`.
    The standard error is that of the mean over all pairs of a family, so it contains how much the
    difference varies from problem to problem. An entry is paired at its own worker count, and
    `against` itself at a higher count with its lowest.
    """
    rows = []
    for family, problems in standings.families().items():
        for entry in standings.scores:
            base = _base(standings, entry, against)
            row = None if base is None else _row(standings, entry, base, problems)
            if base is not None and row is not None:
                names = {"contender": standings.label(entry), "against": standings.label(base)}
                rows.append({"family": family, **names, **row})
    return rows


def shown_difference(row: Row) -> Row:
    """Format a row for display, each difference with its standard error."""
    out = {name: row[name] for name in ("family", "contender", "against", "pairs")}
    for name in ("auc", "final"):
        error = row[f"{name}_error"]
        out[name] = f"{row[name]:+.3f}" + ("" if error is None else f" +- {error:.3f}")
    return out


def _base(standings: Standings, entry: ContenderAt, against: str) -> ContenderAt | None:
    workers = entry.workers
    if entry.contender == against:
        workers = min(e.workers for e in standings.scores if e.contender == against)
    base = ContenderAt(against, workers)
    return base if base in standings.scores and base != entry else None


def _row(
    standings: Standings, entry: ContenderAt, base: ContenderAt, problems: Sequence[ProblemKey]
) -> Row | None:
    auc: list[float] = []
    final: list[float] = []
    for problem in problems:
        one, two = standings.scores[entry].get(problem), standings.scores[base].get(problem)
        if one is None or two is None:
            continue
        for i, seed in enumerate(one.seeds):
            if seed in two.seeds:
                j = two.seeds.index(seed)
                auc.append(float(one.auc[i] - two.auc[j]))
                final.append(float(one.final[i] - two.final[j]))
    if not auc:
        return None
    return {"pairs": len(auc), **_mean("auc", auc), **_mean("final", final)}


def _mean(name: str, values: Sequence[float]) -> Row:
    n = len(values)
    error = float(np.std(values, ddof=1)) / math.sqrt(n) if n > 1 else None
    return {name: float(np.mean(values)), f"{name}_error": error}
