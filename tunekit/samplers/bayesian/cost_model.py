"""Learns the cost of trials, and reduces its weight as the budget is spent.

Reference: Lee, Perrone, Archambeau and Seeger, 2020, "Cost-aware Bayesian optimization",
arXiv 2003.10870 (CArBO), section 3.2: the improvement over `cost^a` with
`a = (budget - spent) / (budget - spent at the start)`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunekit.errors import InvalidArgument
from tunekit.records import TrialRecord
from tunekit.samplers.base import StudyView
from tunekit.samplers.bayesian.candidates import Climb
from tunekit.samplers.bayesian.costs import SECONDS, Costs
from tunekit.samplers.bayesian.fidelity import Fidelity
from tunekit.samplers.bayesian.fitting import fitted
from tunekit.samplers.bayesian.training_data import TrialRows, structure_of
from tunekit_surrogates.tree_gp import TreeGP

OVERHEAD_S = 0.1
"""Added to the seconds of each trial for proposing, starting and storing it, so that differences
between very short trials do not matter."""

MIN_COSTS = 5
"""Minimum number of costs to fit a model."""

MIN_SPREAD = 0.1
"""Minimum standard deviation of the log costs to model them: about 10 %."""

MIN_EXPLAINED = 0.1
"""Minimum share of the log costs' variance that the model explains in leave-one-out tests."""


def learnt_costs(
    options: Costs, view: StudyView, rows: TrialRows, *, n_start: int
) -> CostModel | None:
    """Return the cost model, or `None` if the costs barely vary or it cannot predict them.

    Args:
        options: where the costs come from, and the budget.
        view: of the study.
        rows: encodes its trials.
        n_start: trials before the model proposes; the budget excludes their cost.

    Raises:
        InvalidArgument: no complete trial has the metric, or one has a negative value.
    """
    if options.source is None or not len(rows.encoder):
        return None
    # Complete trials only: a failed or stopped one says little about the cost of a full one.
    complete = view.history.complete()
    x, costs = _measured(options.source, complete, rows)
    if len(costs) < MIN_COSTS:
        return None
    fidelity = Fidelity.of(rows.encoder)
    logs = np.log(costs) - (0.0 if fidelity is None else np.log(fidelity.shares(x)))
    spread = float(np.std(logs))
    if spread < MIN_SPREAD:
        return None
    gp = fitted(structure_of(rows.encoder), x, (logs - logs.mean()) / spread)
    explained = 1.0 - float(np.mean((gp.y - gp.leave_one_out()[0]) ** 2))
    if explained < MIN_EXPLAINED:
        return None
    spent, start = _spent(options, view, n_start)
    return CostModel(options, gp, float(logs.mean()), spread, spent, start, fidelity)


def _spent(options: Costs, view: StudyView, n_start: int) -> tuple[float, float]:
    """Return the total cost of all ended trials, and that of the first `n_start`."""
    ended = view.history.finished()
    if options.budget is not None:
        return float(len(ended)), float(min(n_start, len(ended)))
    each = [_cost(options.source or SECONDS, t) or 0.0 for t in ended]
    return sum(each), sum(each[:n_start])


def _measured(
    source: str, trials: Sequence[TrialRecord], rows: TrialRows
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return `(n, d)` rows and `(n,)` positive costs of the trials that have both."""
    costs = [_cost(source, t) for t in trials]
    if trials and all(c is None for c in costs):
        metrics = sorted({m for t in trials for m in t.metrics})
        raise InvalidArgument(
            f"bayesian: cost={source!r}, but no complete trial has this metric; they have "
            f"{', '.join(metrics)}. Report it, or give another cost=."
        )
    found = [(x, c) for x, c in zip(rows.of(trials), costs, strict=True) if x is not None and c]
    x = np.array([row for row, _ in found], dtype=np.float64).reshape(-1, len(rows.encoder))
    return x, np.array([c for _, c in found])


def _cost(source: str, trial: TrialRecord) -> float | None:
    """Return the cost of a trial, `None` if it is unknown."""
    if source == SECONDS:
        return None if trial.duration_s is None else max(trial.duration_s, 0.0) + OVERHEAD_S
    cost = trial.metrics.get(source, math.nan)
    if cost < 0.0:
        raise InvalidArgument(
            f"bayesian: cost={source!r} is {cost:g} in trial {trial.number}, expected values "
            "above 0; give another cost=."
        )
    return cost if math.isfinite(cost) else None


@dataclass(frozen=True, slots=True)
class CostModel:
    """Predicts the cost of points.

    Attributes:
        options: source and budget of the costs.
        gp: process of the standardised log costs.
        mean, sd: mean and standard deviation of the log costs.
        spent: total cost of all ended trials, in the unit of the budget.
        start: the part of `spent` before the model proposed.
        fidelity: of the space, if it has one. The process then models the cost divided by the
            fidelity, so that costs are proportional to it by default.
    """

    options: Costs
    gp: TreeGP
    mean: float
    sd: float
    spent: float
    start: float
    fidelity: Fidelity | None = None

    def log_cost(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(m,)` expected log costs of `(m, d)` rows."""
        found = self.mean + self.sd * self.gp.predict(x)[0]
        return np.asarray(
            found if self.fidelity is None else found + np.log(self.fidelity.shares(x))
        )

    def relative(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(m,)` costs of `(m, d)` rows, relative to the rows at the target fidelity."""
        if self.fidelity is None or not len(x):
            return np.ones(len(x))
        return np.asarray(np.exp(self.log_cost(x) - self.log_cost(self.fidelity.raised(x))))

    def term(self, pending: NDArray[np.float64]) -> CostTerm:
        """Return the cost factor of a score; the `(p, d)` pending rows count as spent."""
        if self.options.budget is not None:
            more = float(len(pending))
        else:
            more = float(np.exp(self.log_cost(pending)).sum())
        return CostTerm(self, self._exponent(self.spent + more))

    def _exponent(self, spent: float) -> float:
        budget = self.options.budget or self.options.cost_budget
        if budget is None:
            budget = 2.0 * spent
        if budget <= self.start:
            return 0.0
        return min(1.0, max(0.0, (budget - spent) / (budget - self.start)))


@dataclass(frozen=True, slots=True)
class CostTerm:
    """Multiplies a score by `cost^-a`; a `tunekit.samplers.bayesian.feasibility.Term`."""

    model: CostModel
    exponent: float

    def log_probability(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(m,)` logarithms of the factor at `(m, d)` rows."""
        return -self.exponent * self.model.log_cost(x)

    def climber(self, rows: NDArray[np.float64]) -> Climb:
        """Return the same with gradients, for `(m, d)` rows that keep these branches."""
        model = self.model
        predicts = model.gp.climber(rows, model.gp.y[None, :])

        def climb(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            mean, _, back = predicts.predict(x)
            slope = np.full((1, len(x)), -self.exponent * model.sd)
            value = -self.exponent * (model.mean + model.sd * mean[0])
            return value, back(slope, np.zeros(len(x)))

        return climb

    def explained(
        self, evidence: Mapping[str, Any], why: str, row: NDArray[np.float64]
    ) -> tuple[dict[str, Any], str]:
        """Return the evidence and explanation of a `(d,)` row, extended by its expected cost."""
        source = self.model.options.source
        cost = float(f"{np.exp(self.model.log_cost(row[None])[0]):.4g}")
        exponent = round(self.exponent, 4)
        unit = "s" if source == SECONDS else source
        added = {"of": source, "expected": cost, "exponent": exponent}
        text = f"{why}; divided by its cost, about {cost:g} {unit}, to the power of {exponent:.2f}"
        return {**evidence, "cost": added}, text
