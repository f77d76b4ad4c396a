"""Predicts whether a point is feasible from metric constraints, failures and divergences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from tunekit.samplers.base import StudyView
from tunekit.samplers.bayesian.beyond import doubting
from tunekit.samplers.bayesian.candidates import Climb
from tunekit.samplers.bayesian.fidelity import Fidelity
from tunekit.samplers.bayesian.fitting import fitted
from tunekit.samplers.bayesian.search import RowScore
from tunekit.samplers.bayesian.training_data import Observed, TrialRows
from tunekit.spaces.encode import Encoder
from tunekit_surrogates.blocks import BlockStructure
from tunekit_surrogates.tree_gp import Climber, TreeGP

N_GOOD = 8  # trials of least violation that are mutated while no trial is feasible
FAR = 3.0  # clips a constraint's margins at this multiple of their typical size


RISKY = 0.5  # success probability below which a point's score is reduced further
RISK_WEIGHT = 4.0  # additional weight of the log probability below `RISKY`


@dataclass(frozen=True, slots=True)
class ConditionModel:
    """One condition, `f + offset <= 0`, with a process for `f`.

    Attributes:
        is_label: whether the training values are pass/fail labels rather than margins.
    """

    name: str
    gp: TreeGP
    offset: float
    is_label: bool = False

    def log_probability(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(m,)` log probabilities that the condition holds at `(m, d)` rows."""
        mean, var = self.gp.predict(x)
        return np.asarray(log_ndtr(-(mean + self.offset) / np.sqrt(var + self._noise)))

    def climber(self, rows: NDArray[np.float64]) -> Climb:
        """Return the same with gradients, for `(m, d)` rows that keep these branches."""
        model = self.gp.climber(rows, self.gp.y[None, :])
        return lambda x: self._with_gradient(model, x)

    def _with_gradient(
        self, model: Climber, x: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        mean, var, back = model.predict(x)
        sd = np.sqrt(var + self._noise)
        z = -(mean + self.offset) / sd
        value = log_ndtr(z)
        # phi(z) / Phi(z) in logarithms, because both may underflow.
        hazard = np.exp(-0.5 * z * z - 0.5 * math.log(2 * math.pi) - value)
        return value[0], back(-hazard / sd, (hazard * -z / (2.0 * sd * sd))[0])

    def assuming_violated(self, x: NDArray[np.float64]) -> ConditionModel:
        """Return the condition, assumed to be violated at these unmeasured `(m, d)` rows."""
        worst = np.full(len(x), self.gp.y.max())
        gp = self.gp.with_data(x, worst, noise=self._noise)
        return replace(self, gp=gp)

    def doubting(self) -> ConditionModel:
        """Return a condition of a metric that is sure only near its data; labels stay."""
        return self if self.is_label else replace(self, gp=doubting(self.gp))

    @property
    def _noise(self) -> float:
        return math.exp(self.gp.parameters.noise)


class LogFactor(Protocol):
    """A factor of the score, as a logarithm."""

    def log_probability(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(m,)` logarithms of the factor at `(m, d)` rows."""
        ...

    def climber(self, rows: NDArray[np.float64]) -> Climb:
        """Return the same with gradients, for `(m, d)` rows that keep these branches."""
        ...


@dataclass(frozen=True, slots=True)
class Cautious:
    """Lowers the probability of a condition learnt from labels where it is small.

    Labels say nothing about the distance to the border. If the loss falls towards the border, the
    largest product of improvement and probability often lies beyond it: of the points predicted
    to work with probability 0.2 to 0.4, one in seven worked. Below `RISKY` the probability is
    therefore raised to a power, a soft form of a lower bound.

    Reference: Gelbart, Snoek and Adams, 2014, "Bayesian optimization with unknown constraints",
    section 3 (a bound on the probability).
    """

    condition: ConditionModel

    def log_probability(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(m,)` logarithms for `(m, d)` rows."""
        value = self.condition.log_probability(x)
        return np.asarray(value + RISK_WEIGHT * np.minimum(value - math.log(RISKY), 0.0))

    def climber(self, rows: NDArray[np.float64]) -> Climb:
        """Return the same with gradients, for `(m, d)` rows that keep these branches."""
        climb = self.condition.climber(rows)

        def cautious(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            value, gradient = climb(x)
            below = np.minimum(value - math.log(RISKY), 0.0)
            return value + RISK_WEIGHT * below, gradient * (1.0 + RISK_WEIGHT * (below < 0))[
                :, None
            ]

        return cautious


def cautious(feasible: Sequence[ConditionModel]) -> list[LogFactor]:
    """Return the score's factors for these conditions, lowered for those learnt from labels."""
    return [Cautious(f) if f.is_label else f for f in feasible]


class FeasibleImprovement:
    """Scores rows by log expected improvement plus the logs of feasibility and other factors.

    Args:
        improvement: over the best feasible trial; `None` before the first one, when only the
            other factors count.
        feasible: conditions and other factors, such as priors.
    """

    def __init__(self, improvement: RowScore | None, feasible: Sequence[LogFactor]) -> None:
        self.improvement, self.feasible = improvement, feasible

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(m,)` scores of rows."""
        start = np.zeros(len(x)) if self.improvement is None else self.improvement(x)
        return start + log_feasible(self.feasible, x)

    def climber(self, rows: NDArray[np.float64]) -> Climb:
        """Return a score with gradients for `(m, d)` rows that keep these branches."""
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
    """Return `(m,)` log probabilities that all (independent) conditions hold at `(m, d)` rows."""
    return sum((f.log_probability(x) for f in feasible), np.zeros(len(x)))


@dataclass(frozen=True, slots=True)
class FeasibilityModel:
    """Model of a study without feasible trials: scores only the probability of feasibility."""

    encoder: Encoder
    data: Observed
    feasible: list[ConditionModel]
    prior: LogFactor | None = None
    negligible: ClassVar[float] = -math.inf

    def doubting(self) -> FeasibilityModel:
        """Return the same model: before the first feasible trial nothing has converged."""
        return self

    @property
    def good(self) -> NDArray[np.float64]:
        """Return `(k, d)` rows to search around, those of least violation."""
        return np.asarray(self.data.x[np.argsort(self.data.violation, kind="stable")[:N_GOOD]])

    @property
    def gps(self) -> list[TreeGP]:
        """Return an empty list: no objective has a process yet."""
        return []

    def score(self, pending: NDArray[np.float64], rng: np.random.Generator) -> FeasibleImprovement:
        """Return the feasibility score; assumed violations repel it from `(p, d)` pending rows."""
        assumed = [f.assuming_violated(pending) for f in self.feasible]
        terms: list[LogFactor] = [*(assumed if len(pending) else self.feasible)]
        return FeasibleImprovement(None, [*terms, *([self.prior] if self.prior else [])])

    def explained(self, row: NDArray[np.float64], value: float) -> tuple[dict[str, Any], str]:
        """Return the evidence for a `(d,)` row, and its explanation."""
        evidence = {"feasible": feasible_evidence(self.feasible, row)}
        return evidence, "no trial is feasible yet: this one is the most likely to be"


def feasible_evidence(
    feasible: Sequence[ConditionModel], row: NDArray[np.float64]
) -> dict[str, float]:
    """Return the probability of each condition at a `(d,)` row, as plain JSON."""
    chances = {f.name: np.exp(f.log_probability(row[None])[0]) for f in feasible}
    return {name: round(float(p), 4) for name, p in chances.items()}


def conditions(
    view: StudyView, structure: BlockStructure, data: Observed, rows: TrialRows
) -> list[ConditionModel]:
    """Return the models of the metric constraints and, after a failure, of failures."""
    found = [_of_metric(view, k, structure, data) for k in range(len(view.constraints))]
    return [f for f in [*found, _of_failures(structure, data, rows)] if f is not None]


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
    # Centred: far from the data the process tends to 0, which would be the bound itself.
    offset = float(margin.mean())
    return ConditionModel(str(constraint), fitted(structure, x, margin - offset), offset)


def _of_failures(
    structure: BlockStructure, data: Observed, rows: TrialRows
) -> ConditionModel | None:
    """Return a least squares classifier of failures: label 1 for a failure, -1 for a result.

    Once a trial has failed below the target, the fidelity does not count: what diverges early does
    not get to the target. Failures at the target alone may be due to it, as for lack of memory.
    """
    bad = data.failed
    if not len(bad):
        return None
    x = np.concatenate([data.x, bad])
    fidelity = Fidelity.of(rows.encoder)
    if fidelity is not None and not fidelity.is_target(bad).all():
        x = fidelity.raised(x)
    labels = np.concatenate([np.full(len(data.x), -1.0), np.ones(len(bad))])
    # The prior mean is -1: without data a trial is expected to work.
    gp = fitted(structure, x, labels + 1.0)
    return ConditionModel("no failure", gp, -1.0, is_label=True)
