"""Defines a benchmark problem: a space, a function on it, and its best known value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from tunekit.records import MetricConstraint, ObjectiveSpec
from tunekit.spaces import Params, Space

Evaluate: TypeAlias = Callable[[Params], float | Mapping[str, float]]
"""Returns the value of the only objective, or all metrics by name; raising fails the trial."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem to tune.

    Attributes:
        name: `suite/instance`, for example `trees/jenatton-0`.
        evaluate: objective function; deterministic in the params, unless `noise` is above 0.
        best_known: best known value of the only objective, or hypervolume of several; if
            `None`, that of `N_REFERENCE` random points replaces it.
        reference: with several objectives, the losses up to which hypervolumes count.
        noise: standard deviation of the noise in `evaluate`; regret excludes it.
        exact: noise-free objective function of a noisy problem.
        seconds: simulated duration of an evaluation, for comparisons by time.
        tags: labels for tables; `pool` overrides `N_REFERENCE` for slow problems.
    """

    name: str
    space: Space
    evaluate: Evaluate
    objectives: tuple[ObjectiveSpec, ...] = (ObjectiveSpec("loss"),)
    constraints: tuple[MetricConstraint, ...] = ()
    best_known: float | None = None
    reference: tuple[float, ...] = ()
    noise: float = 0.0
    exact: Evaluate | None = None
    seconds: Callable[[Params], float] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


N_REFERENCE = 20_000
"""Random points whose best value replaces an unknown optimum."""

EXPENSIVE: Mapping[str, str] = {"pool": "300"}
"""Tags for a problem whose evaluation takes a tenth of a second or more."""
