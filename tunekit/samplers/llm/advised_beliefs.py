"""Turns what a model has advised into beliefs about single parameters.

Its points are draws of where it expects good results, so their mean and spread say more than each
of them. A range that it names for a parameter says so itself, and counts instead.
"""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tunekit.errors import TunekitError
from tunekit.samplers.base import StudyView
from tunekit.samplers.llm.ranges import LEAST_SHARE, Ranges, belief, read_ranges
from tunekit.spaces import Categorical, Domain, Float, Int, Scalar

LEAST_POINTS = 2
"""Fewest values of a parameter that have a spread."""


@dataclass(frozen=True, slots=True)
class AdvisedBeliefs:
    """What a model expects of single parameters.

    Attributes:
        priors: path -> belief, as `tunekit.samplers.bayesian.priors.UserPriors` takes it.
        ranges: the newest ranges that the model named.
        n_points: number of its points that the others follow.
        came_with: number of the trial that the newest advice came with.
    """

    priors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ranges: Ranges = field(default_factory=dict)
    n_points: int = 0
    came_with: int = -1


def advised_beliefs(
    view: StudyView, given: Sequence[tuple[int, Mapping[str, Any]]]
) -> AdvisedBeliefs:
    """Return the beliefs behind the advice of a study.

    Advice does not go out of date here, because its weight falls with every result. What an
    edited space no longer allows is left out, and so are fidelities, which a target fixes.

    Args:
        view: of the study.
        given: (number of the trial that it came with, advice as stored), by number.
    """
    space, points = view.space, []
    for stored in (p for _, advice in given for p in advice["points"]):
        with suppress(TunekitError):  # the space was edited
            points.append(space.validate(stored))
    named = (read_ranges(advice.get("ranges"), space)[0] for _, advice in reversed(given))
    ranges = next((r for r in named if r), {})
    found = {path: belief(r, space, path) for path, r in ranges.items()}
    for parameter in space:
        if parameter.path not in found and parameter.path not in space.target:
            values = [p[parameter.path] for p in points if parameter.path in p]
            if (spread := _spread(values, parameter.domain)) is not None:
                found[parameter.path] = spread
    found = {path: b for path, b in found.items() if path not in space.target}
    return AdvisedBeliefs(found, ranges, len(points), given[-1][0] if given else -1)


def _spread(values: Sequence[Scalar], domain: Domain) -> dict[str, Any] | None:
    """Return the belief of which values are draws, `None` if they are too few to tell."""
    if isinstance(domain, Categorical):
        if len(values) < LEAST_POINTS:
            return None
        counts = Counter(map(domain.index, values))
        return {"weights": {json.dumps(c): 1 + counts[i] for i, c in enumerate(domain.choices)}}
    if not isinstance(domain, Float | Int):
        return None
    inside = [float(v) for v in values if isinstance(v, int | float) and v not in domain.special]
    if len(inside) < LEAST_POINTS:
        return None
    first, last = float(domain.lo), float(domain.hi)
    if domain.log:
        inside, first, last = [math.log(v) for v in inside], math.log(first), math.log(last)
    sd = max(statistics.stdev(inside), LEAST_SHARE * (last - first))
    middle = min(max(statistics.fmean(inside), first), last)
    if domain.log:  # rounding may have left the range
        return {"lognormal": [min(max(math.exp(middle), domain.lo), domain.hi), sd]}
    return {"normal": [middle, sd]}
