"""The problem contract of the benchmark: a space, a function on it, and what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from tunekit.records import MetricConstraint, ObjectiveSpec
from tunekit.spaces import Params, Space

Evaluate: TypeAlias = Callable[[Params], float | Mapping[str, float]]
"""Gives the only objective's value, or all metrics by name; an exception is a failed trial."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to tune.

    Attributes:
        name: `suite/instance`, such as `trees/jenatton-0`.
        evaluate: deterministic in the params, unless the problem is noisy.
        best_known: the best value of the only objective; `None` where nothing is known, and
            then the best of `N_REFERENCE` random points stands for it.
        noise: standard deviation that `evaluate` adds; regret is measured without it.
        exact: the noise-free value where there is noise.
        seconds: simulated seconds that an evaluation takes, for comparisons by time.
        tags: notes for tables; `pool` is the number of random points that its yardstick takes,
            where `N_REFERENCE` would take too long.
    """

    name: str
    space: Space
    evaluate: Evaluate
    objectives: tuple[ObjectiveSpec, ...] = (ObjectiveSpec("loss"),)
    constraints: tuple[MetricConstraint, ...] = ()
    best_known: float | None = None
    noise: float = 0.0
    exact: Evaluate | None = None
    seconds: Callable[[Params], float] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


N_REFERENCE = 20_000
"""Random points that stand for "the best known" where nothing better is known."""

EXPENSIVE: Mapping[str, str] = {"pool": "300"}
"""Tags of a problem whose evaluation takes a tenth of a second or more."""
