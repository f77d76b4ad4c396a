"""`bayesian`: proposes the point of largest expected improvement under a Gaussian process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunekit.checks import check_number, check_whole
from tunekit.errors import InvalidArgument
from tunekit.records import Proposal
from tunekit.samplers.base import StudyView, at_target, held, known_points
from tunekit.samplers.bayesian.acquisition import ExpectedImprovement
from tunekit.samplers.bayesian.candidates import Candidates
from tunekit.samplers.bayesian.costs import CostModel, Costs
from tunekit.samplers.bayesian.densities import PriorDensity
from tunekit.samplers.bayesian.ensemble import BlendedImprovement
from tunekit.samplers.bayesian.feasibility import (
    ConditionModel,
    FeasibilityModel,
    FeasibleImprovement,
    LogFactor,
    cautious,
    conditions,
    failed_rows,
    feasible_evidence,
    log_feasible,
)
from tunekit.samplers.bayesian.fidelity import chosen, may_win, misled, priors_of, stalled
from tunekit.samplers.bayesian.fitting import MAX_ROWS, chosen_rows
from tunekit.samplers.bayesian.front import FrontModel, front_model
from tunekit.samplers.bayesian.initial_design import default_point, n_initial, stratified_walk
from tunekit.samplers.bayesian.kernel_choice import Fit, fit_chosen
from tunekit.samplers.bayesian.past_studies import past_studies
from tunekit.samplers.bayesian.priors import STRENGTH, PriorTerm, UserPriors
from tunekit.samplers.bayesian.search import RowScore, SearchSize
from tunekit.samplers.bayesian.training_data import (
    Observed,
    TrialRows,
    observed,
    standardised,
    structure_of,
)
from tunekit.samplers.bayesian.transfer import PastModel, portfolio, rank_weights, sources_of
from tunekit.samplers.bayesian.trust_region import (
    RegionCandidates,
    TrustRegion,
    checked_threshold,
    region_of,
)
from tunekit.samplers.random_streams import stream
from tunekit.spaces import Params
from tunekit.spaces.encode import Encoder
from tunekit_surrogates.tree_gp import TreeGP

N_GOOD = 8
"""Number of best trials to mutate."""

NOISY = 0.02
"""Noise share of the variance above which the values of the best trials count as uncertain."""

N_UNCERTAIN = 10
"""Number of best trials whose values are then drawn."""


TREE_EXPLORATION = 0.6
"""Exploration factor in spaces with branches. Every active block adds prior variance, so the
plain expected improvement would chase the deepest branches until they are known."""


MANY_NUMBERS = 20
"""Number of active numeric parameters from which a stuck model searches in a trust region."""


class BayesianSampler:
    """Proposes the point of largest expected improvement under a model of the tree.

    The first trials are the default configuration and a few points that cover the branches. Then
    a Gaussian process over all parameters proposes, in which branches share information about
    common parameters. Running trials enter as draws of their possible results. Failures and
    metric constraints become probabilities of feasibility, never bad values. In a space with a
    fidelity, a point is chosen for its improvement at the target fidelity and run at the
    cheapest one that is informative; see `tunekit.samplers.bayesian.fidelity`.

    Args:
        n_start: trials before the model proposes; by default enough to cover the root branches.
        priors: beliefs about single parameters, such as
            `{"lr": {"lognormal": [3e-4, 1.0]}, "model": {"weights": {"svm": 3, "forest": 1}}}`;
            see `tunekit.samplers.bayesian.priors.Priors`. The first trials are drawn from them.
        prior_strength: weight of the priors relative to the model, divided by the number of
            trials with a result.
        past: trials of earlier studies, as `tunekit.study(warm_start=...)` writes them. Their
            winners are tried early, and their models are weighted by how well they rank this
            study's trials.
        cost: "seconds", or a positive metric that trials report. The improvement is divided by
            the expected cost, with an exponent that falls as the budget is spent. With "seconds"
            a second run from the same seed differs, because its trials take other times.
        budget: planned number of trials of the study.
        cost_budget: planned total cost, instead of `budget`; see
            `tunekit.samplers.bayesian.costs.Costs` for the default without either.
        trust_region: number of active numeric parameters from which a stuck model searches in
            a box around the best trial; `None` for never. The box grows on success and shrinks
            on failure; see `tunekit.samplers.bayesian.trust_region`.

    Raises:
        InvalidArgument: `n_start` or `trust_region` is not a whole number from 1, `priors` or
            `past` is malformed, `prior_strength` is negative, or cost options contradict another.
    """

    name = "bayesian"
    may_end = False

    def __init__(
        self,
        *,
        n_start: int | None = None,
        priors: Mapping[str, Mapping[str, Any]] | None = None,
        prior_strength: float = STRENGTH,
        past: Sequence[Mapping[str, Any]] = (),
        cost: str | None = None,
        budget: int | None = None,
        cost_budget: float | None = None,
        trust_region: int | None = MANY_NUMBERS,
    ) -> None:
        self.trust_region = checked_threshold(trust_region)
        if n_start is not None:
            check_whole(n_start, "bayesian: n_start", low=1)
        check_number(prior_strength, "bayesian: prior_strength", high=1e6, low=0)
        self.n_start = n_start
        self.prior_strength = float(prior_strength)
        self._priors = UserPriors(priors or {})
        self._past = past_studies(past)
        self._costs = Costs(cost, budget=budget, cost_budget=cost_budget)
        self._sources: tuple[PastModel, ...] = ()
        self._rows: TrialRows | None = None

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number; each takes the earlier ones as pending.

        Raises:
            InvalidSpace: no point satisfies the constraints of the space.
            UnknownParameter, InvalidArgument: a prior does not suit the space, `past` is given
                with several objectives, or no trial has the cost metric.
        """
        if self._past and len(view.objectives) > 1:
            raise InvalidArgument(
                f"bayesian: past trials have one loss, but the study has {len(view.objectives)} "
                "objectives; remove past= and warm_start=."
            )
        densities = self._densities(view)
        if self._rows is None or self._rows.encoder.space != view.space:
            self._rows = TrialRows(Encoder(view.space))
            encoder = self._rows.encoder
            self._sources = sources_of(self._past, encoder, structure_of(encoder))
        data, region = observed(view, self._rows), None
        if self.trust_region is not None:
            encoder = self._rows.encoder
            region = region_of(view.history, data, encoder, self.trust_region)
        pending = [t.params for t in view.history.pending() if t.params is not None]
        n_failed = len(failed_rows(view, self._rows))
        model: Model | None = None
        costs: CostModel | None = None
        found: list[Proposal] = []
        for number in numbers:
            busy = [*pending, *(p.params for p in found)]
            proposal = self._start(view, number, data, busy, densities, n_failed=n_failed)
            if proposal is None:
                if model is None:
                    n_start = self.n_start or n_initial(view.space)
                    model = self._model(view, data, self._rows, densities)
                    costs = self._costs.learnt(view, self._rows, n_start=n_start)
                proposal = self._improve(view, number, model, busy, region=region, costs=costs)
            found.append(proposal)
        return found

    def _densities(self, view: StudyView) -> dict[str, PriorDensity]:
        if not self._priors:
            return {}
        is_open = not len(view.space) or view.history.has_domains
        return self._priors.on(view.space, is_open=is_open)

    def _model(
        self,
        view: StudyView,
        data: Observed,
        rows: TrialRows,
        densities: Mapping[str, PriorDensity],
    ) -> Model:
        learnt = _learnt(view, data, rows)
        if self._sources and isinstance(learnt, _Model):  # of one objective
            rng = stream(view.seed, (1 << 63) + len(data.trials))  # never a trial's number
            weights = rank_weights(learnt.gp, [s.gp for s in self._sources], rng)[:-1]
            pairs = zip(weights.tolist(), self._sources, strict=True)
            learnt = replace(learnt, sources=tuple(pairs))
        if densities:
            exponent = self.prior_strength / max(1, len(data.trials))
            prior = PriorTerm(rows.encoder, densities, exponent=exponent)
            learnt = replace(learnt, prior=prior)
        return learnt

    def _start(
        self,
        view: StudyView,
        number: int,
        data: Observed,
        busy: Sequence[Params],
        densities: Mapping[str, PriorDensity],
        *,
        n_failed: int,
    ) -> Proposal | None:
        """Return a point of the initial design, `None` once there are enough trials to model."""
        fixed = held(view, number)
        if number == 0:
            point = default_point(view.space, fixed)
            if point is not None:
                return Proposal(point, self.name, "the default configuration comes first")
        n_start = self.n_start or n_initial(view.space)
        n_known = len(data.trials) + n_failed + len(busy)
        if (len(data.trials) >= 2 or n_failed) and n_known >= n_start:
            return None
        ended = [t.params for t in view.history.finished() if t.params is not None]
        if not fixed and self._sources:
            found = portfolio(self._sources, Encoder(view.space))
            winners = [Params({**w, **view.space.target}) for w in found]
            untried = [w for w in winners if w not in ended and w not in busy]
            if untried:
                return Proposal(untried[0], self.name, self._used())
        rng, before, known = stream(view.seed, number), [*ended, *busy], known_points(view)
        if data.fidelity is not None:
            fixed = Params({data.fidelity.path: data.fidelity.first(number), **(fixed or {})})
        point = stratified_walk(view.space, before, rng, fixed, densities=densities, known=known)
        what = "follows the priors and " if densities else ""
        n = len(data.trials) + n_failed
        why = f"{what}covers the branches until {n_start} trials have ended ({n} so far)"
        return Proposal(point, self.name, why)

    def _used(self) -> str:
        used = [f"{s.name} ({len(s.points)} of {s.n_kept} trials usable)" for s in self._sources]
        return f"did well in earlier studies: {', '.join(used)}"

    def _improve(
        self,
        view: StudyView,
        number: int,
        model: Model,
        busy: Sequence[Params],
        *,
        region: TrustRegion | None,
        costs: CostModel | None,
    ) -> Proposal:
        rng, fixed = stream(view.seed, number), held(view, number)
        candidates = _candidates(model, at_target(view.space, fixed), rng, region)
        pending = model.encoder.encode(busy)
        score: RowScore = model.score(pending, rng)
        cost = costs.term(pending) if costs is not None else None
        if cost is not None:
            score = FeasibleImprovement(score, [cost])
        rows, values = SearchSize().ranked(score, candidates, model.good)
        best = _first_new(rows, pending, model.data.x)
        row, value = rows[best], float(values[best])
        gain = value - (0.0 if cost is None else float(cost.log_probability(row[None])[0]))
        evidence, why = model.explained(row, gain)
        fidelity = model.data.fidelity
        if fidelity is not None and fidelity.path not in (fixed or ()):
            relative = fidelity.share if costs is None else costs.relative
            choice = chosen(model, row, pending, relative)
            row = choice.row
            evidence, why = choice.explained(evidence, why)
        if cost is not None:
            evidence, why = cost.explained(evidence, why, row)
        # A trial below the target fidelity counts neither as success nor as failure of the region.
        if region is not None and not fixed and may_win(model.encoder, row[None])[0]:
            evidence.update(region.evidence(row))
        return Proposal(model.encoder.decode(row[None])[0], self.name, why, evidence)


@dataclass(frozen=True, slots=True)
class _Model:
    """The fitted model of a study with one objective.

    Attributes:
        y, order: `(n,)` standardised losses; `(n,)` trials by loss, feasible ones first.
    """

    encoder: Encoder
    data: Observed
    y: NDArray[np.float64]
    order: NDArray[np.int64]
    fit: Fit
    feasible: list[ConditionModel]
    prior: PriorTerm | None = None
    sources: tuple[tuple[float, PastModel], ...] = ()

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
        """Return a score of rows, given the `(p, d)` pending ones."""
        known = self.data.feasible[chosen_rows(self.y, MAX_ROWS)]
        likely = log_feasible(self.feasible, pending) > np.log(0.5)
        counts = np.concatenate([known, likely & may_win(self.encoder, pending)])
        noise = np.exp(self.gp.parameters.noise)
        noisy = N_UNCERTAIN if noise > NOISY else 0
        terms: list[LogFactor] = [*cautious(self.feasible), *([self.prior] if self.prior else [])]
        exploration = TREE_EXPLORATION if self.gp.structure.has_branches else 1.0
        others = [(weight, s.gp) for weight, s in self.sources]
        kind = partial(BlendedImprovement, others=others) if others else ExpectedImprovement
        improvement = kind(
            self.gp, pending, noisy=noisy, exploration=exploration, counts=counts, rng=rng
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


Model: TypeAlias = _Model | FrontModel | FeasibilityModel


def _candidates(
    model: Model, fixed: Params | None, rng: np.random.Generator, region: TrustRegion | None
) -> Candidates:
    if region is None or region.is_open or not isinstance(model, _Model):
        return Candidates(model.encoder, fixed, rng)
    lengths = model.gp.parameters.lengths
    return RegionCandidates(model.encoder, fixed, rng, region=region, lengths=lengths)


def _learnt(view: StudyView, data: Observed, rows: TrialRows) -> Model:
    """Return the model the trials allow: of one objective, of a front, or of feasibility only."""
    if len(data.trials) < 2 or not data.feasible.any():
        found = conditions(view, structure_of(rows.encoder), data, rows)
        return FeasibilityModel(rows.encoder, data, found)
    if len(view.objectives) > 1:
        return front_model(view, data, rows)
    return _best_model(view, data, rows)


def _best_model(view: StudyView, data: Observed, rows: TrialRows) -> _Model:
    y = standardised(data.losses[:, 0])
    fit = fit_chosen(rows.encoder, data.x, y, data.trials, priors=priors_of(data.fidelity))
    if data.fidelity is not None:
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
    return _Model(rows.encoder, data, y, order, fit, found)


def _first_new(
    rows: NDArray[np.float64], busy: NDArray[np.float64], done: NDArray[np.float64]
) -> int:
    """Return the index of the first untried of `(m, d)` rows, 0 if all have been tried."""
    known = {r.round(9).tobytes() for r in np.concatenate([busy, done])}
    return next((i for i, r in enumerate(rows) if r.round(9).tobytes() not in known), 0)
