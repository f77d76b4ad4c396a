"""Tells whether the budget ends while the study still improves.

If results came in any order, the number of records (results better than all before) in the last
part of a study would be Poisson distributed with mean `ln(n / (n - window))`; a study is reported
when it has more records than that at `LEVEL`, and they gained at least `GAIN` of all improvement.

Reference: Rényi, 1962, "Théorie des éléments saillants d'une suite d'observations" (records).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tunekit.analysis.health.evidence import EARLY, Evidence
from tunekit.analysis.health.findings import MAX_NUMBERS, Finding, healthy, line, unknown
from tunekit.analysis.health.tails import hypergeometric_tail, poisson_tail

if TYPE_CHECKING:
    from numpy.typing import NDArray

    _Floats = NDArray[np.float64]

NEARLY = 0.8
"""Share of the budget from which on it is nearly over."""
WINDOW = 0.25
"""Last part of the results in which records are counted."""
LEVEL = 0.01
GAIN = 0.12
"""Share of the improvement; a steady one makes 0.25 in that part, one that levels off less."""
MIN_TRIALS = 20
MAX_FRONT = 40

UNIT = "share of the improvement made in the last quarter"


def check(evidence: Evidence) -> Finding:
    """Return the finding."""
    most = evidence.max_trials
    if not most:
        return unknown("budget", "the study has no budget; set the attribute max_trials.")
    spent = len(evidence.started) / most
    if spent < NEARLY:
        return healthy("budget", f"{spent:.0%} of {most} trials are spent.", spent, "share spent")
    points = evidence.able
    if len(points) < MIN_TRIALS:
        return unknown("budget", f"it needs {MIN_TRIALS} results, and there are {len(points)}.")
    losses = points.losses
    numbers = [t.number for t in points.trials]
    if losses.shape[1] == 1:
        late, p, gain = _records(losses[:, 0])
    else:
        late, p, gain = _front(losses)
    if p >= LEVEL or gain < GAIN:
        text = f"the last quarter of {len(points)} results gained {gain:.0%} of the improvement."
        return healthy("budget", text, round(gain, 4), UNIT)
    more = max(10, math.ceil(most / 2))
    return Finding(
        "budget",
        "sick",
        round(gain, 4),
        UNIT,
        f"{spent:.0%} of {most} trials are spent, and the best still moves: the last quarter of "
        f"the results made {gain:.0%} of the improvement.",
        f"Give the study about {more} more trials.",
        line("resume", evidence.spec.name, "--trials", str(most + more)),
        tuple([numbers[i] for i in late][-MAX_NUMBERS:]),
        action={"do": "extend", "trials": most + more},
    )


def _records(losses: _Floats) -> tuple[list[int], float, float]:
    n = len(losses)
    first = n - max(1, round(WINDOW * n))
    best = np.minimum.accumulate(losses)
    late = [i for i in range(first, n) if best[i] < best[i - 1]]
    start = float(np.median(losses[:EARLY]))
    whole = start - float(best[-1])
    gain = float(best[first - 1] - best[-1]) / whole if whole > 0.0 else 0.0
    return late, poisson_tail(len(late), math.log(n / first)), min(gain, 1.0)


def _front(losses: _Floats) -> tuple[list[int], float, float]:
    """Return the late points of the front, the chance of at least that many, and their volume."""
    from tunekit_surrogates.hypervolume import hypervolume
    from tunekit_surrogates.non_domination import non_dominated

    n = len(losses)
    first = n - max(1, round(WINDOW * n))
    low, high = losses.min(axis=0), np.percentile(losses, 90, axis=0)
    scaled = (losses - low) / np.where(high > low, high - low, 1.0)
    worst = np.ones(losses.shape[1])
    volumes = [
        float(hypervolume(_some(part[non_dominated(part)]), worst))
        for part in (scaled[:first], scaled)
    ]
    on_front = np.flatnonzero(non_dominated(losses))
    late = [int(i) for i in on_front if i >= first]
    p = hypergeometric_tail(len(late), len(on_front), n - first, n)
    gain = (volumes[1] - volumes[0]) / volumes[1] if volumes[1] > 0.0 else 0.0
    return late, p, gain


def _some(front: _Floats) -> _Floats:
    """Return at most `MAX_FRONT` points: the exact volume of more takes long."""
    if len(front) <= MAX_FRONT:
        return front
    order = front[np.argsort(front[:, 0], kind="stable")]
    return np.asarray(order[np.linspace(0, len(front) - 1, MAX_FRONT).round().astype(np.int64)])
