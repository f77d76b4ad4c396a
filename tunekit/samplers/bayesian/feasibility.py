"""The chance that a point is feasible: learnt from metric constraints, crashes and divergences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from tunekit.records import TrialState
from tunekit.samplers.base import StudyView
from tunekit.samplers.bayesian.candidates import Climb
from tunekit.samplers.bayesian.fitting import fitted
from tunekit.samplers.bayesian.search import RowScore
from tunekit.samplers.bayesian.training_data import Observed, TrialRows
from tunekit.spaces.encode import Encoder
from tunekit_surrogates.blocks import BlockStructure
from tunekit_surrogates.tree_gp import Climber, TreeGP

N_GOOD = 8
"""Trials with the least violation that are mutated while none is feasible."""

FAR = 3.0
"""Margins of a constraint are cut at so many times their typical size."""


RISKY = 0.5
"""Chance of no failure under which a point counts less than its chance."""

CAUTION = 4.0
"""How many times more the logarithm of the chance counts below `RISKY`."""


@dataclass(frozen=True, slots=True)
class ConditionModel:
    """One condition: `f <= 0` for a process that is shifted by `offset`.

    Attributes:
        is_label: whether its values say only whether trials worked, and not by how much.
    """

    name: str
    gp: TreeGP
    offset: float
    is_label: bool = False

    def log_probability(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(m,)` logarithms of the chance that it holds."""
        mean, var = self.gp.predict(x)
        return np.asarray(log_ndtr(-(mean + self.offset) / np.sqrt(var + self._noise)))

    def climber(self, rows: NDArray[np.float64]) -> Climb:
        """Return what gives the same with gradients, for rows in the branches of these."""
        model = self.gp.climber(rows, self.gp.y[None, :])
        return lambda x: self._with_gradient(model, x)

    def _with_gradient(
        self, model: Climber, x: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        mean, var, back = model.predict(x)
        sd = np.sqrt(var + self._noise)
        z = -(mean + self.offset) / sd
        value = log_ndtr(z)
        # The ratio of density and distribution function, in logarithms: both may vanish.
        hazard = np.exp(-0.5 * z * z - 0.5 * math.log(2 * math.pi) - value)
        return value[0], back(-hazard / sd, (hazard * -z / (2.0 * sd * sd))[0])

    def assuming_violated(self, x: NDArray[np.float64]) -> ConditionModel:
        """Return the same as if it were known not to hold at rows that nobody has measured."""
        worst = np.full(len(x), self.gp.y.max())
        gp = self.gp.with_data(x, worst, noise=self._noise)
        return replace(self, gp=gp)

    @property
    def _noise(self) -> float:
        return math.exp(self.gp.parameters.noise)


class LogFactor(Protocol):
    """The logarithm of a factor of the score."""

    def log_probability(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(m,)` logarithms for rows."""
        ...

    def climber(self, rows: NDArray[np.float64]) -> Climb:
        """Return what gives the same, with gradients, in the branches of these rows."""
        ...


@dataclass(frozen=True, slots=True)
class Cautious:
    """The chance of a condition that is known from labels, and less than it where it is small.

    Labels say nothing of how far a border is. Where the loss falls toward it, the largest
    product of improvement and chance lies beyond it as often as not: of the points to which a
    chance of 0.2 to 0.4 was given, every seventh worked. Below `RISKY` the chance counts with a
    power, which is a soft form of a bound on it.

    Reference: Gelbart, Snoek and Adams, 2014, "Bayesian optimization with unknown constraints",
    section 3 (a bound on the chance).
    """

    condition: ConditionModel

    def log_probability(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(m,)` logarithms for rows."""
        value = self.condition.log_probability(x)
        return np.asarray(value + CAUTION * np.minimum(value - math.log(RISKY), 0.0))

    def climber(self, rows: NDArray[np.float64]) -> Climb:
        """Return what gives the same, with gradients, in the branches of these rows."""
        climb = self.condition.climber(rows)

        def cautious(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            value, gradient = climb(x)
            below = np.minimum(value - math.log(RISKY), 0.0)
            return value + CAUTION * below, gradient * (1.0 + CAUTION * (below < 0))[:, None]

        return cautious


def cautious(feasible: Sequence[ConditionModel]) -> list[LogFactor]:
    """Return the factors by which conditions enter a score."""
    return [Cautious(f) if f.is_label else f for f in feasible]


class FeasibleImprovement:
    """The expected improvement times the chance of being feasible and priors, in logarithms.

    Args:
        improvement: over the best feasible trial; `None` where there is none yet, so that only
            the chance of being feasible counts.
        feasible: the conditions, and other factors.
    """

    def __init__(self, improvement: RowScore | None, feasible: Sequence[LogFactor]) -> None:
        self.improvement, self.feasible = improvement, feasible

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(m,)` scores of rows."""
        start = np.zeros(len(x)) if self.improvement is None else self.improvement(x)
        return start + log_feasible(self.feasible, x)

    def climber(self, rows: NDArray[np.float64]) -> Climb:
        """Return what scores rows in the branches of these, with gradients."""
        climbs = [f.climber(rows) for f in self.feasible]
        if self.improvement is not None:
            climbs.append(self.improvement.climber(rows))

        def climb(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            value, gradient = np.zeros(len(x)), np.zeros_like(x)
            for c in climbs:
                more, slope = c(x)
                value, gradient = value + more, gradient + slope
            return value, gradient

        return climb


def log_feasible(feasible: Sequence[LogFactor], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `(m,)` logarithms of the chance that all conditions hold."""
    return sum((f.log_probability(x) for f in feasible), np.zeros(len(x)))


@dataclass(frozen=True, slots=True)
class FeasibilityModel:
    """What is known before any trial is feasible: only where one is most likely to be."""

    encoder: Encoder
    data: Observed
    feasible: list[ConditionModel]
    prior: LogFactor | None = None

    @property
    def good(self) -> NDArray[np.float64]:
        """Return the rows to search around: those that violate least."""
        return np.asarray(self.data.x[np.argsort(self.data.violation, kind="stable")[:N_GOOD]])

    @property
    def gps(self) -> list[TreeGP]:
        """Return nothing: no process of an objective is known."""
        return []

    def score(self, pending: NDArray[np.float64], rng: np.random.Generator) -> FeasibleImprovement:
        """Return the chance of being feasible; what is pending sends the others elsewhere."""
        assumed = [f.assuming_violated(pending) for f in self.feasible]
        terms: list[LogFactor] = [*(assumed if len(pending) else self.feasible)]
        return FeasibleImprovement(None, [*terms, *([self.prior] if self.prior else [])])

    def explained(self, row: NDArray[np.float64], value: float) -> tuple[dict[str, Any], str]:
        """Return the evidence for a row, and a sentence."""
        evidence = {"feasible": feasible_evidence(self.feasible, row)}
        return evidence, "no trial is feasible yet: this is the most likely to be"


def feasible_evidence(
    feasible: Sequence[ConditionModel], row: NDArray[np.float64]
) -> dict[str, float]:
    """Return the chance of each condition at a row, as plain JSON."""
    chances = {f.name: np.exp(f.log_probability(row[None])[0]) for f in feasible}
    return {name: round(float(p), 4) for name, p in chances.items()}


def failed_rows(view: StudyView, rows: TrialRows) -> NDArray[np.float64]:
    """Return `(k, d)` rows of the trials that failed or diverged."""
    bad_states = (TrialState.FAILED, TrialState.DIVERGED)
    found = rows.of([t for t in view.history if t.state in bad_states])
    kept = [x for x in found if x is not None]
    return np.array(kept, dtype=np.float64).reshape(len(kept), len(rows.encoder))


def conditions(
    view: StudyView, structure: BlockStructure, data: Observed, rows: TrialRows
) -> list[ConditionModel]:
    """Return what a point has to satisfy to count, as far as anything has ever violated it."""
    found = [_of_metric(view, k, structure, data) for k in range(len(view.constraints))]
    return [f for f in [*found, _of_failures(view, structure, data, rows)] if f is not None]


def _of_metric(
    view: StudyView, k: int, structure: BlockStructure, data: Observed
) -> ConditionModel | None:
    constraint = view.constraints[k]
    sign = 1.0 if constraint.op == "<=" else -1.0
    values = [t.metrics.get(constraint.metric, math.nan) for t in data.trials]
    margin = sign * (np.array(values) - constraint.bound)
    known = np.isfinite(margin)
    if not known.any():
        return None
    margin, x = margin[known], data.x[known]
    size = float(np.median(np.abs(margin))) or 1.0
    margin = np.clip(margin / size, -FAR, FAR)
    # Centred, because the process tends to 0 far from the data and 0 is the bound itself.
    offset = float(margin.mean())
    return ConditionModel(str(constraint), fitted(structure, x, margin - offset)[0], offset)


def _of_failures(
    view: StudyView, structure: BlockStructure, data: Observed, rows: TrialRows
) -> ConditionModel | None:
    """Return a classifier of what fails or diverges: least squares on labels, -1 for a result."""
    bad = failed_rows(view, rows)
    if not len(bad):
        return None
    x = np.concatenate([data.x, bad])
    labels = np.concatenate([np.full(len(data.x), -1.0), np.ones(len(bad))])
    # Where nothing is known a trial is expected to work.
    gp = fitted(structure, x, labels + 1.0)[0]
    return ConditionModel("no failure", gp, -1.0, is_label=True)
