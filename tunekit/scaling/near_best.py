"""The points of a study that are about as good as its best, parameter by parameter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tunekit.noise.replicates import UNMEASURED
from tunekit.samplers.coordinate.rules import CoordinateRules
from tunekit.samplers.coordinate.standings import PointResults
from tunekit.scaling.rungs import base_value, rung_of
from tunekit.spaces import Float, Int, Scalar, Space
from tunekit.studies.study import Study


@dataclass(frozen=True, slots=True)
class NearBest:
    """Values near the best of a study; those of a rung in units of the first rung.

    Attributes:
        space: of the study.
        size: the rung's size relative to the first; 0 if unknown.
        best: path -> value in the best point.
        values: path -> value near the best -> its least relative loss excess.
        tried: path -> all values that were measured, also where they failed.
    """

    space: Space
    size: float
    best: Mapping[str, Scalar]
    values: Mapping[str, Mapping[Scalar, float]]
    tried: Mapping[str, frozenset[Scalar]]

    def plateau(self, path: str) -> tuple[float, float]:
        """Return the span of a number near the best, half way to the next values tried."""
        domain = self.space.by_path[path].domain
        is_log = isinstance(domain, Float | Int) and domain.log
        near = sorted(float(v) for v in self.values[path] if isinstance(v, int | float))
        tried = sorted(float(v) for v in self.tried[path] if isinstance(v, int | float))
        if not near:
            return math.inf, -math.inf
        below = [v for v in tried if v < near[0]]
        above = [v for v in tried if v > near[-1]]
        low = _between(below[-1], near[0], is_log=is_log) if below else -math.inf
        high = _between(near[-1], above[0], is_log=is_log) if above else math.inf
        return low, high


def near_best(study: Study, *, tolerance: float) -> NearBest:
    """Return the points of a study within the tolerance, and its noise, of the best."""
    own = getattr(study.sampler, "rules", None)
    rules = own if isinstance(own, CoordinateRules) else CoordinateRules()
    space = study.space
    standings = PointResults(study.refresh(), rules)
    best = standings.found[0]
    least = standings.noise.mean(best)
    rung = rung_of(study.user_attrs)
    values: dict[str, dict[Scalar, float]] = {}
    tried: dict[str, set[Scalar]] = {}
    for c in standings.known:
        if any(t.state.is_finished and t.state not in UNMEASURED for t in c.trials):
            for path, raw in dict(c.params).items():  # one that diverged bounds a plateau too
                tried.setdefault(path, set()).add(base_value(rung, path, raw))
    for c in standings.found:
        apart, half = standings.difference(c, best)
        half = half if standings.is_noise_known else 0.0
        is_near = apart <= tolerance * abs(least) + half
        excess = apart / abs(least) if least else apart
        for path, raw in dict(c.params).items():
            if is_near:
                value = base_value(rung, path, raw)
                known = values.setdefault(path, {})
                known[value] = min(known.get(value, math.inf), excess)
    return NearBest(
        space,
        0.0 if rung is None else rung.m,
        {path: base_value(rung, path, v) for path, v in dict(best.params).items()},
        values,
        {path: frozenset(v) for path, v in tried.items()},
    )


def _between(a: float, b: float, *, is_log: bool) -> float:
    return math.sqrt(a * b) if is_log and a > 0.0 else (a + b) / 2
