"""Searches a space with a model of the study's trials: the heavy half of `bayesian`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunekit.records import Proposal
from tunekit.samplers.base import PLANNED, StudyView, at_target, held, known_points, samples
from tunekit.samplers.bayesian.beyond import best_of_random, log_patience, why_beyond
from tunekit.samplers.bayesian.candidates import Candidates
from tunekit.samplers.bayesian.continuing import continuing
from tunekit.samplers.bayesian.cost_model import CostModel, CostTerm, learnt_costs
from tunekit.samplers.bayesian.costs import Costs
from tunekit.samplers.bayesian.densities import PriorDensity
from tunekit.samplers.bayesian.feasibility import FeasibilityModel, FeasibleImprovement
from tunekit.samplers.bayesian.fidelity import may_win
from tunekit.samplers.bayesian.fidelity_choice import FidelityChoice, begun, chosen_or_due
from tunekit.samplers.bayesian.learnable import point_in
from tunekit.samplers.bayesian.models import Model, ObjectiveModel, model_of
from tunekit.samplers.bayesian.past_studies import PastStudy
from tunekit.samplers.bayesian.prior_term import PriorTerm
from tunekit.samplers.bayesian.promotions import promotion
from tunekit.samplers.bayesian.search import RowScore, SearchSize, first_new
from tunekit.samplers.bayesian.training_data import Observed, TrialRows, observed, structure_of
from tunekit.samplers.bayesian.transfer import portfolio, rank_weights, sources_of
from tunekit.samplers.bayesian.trust_region import RegionCandidates, TrustRegion, region_of
from tunekit.samplers.bayesian.unpredicted import MAX_DRAWS, RANDOM_EVERY, WHY_RANDOM
from tunekit.samplers.bayesian.untried import EVERY, LAST, is_possible, untried_choice, why_untried
from tunekit.samplers.random_streams import stream
from tunekit.samplers.threads import one_thread
from tunekit.spaces import Params, Space
from tunekit.spaces.encode import Encoder


class ModelSearch:
    """Fits models to the trials of a study; keeps their rows and the models of earlier studies.

    Args:
        space: of the study.
        past: earlier studies.
        costs: options of the costs.
        prior_strength: weight of the priors, divided by the number of trials with a result.
        trust_region: number of active numbers from which a region is used, `None` for never.
    """

    def __init__(
        self,
        space: Space,
        past: Sequence[PastStudy],
        *,
        costs: Costs,
        prior_strength: float,
        trust_region: int | None,
    ) -> None:
        self.rows = TrialRows(Encoder(space))
        self._costs, self._prior_strength = costs, prior_strength
        self._trust_region = trust_region
        encoder = self.rows.encoder
        self._sources = sources_of(past, encoder, structure_of(encoder)) if past else ()

    def winners(self) -> list[Params]:
        """Return the winners of earlier studies to try, in this order, at the target fidelity."""
        encoder = self.rows.encoder
        found = portfolio(self._sources, encoder)
        return [Params({**w, **encoder.space.target}) for w in found]

    def used(self) -> str:
        """Return the names of the earlier studies, with their numbers of usable trials."""
        return ", ".join(
            f"{s.name} ({len(s.points)} of {s.n_kept} trials usable)" for s in self._sources
        )

    @one_thread()  # NumPy may have been loaded within the suggestion
    def fitted(
        self, view: StudyView, densities: Mapping[str, PriorDensity], *, n_start: int
    ) -> FittedSearch:
        """Return the search with a model of the trials so far.

        Args:
            view: of the study.
            densities: path -> prior density of a parameter.
            n_start: trials before the model proposes.

        Raises:
            InvalidArgument: no trial has the cost metric.
        """
        data, region = observed(view, self.rows), None
        if self._trust_region is not None:
            region = region_of(view.history, data, self.rows.encoder, self._trust_region)
        model = self._model(view, data, densities)
        costs = learnt_costs(self._costs, view, self.rows, n_start=n_start)
        return FittedSearch(view, data, model, region, costs)

    def _model(
        self, view: StudyView, data: Observed, densities: Mapping[str, PriorDensity]
    ) -> Model:
        learnt = model_of(view, data, self.rows)
        if self._sources and isinstance(learnt, ObjectiveModel):
            rng = stream(view.seed, (1 << 63) + len(data.trials))  # never a trial's number
            weights = rank_weights(learnt.gp, [s.gp for s in self._sources], rng)[:-1]
            pairs = zip(weights.tolist(), self._sources, strict=True)
            learnt = replace(learnt, sources=tuple(pairs))
        if densities:
            exponent = self._prior_strength / max(1, len(data.trials))
            prior = PriorTerm(self.rows.encoder, densities, exponent=exponent)
            learnt = replace(learnt, prior=prior)
        return learnt


@dataclass(frozen=True, slots=True)
class FittedSearch:
    """Proposes the points that a fitted model expects the most of."""

    view: StudyView
    data: Observed
    model: Model
    region: TrustRegion | None
    costs: CostModel | None

    @one_thread()
    def proposal(self, number: int, busy: Sequence[Params]) -> Proposal:
        """Return the proposal for a trial, with the points in `busy` as pending.

        Raises:
            InvalidSpace: no point satisfies the constraints of the space.
        """
        model, fixed = self.model, held(self.view, number)
        rng = stream(self.view.seed, number)
        pending = model.encoder.encode(busy)
        unpredicted = None if fixed else self._unpredicted(number, pending)
        if unpredicted is not None:
            return unpredicted
        score: RowScore = model.score(pending, rng)
        cost = self.costs.term(pending) if self.costs is not None else None
        if cost is not None:
            score = FeasibleImprovement(score, [cost])
        untried = self._untried(number, busy) if not fixed else None
        candidates = self._candidates(at_target(self.view.space, untried or fixed), rng)
        rows, values = SearchSize().ranked(score, candidates, model.good)
        before = np.concatenate([pending, model.data.x])
        best = first_new(self._alike(rows), self._alike(before)) or 0
        row, value = rows[best], float(values[best])
        gain = value - _log_share(cost, row)
        is_beyond = cost is None and untried is None and self._is_negligible(number, gain)
        if is_beyond:
            row = best_of_random(model.doubting().score(pending, rng), candidates, model.good)
            gain = float(score(row[None])[0])
        choice = self._fidelity(row, pending, score, fixed)
        if choice is not None and choice.n_known:  # in place of what the search found
            row, is_beyond, untried = choice.row, False, None
            gain = float(score(row[None])[0]) - _log_share(cost, row)
        evidence, why = model.explained(row, gain)
        if is_beyond:
            evidence, why = {**evidence, "beyond": True}, why_beyond(len(model.data.trials))
        if untried is not None:
            evidence, why = {**evidence, "untried": dict(untried)}, why_untried(untried)
        if choice is not None:
            row = choice.row
            evidence, why = choice.explained(evidence, why)
        if cost is not None:
            evidence, why = cost.explained(evidence, why, row)
        # A trial below the target fidelity counts neither as success nor as failure of the region.
        if self.region is not None and not fixed and may_win(model.encoder, row[None])[0]:
            evidence.update(self.region.evidence(row))
        return self._proposed(row, evidence, why, fixed)

    def _proposed(
        self,
        row: NDArray[np.float64],
        evidence: Mapping[str, Any],
        why: str,
        fixed: Params | None = None,
    ) -> Proposal:
        """Return the proposal of a `(d,)` row, which goes on from a shorter run if it can.

        A trial of which the user fixed values starts from the beginning.
        """
        data = self.data
        if self.view.planned is not None:
            evidence = {**evidence, PLANNED: self.view.planned}
        proposal = Proposal(self.model.encoder.decode(row[None])[0], "bayesian", why, evidence)
        if data.fidelity is None or fixed:
            return proposal
        return continuing(proposal, data.fidelity, row, data.trials, data.x)

    def _unpredicted(self, number: int, pending: NDArray[np.float64]) -> Proposal | None:
        """Return the proposal where the model is no guide, `None` where it proposes.

        That is a point that goes on to its next fidelity, or one time in some a random point.
        Where costs of trials are learnt, the model weighs them.
        """
        model, fidelity = self.model, self.data.fidelity
        if not isinstance(model, ObjectiveModel) or self.costs is not None:
            return None
        evidence = model.fit.evidence()
        if fidelity is not None and self._goes_by_rank:
            found = promotion(fidelity, self.data, self._without_result(pending))
            if found is not None:
                return self._proposed(found.row, *found.explained(fidelity, evidence))
        if number % RANDOM_EVERY or not model.draws_at_random:
            return None
        row = self._random(number, pending)
        if row is None:
            return None
        if fidelity is None:
            return self._proposed(row, evidence, WHY_RANDOM)
        choice = begun(fidelity, row)
        return self._proposed(choice.row, *choice.explained(evidence, WHY_RANDOM))

    def _random(self, number: int, pending: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Return the `(d,)` row of a random point that no trial has tried, `None` without one."""
        view, encoder = self.view, self.model.encoder
        before = np.concatenate([pending, self.data.x, self.data.failed])
        target = at_target(view.space, None)
        drawn = samples(view.space, stream(view.seed, number), target, known=known_points(view))
        rows = (encoder.encode([point]) for point in islice(drawn, MAX_DRAWS))
        known = self._alike(before)
        return next((row[0] for row in rows if first_new(row, known) is not None), None)

    def _without_result(self, pending: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(p, d)` rows of the pending points and of trials that ended without a result."""
        space, known = self.view.space, {t.number for t in self.data.trials}
        others = (t for t in self.view.history if t.number not in known)
        points = [p for t in others if (p := point_in(space, t)) is not None]
        return np.concatenate([pending, self.model.encoder.encode(points)])

    def _alike(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(m, d)` rows such that equal ones are one point: by rank at any fidelity."""
        fidelity = self.data.fidelity
        return fidelity.raised(x) if fidelity is not None and self._goes_by_rank else x

    @property
    def _goes_by_rank(self) -> bool:
        """Return whether results say which points go on; learnt costs leave it to the model."""
        model = self.model
        return isinstance(model, ObjectiveModel) and model.goes_by_rank and self.costs is None

    def _untried(self, number: int, busy: Sequence[Params]) -> Params | None:
        """Return values that lead to a choice without a trial, where this trial is for one."""
        model, view = self.model, self.view
        if number % EVERY or number > LAST or isinstance(model, FeasibilityModel):
            return None
        ranked = [model.data.trials[i] for i in model.order]
        known = {t.number for t in ranked}
        trials = [*ranked, *(t for t in view.history if t.number not in known)]
        points = [*(t.params for t in trials if t.params is not None), *busy]
        found = untried_choice(view.space, points)
        if found is None or not is_possible(view.space, found, stream(view.seed, number)):
            return None
        return found

    def _is_negligible(self, number: int, gain: float) -> bool:
        """Return whether a log improvement is not worth a trial; a region has its own restarts."""
        limit = self.model.negligible + log_patience(number, self.view.planned)
        return self.region is None and gain < limit

    def _fidelity(
        self,
        row: NDArray[np.float64],
        pending: NDArray[np.float64],
        score: RowScore,
        fixed: Params | None,
    ) -> FidelityChoice | None:
        """Return the fidelity for a `(d,)` row, `None` if there is none to choose."""
        fidelity = self.data.fidelity
        if fidelity is not None and self._goes_by_rank and not fixed:
            return begun(fidelity, row)
        relative = None if self.costs is None else self.costs.relative
        return chosen_or_due(self.model, row, pending, score, relative=relative, fixed=fixed or {})

    @one_thread()
    def log_improvements(
        self, points: Sequence[Params], number: int, busy: Sequence[Params]
    ) -> NDArray[np.float64]:
        """Return how much each of n points promises, `(n,)` in nats; a trial's number keys draws.

        The costs of trials are left out.
        """
        encoder = self.model.encoder
        score = self.model.score(encoder.encode(busy), stream(self.view.seed, number))
        return score(encoder.encode(points))

    def _candidates(self, fixed: Params | None, rng: np.random.Generator) -> Candidates:
        model, region = self.model, self.region
        if region is None or region.is_open or not isinstance(model, ObjectiveModel):
            return Candidates(model.encoder, fixed, rng)
        lengths = model.gp.parameters.lengths
        return RegionCandidates(model.encoder, fixed, rng, region=region, lengths=lengths)


def _log_share(cost: CostTerm | None, row: NDArray[np.float64]) -> float:
    """Return the part of a `(d,)` row's score that is its cost."""
    return 0.0 if cost is None else float(cost.log_probability(row[None])[0])
