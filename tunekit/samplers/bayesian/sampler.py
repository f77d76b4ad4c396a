"""`bayesian`: proposes the point of largest expected improvement under a Gaussian process.

NumPy's and SciPy's models are imported by `model_search`, before the first proposal by a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tunekit.checks import check_number, check_whole, is_whole
from tunekit.errors import InvalidArgument
from tunekit.history import History
from tunekit.records import Proposal
from tunekit.samplers.base import StudyView
from tunekit.samplers.bayesian.costs import Costs
from tunekit.samplers.bayesian.initial_design import InitialDesign, n_initial
from tunekit.samplers.bayesian.learnable import LearnableTrials
from tunekit.samplers.bayesian.past_studies import past_studies
from tunekit.samplers.bayesian.plateau import MOST
from tunekit.samplers.bayesian.priors import STRENGTH, UserPriors

if TYPE_CHECKING:
    from tunekit.samplers.bayesian.densities import PriorDensity
    from tunekit.samplers.bayesian.model_search import FittedSearch, ModelSearch

MANY_NUMBERS = 20
"""Number of active numeric parameters from which a stuck model searches in a trust region."""


class BayesianSampler:
    """Proposes the point of largest expected improvement under a model of the tree.

    The first trials are the default configuration and a few points that cover the branches.
    Then a Gaussian process over all parameters proposes, in which branches share information
    about common parameters. Running trials enter with their predicted results in flat spaces
    of one objective, else as draws of their possible results. Failures and metric constraints
    become probabilities of feasibility, never bad values. In a space with a fidelity, a point
    is chosen for its improvement at the target fidelity and run at the cheapest one that is
    informative; see `tunekit.samplers.bayesian.fidelity`. Where the model does not predict the
    results, the better points go on to higher fidelities by rank; see
    `tunekit.samplers.bayesian.promotions`.

    Args:
        n_start: trials before the model proposes; by default enough to cover the root branches,
            and more while all results lie on one plateau.
        priors: beliefs about single parameters, such as
            `{"lr": {"lognormal": [3e-4, 1.0]}, "model": {"weights": {"svm": 3, "forest": 1}}}`;
            see `tunekit.samplers.bayesian.priors.UserPriors`. The first trials follow them.
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
        self.trust_region = _checked_threshold(trust_region)
        if n_start is not None:
            check_whole(n_start, "bayesian: n_start", low=1)
        check_number(prior_strength, "bayesian: prior_strength", high=1e6, low=0)
        self.n_start = n_start
        self.prior_strength = float(prior_strength)
        self._priors = UserPriors(priors or {})
        self._past = past_studies(past)
        self._costs = Costs(cost, budget=budget, cost_budget=cost_budget)
        self._known: LearnableTrials | None = None
        self._search: ModelSearch | None = None
        self._kept: tuple[History, int, FittedSearch] | None = None

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
        n_start = self.n_start or n_initial(view.space)
        design = self._design(view, densities, n_start)
        pending = [t.params for t in view.history.pending() if t.params is not None]
        fitted: FittedSearch | None = None
        found: list[Proposal] = []
        for number in numbers:
            busy = [*pending, *(p.params for p in found)]
            proposal = design.proposal(number, busy)
            if proposal is None:
                if fitted is None:
                    fitted = self._fit(view, densities, n_start)
                proposal = fitted.proposal(number, busy)
            found.append(proposal)
        return found

    def fitted(self, view: StudyView) -> FittedSearch | None:
        """Return the search with the model of the trials so far; `None` before there is one.

        Raises:
            UnknownParameter, InvalidArgument: as `suggest`.
        """
        densities = self._densities(view)
        n_start = self.n_start or n_initial(view.space)
        design = self._design(view, densities, n_start)
        return self._fit(view, densities, n_start) if design.is_over(0) else None

    def _fit(
        self, view: StudyView, densities: Mapping[str, PriorDensity], n_start: int
    ) -> FittedSearch:
        """Return the model of the trials so far, which is kept until one of them changes."""
        search, history = self._model(view), view.history
        if self._kept is not None:
            of, revision, kept = self._kept
            is_same = kept.view.space is view.space and kept.view.seed == view.seed
            if of is history and revision == history.revision and is_same:
                return replace(kept, view=view)  # which may hold other values of the user
        fitted = search.fitted(view, densities, n_start=n_start)
        self._kept = history, history.revision, fitted
        return fitted

    def _densities(self, view: StudyView) -> dict[str, PriorDensity]:
        if not self._priors:
            return {}
        is_open = not len(view.space) or view.history.has_domains
        return self._priors.on(view.space, is_open=is_open)

    def _design(
        self, view: StudyView, densities: Mapping[str, PriorDensity], n_start: int
    ) -> InitialDesign:
        if self._known is None or self._known.space != view.space:
            self._known = LearnableTrials(view.space)
        learnable = self._known.count(view, enough=max(MOST, n_start))
        past = self._model(view) if self._past else None
        return InitialDesign(
            view, n_start, learnable, densities, past, may_extend=self.n_start is None
        )

    def _model(self, view: StudyView) -> ModelSearch:
        from tunekit.samplers.bayesian.model_search import ModelSearch

        if self._search is None or self._search.rows.encoder.space != view.space:
            self._search = ModelSearch(
                view.space,
                self._past,
                costs=self._costs,
                prior_strength=self.prior_strength,
                trust_region=self.trust_region,
            )
        return self._search


def _checked_threshold(value: int | None) -> int | None:
    """Return the number of active numbers from which a region is used, `None` for never.

    Raises:
        InvalidArgument: `value` is neither `None` nor a whole number of 1 or more.
    """
    if value is not None and (not is_whole(value) or value < 1):
        raise InvalidArgument(
            f"bayesian: trust_region={value!r}, expected None for never or the number of "
            "parameters from which to use it, a whole number of 1 or more."
        )
    return value
