"""The models of a study that propose points: of one objective, of a front, of feasibility."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunekit.samplers.base import StudyView
from tunekit.samplers.bayesian.acquisition import ExpectedImprovement
from tunekit.samplers.bayesian.beyond import BOLDNESS, NEGLIGIBLE, doubting
from tunekit.samplers.bayesian.ensemble import BlendedImprovement
from tunekit.samplers.bayesian.fantasies import believed
from tunekit.samplers.bayesian.feasibility import (
    ConditionModel,
    FeasibilityModel,
    FeasibleImprovement,
    LogFactor,
    cautious,
    conditions,
    feasible_evidence,
    log_feasible,
)
from tunekit.samplers.bayesian.fidelity import may_win, misled, priors_of, stalled
from tunekit.samplers.bayesian.fitting import MAX_ROWS, chosen_rows
from tunekit.samplers.bayesian.front import FrontModel, front_model
from tunekit.samplers.bayesian.kernel_choice import Fit, fit_chosen
from tunekit.samplers.bayesian.pieces import KnownPieces, pieces_of
from tunekit.samplers.bayesian.prior_term import PriorTerm
from tunekit.samplers.bayesian.training_data import Observed, TrialRows, standardised, structure_of
from tunekit.samplers.bayesian.transfer import PastModel
from tunekit.samplers.bayesian.unpredicted import MIN_CHEAP, is_unpredicted
from tunekit.spaces.encode import Encoder
from tunekit_surrogates.tree_gp import TreeGP

N_GOOD = 8
"""Number of best trials to mutate."""

NOISY = 0.02
"""Noise share of the variance above which the values of the best trials count as uncertain."""

N_UNCERTAIN = 10
"""Number of best trials whose values are then drawn."""


TREE_EXPLORATION = 0.6
"""Exploration factor in spaces with branches. It kept the search from the deepest branches while
every active block added prior variance; with equal variance 1.0 is no better on trees."""


@dataclass(frozen=True, slots=True)
class ObjectiveModel:
    """The fitted model of a study with one objective.

    Attributes:
        y, order: `(n,)` standardised losses; `(n,)` trials by loss, feasible ones first.
        boldness: factor on the exploration.
        pieces: where trials tie exactly.
        goes_by_rank: whether points go on to higher fidelities by results; see `promotions`.
    """

    encoder: Encoder
    data: Observed
    y: NDArray[np.float64]
    order: NDArray[np.int64]
    fit: Fit
    feasible: list[ConditionModel]
    prior: PriorTerm | None = None
    sources: tuple[tuple[float, PastModel], ...] = ()
    boldness: float = 1.0
    pieces: KnownPieces | None = None
    goes_by_rank: bool = False

    @property
    def negligible(self) -> float:
        """Return the log of an improvement that is not worth a trial.

        It is `-inf` where something else than the trials of this study also says where to look.
        """
        if not self.is_alone or self.data.fidelity is not None:
            return -math.inf
        return math.log(NEGLIGIBLE)

    @property
    def is_alone(self) -> bool:
        """Return whether nothing but the trials of this study says where to look."""
        return self.prior is None and not self.sources

    @property
    def draws_at_random(self) -> bool:
        """Return whether some of the new points are random, since the model is no guide.

        Branches keep the model, which knows at least which of them do well; so do priors, earlier
        studies, stopped trials, whose values on the way no model predicts, and full runs that are
        modelled alone.
        """
        if not self.is_alone or self.encoder.space.target:
            return self.is_alone and self.goes_by_rank
        has_branches = self.gp.structure.has_branches
        return not has_branches and self.data.all_complete and is_unpredicted(self.gp)

    def doubting(self) -> ObjectiveModel:
        """Return a model that is sure only near its data; see `beyond`."""
        fit = replace(self.fit, gp=doubting(self.gp))
        feasible = [f.doubting() for f in self.feasible]
        return replace(self, fit=fit, feasible=feasible, boldness=BOLDNESS)

    @property
    def gp(self) -> TreeGP:
        """Return the process of the objective."""
        return self.fit.gp

    @property
    def gps(self) -> list[TreeGP]:
        """Return the process of each objective."""
        return [self.gp]

    @property
    def good(self) -> NDArray[np.float64]:
        """Return `(k, d)` rows to search around, those of the best trials."""
        of_sources = [s.gp.x[:2] for weight, s in self.sources if weight]
        return np.concatenate([self.data.x[self.order[:N_GOOD]], *of_sources])

    def score(self, pending: NDArray[np.float64], rng: np.random.Generator) -> FeasibleImprovement:
        """Return a score of rows, given the `(p, d)` pending ones.

        In a flat space these count with their predicted values, and the search exploits what it
        knows; with branches, and beside earlier studies, with draws of their possible values.
        """
        known = self.data.feasible[chosen_rows(self.y, MAX_ROWS)]
        likely = log_feasible(self.feasible, pending) > np.log(0.5)
        counts = np.concatenate([known, likely & may_win(self.encoder, pending)])
        noise = np.exp(self.gp.parameters.noise)
        noisy = N_UNCERTAIN if noise > NOISY else 0
        extra = [term for term in (self.prior, self.pieces) if term is not None]
        terms: list[LogFactor] = [*cautious(self.feasible), *extra]
        exploration = TREE_EXPLORATION if self.gp.structure.has_branches else 1.0
        exploration *= self.boldness
        others = [(weight, s.gp) for weight, s in self.sources]
        kind = partial(BlendedImprovement, others=others) if others else ExpectedImprovement
        gp = self.gp
        if len(pending) and not gp.structure.has_branches and not others:
            gp, pending = believed(gp, pending), pending[:0]
        improvement = kind(
            gp, pending, noisy=noisy, exploration=exploration, counts=counts, rng=rng
        )
        return FeasibleImprovement(improvement, terms)

    def explained(self, row: NDArray[np.float64], value: float) -> tuple[dict[str, Any], str]:
        """Return the evidence for a `(d,)` row, and its explanation."""
        mean, var = self.gp.predict(row[None])
        losses = self.data.losses[:, 0]
        evidence: dict[str, Any] = {
            **self.fit.evidence(),
            "log_improvement": round(value, 4),
            "mean": round(float(mean[0]), 4),
            "sd": round(float(np.sqrt(var[0])), 4),
            "best": round(float(self.y[self.data.feasible].min()), 4),
        }
        if self.feasible:
            evidence["feasible"] = feasible_evidence(self.feasible, row)
        if self.pieces is not None:
            evidence["new_piece"] = self.pieces.probability(row)
        if self.prior is not None:
            evidence["log_prior"] = round(float(self.prior.log_probability(row[None])[0]), 4)
            evidence["prior_exponent"] = round(self.prior.exponent, 4)
        help_ = ""
        for weight, s in self.sources:
            share = {"weight": round(weight, 4), "points": len(s.points), "kept": s.n_kept}
            evidence.setdefault("past", {})[s.name] = share
            help_ += f", {s.name} with {weight:.0%} of the weight"
        how = f"{self.fit.kernel} kernel, {self.fit.how}{help_}"
        why = f"a model of {len(losses)} trials ({how}) expects the most improvement here"
        return evidence, why


Model: TypeAlias = ObjectiveModel | FrontModel | FeasibilityModel


def model_of(view: StudyView, data: Observed, rows: TrialRows) -> Model:
    """Return the model the trials allow: of one objective, of a front, or of feasibility only."""
    if len(data.trials) < 2 or not data.feasible.any():
        found = conditions(view, structure_of(rows.encoder), data, rows)
        return FeasibilityModel(rows.encoder, data, found)
    if len(view.objectives) > 1:
        return front_model(view, data, rows)
    return _best_model(view, data, rows)


def _best_model(view: StudyView, data: Observed, rows: TrialRows) -> ObjectiveModel:
    y = standardised(data.losses[:, 0])
    fit = fit_chosen(rows.encoder, data.x, y, data.trials, priors=priors_of(data.fidelity))
    is_ladder = data.fidelity is not None and data.fidelity.is_ladder and data.all_complete
    by_rank = is_ladder and is_unpredicted(fit.gp, least=MIN_CHEAP)
    if data.fidelity is not None and not by_rank:
        full = data.full_runs()
        if stalled(full.losses[:, 0]) or misled(data.fidelity, fit.gp):
            model = _best_model(view, full, rows)
            how = f"full runs alone, in case cheaper ones mislead; {model.fit.how}"
            return replace(model, fit=replace(model.fit, how=how))
    order = np.lexsort((y, ~data.feasible))
    if data.fidelity is not None:  # predictions of cheaper trials at the target
        raised = fit.gp.predict(data.fidelity.raised(data.x))[0]
        order = np.lexsort((raised, data.violation > 0.0))
    found = conditions(view, structure_of(rows.encoder), data, rows)
    pieces = pieces_of(rows.encoder, data)
    return ObjectiveModel(
        rows.encoder, data, y, order, fit, found, pieces=pieces, goes_by_rank=by_rank
    )
