"""`auto`: picks a sampler for each proposal and gives the reason in one sentence."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tunekit.checks import is_whole, shown
from tunekit.errors import InvalidArgument, MissingExtra, SpaceExhausted
from tunekit.history import History, HistoryFollower
from tunekit.records import Proposal, TrialRecord
from tunekit.registry import check_options
from tunekit.samplers.base import Sampler, StudyView
from tunekit.samplers.grid import Grid, GridSampler

if TYPE_CHECKING:
    from tunekit.samplers.bayesian.model_search import FittedSearch
    from tunekit.samplers.bayesian.sampler import BayesianSampler
    from tunekit.samplers.llm.sampler import LLMSampler

SMALL = 32
"""Maximum number of combinations to search a discrete space completely without a budget."""

LARGE_BUDGET = 1000
"""Minimum budget, in trials, for evolution to pay off."""

N_TIMED = 10
"""Minimum number of timed trials to compare their duration with that of a suggestion."""

MODEL_S = ((100, 0.03), (300, 0.06), (1000, 0.12))
"""(n, CPU seconds per suggestion of the model up to n trials), in 10 dimensions on one core."""


class AutoSampler:
    """Delegates to the most suitable sampler; `suggest` holds the rules, each proposal its reason.

    Args:
        budget: planned number of trials of the study, if known.
        cost: "seconds" or a metric, to take the cost of trials into account; see
            `tunekit.samplers.bayesian.costs.Costs`.
        cost_budget: planned total cost, instead of `budget` trials.
        priors: beliefs about single parameters, for the model; see
            `tunekit.samplers.bayesian.sampler.BayesianSampler`. With priors the model always
            proposes.
        prior_strength: weight of the priors, divided by the number of trials with a result.
        llm: options of a language model that proposes some of the trials; see
            `tunekit.samplers.llm.sampler.LLMSampler`, whose limits hold. The rules choose the
            sampler of all other trials.
        past: trials of earlier studies, as `tunekit.study(warm_start=...)` writes them beside
            `llm`. The model, which then always proposes, learns from all of them; the language
            model sees the best ones.
        examples: trials of similar studies, as `tunekit.study` finds them for a language model,
            which sees the best ones. Nothing else learns from them.

    Raises:
        InvalidArgument: `budget` is not a whole number of 1 or more, the cost options
            contradict each other, `past` or `examples` is malformed, or an option of the language
            model is out of range.
        MissingExtra: the client of the language model is not installed.
    """

    name = "auto"
    may_end = False

    def __init__(
        self,
        *,
        budget: int | None = None,
        cost: str | None = None,
        cost_budget: float | None = None,
        priors: Mapping[str, Mapping[str, Any]] | None = None,
        prior_strength: float | None = None,
        llm: Mapping[str, Any] | None = None,
        past: Sequence[Mapping[str, Any]] = (),
        examples: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        if budget is not None and (not is_whole(budget) or budget < 1):
            raise InvalidArgument(
                f"auto: budget={budget!r}, expected a whole number of trials, 1 or more."
            )
        self.budget = budget
        self._grid = GridSampler()
        self._cost, self._cost_budget = cost, cost_budget
        self._beliefs: dict[str, Any] = {"priors": priors} if priors else {}
        if past:
            self._beliefs["past"] = past
        if prior_strength is not None:
            self._beliefs["prior_strength"] = prior_strength
        if cost is not None or cost_budget is not None or self._beliefs:
            self._model  # noqa: B018 - checks these options
        self._bred: Sampler | None = None
        self._durations = _Durations()
        if llm is None and examples:
            raise InvalidArgument(
                "auto: examples are for a language model, and llm= is missing; give past= for "
                "trials that the model learns from."
            )
        told = {"past": past, "examples": examples}
        self._advised = None if llm is None else _advised(llm, told, _Classical(self))

    @property
    def asks_outside(self) -> bool:
        """Return whether a language model proposes some of the trials."""
        return self._advised is not None

    def replaying(self, trials: Mapping[int, TrialRecord]) -> AutoSampler:
        """Return the same sampler with the stored answers of trials instead of a network."""
        other = copy(self)
        other._advised = self._advised and self._advised.replaying(trials)
        return other

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number.

        A small discrete space gets its whole grid. Evolution takes large budgets with several
        objectives, or with trials shorter than a suggestion of the model. In all other cases the
        model proposes, starting with the default configuration. A language model, if there is
        one, takes its share of all but a grid.

        Raises:
            InvalidSpace: no point satisfies the constraints of the space.
        """
        if self._advised is None:
            return self.classical(view, numbers)
        return [
            _because(p, "a language model is asked too") if p.sampler == self._advised.name else p
            for p in self._advised.suggest(view, numbers)
        ]

    def classical(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number, without a language model; see `suggest`."""
        found: dict[int, Proposal] = {}
        for number in numbers:
            proposal = self._from_grid(view, number)
            if proposal is not None:
                found[number] = proposal
        rest = [k for k in numbers if k not in found]
        if rest:
            found.update(zip(rest, self._learn(view, rest), strict=True))
        return [found[k] for k in numbers]

    def fitted(self, view: StudyView) -> FittedSearch | None:
        """Return the model of the trials so far, `None` where no model proposes."""
        return None if self._reason_to_breed(view) else self._model.fitted(view)

    @cached_property
    def _model(self) -> BayesianSampler:
        # Its libraries take most of a second to load, which opening a study need not wait for.
        from tunekit.samplers.bayesian.sampler import BayesianSampler

        is_cooled = self._cost is not None and self._cost_budget is None
        budget = self.budget if is_cooled else None
        return BayesianSampler(
            cost=self._cost, budget=budget, cost_budget=self._cost_budget, **self._beliefs
        )

    def _from_grid(self, view: StudyView, number: int) -> Proposal | None:
        size = grid_size(view)
        if self._beliefs or not len(view.space) or size > (self.budget or SMALL):
            return None
        try:
            proposal = self._grid.suggest(view, [number])[0]
        except SpaceExhausted:  # the study continues: results may be noisy, or the space may grow
            return None
        return _because(proposal, f"all points of the space are tried, {size:.0f} in number")

    def _learn(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        why = self._reason_to_breed(view)
        if why:
            from tunekit.samplers.evolutionary.evolution import EvolutionSampler

            try:
                self._bred = self._bred or EvolutionSampler()
            except MissingExtra as error:
                why = f"a model instead of evolution, which needs more: {error.message}"
            else:
                return [_because(p, why) for p in self._bred.suggest(view, numbers)]
        else:
            branches = any(p.conditions for p in view.space)
            why = f"a model of {'the whole tree' if branches else 'the space'} learns most a trial"
        return [_because(p, why) for p in self._model.suggest(view, numbers)]

    def _reason_to_breed(self, view: StudyView) -> str:
        """Return the reason to use evolution, an empty text if there is none."""
        if self._beliefs or self.budget is None or self.budget < LARGE_BUDGET:
            return ""
        n = len(view.objectives)
        if n > 1:
            return f"{n} objectives and a budget of {self.budget} trials"
        seconds = self._durations.of(view.history)
        if len(seconds) < N_TIMED:
            return ""
        from statistics import median  # slow to load

        trial_s, model_s = median(seconds), suggestion_s(view.history.n_finished)
        if trial_s > model_s:
            return ""
        return (
            f"evolution, since a trial takes {1000 * trial_s:.2g} ms, a suggestion of the model "
            f"about {1000 * model_s:.0f} ms, and the budget of {self.budget} trials is large"
        )


class _Classical:
    """The choice of `auto` without its language model."""

    name = "auto"
    may_end = False

    def __init__(self, auto: AutoSampler) -> None:
        self.suggest, self.fitted = auto.classical, auto.fitted


def _advised(options: Mapping[str, Any], told: Mapping[str, Any], arm: Sampler) -> LLMSampler:
    """Return a sampler that takes some proposals from a language model.

    Args:
        options: of the language model.
        told: trials of earlier studies, where its own options name none.
        arm: the sampler of all other trials.

    Raises:
        InvalidArgument: an option is unknown, missing or out of range.
        MissingExtra: the client of the language model is not installed.
    """
    from tunekit.samplers.llm.sampler import LLMSampler

    if not isinstance(options, Mapping):
        raise InvalidArgument(
            f'auto: llm={shown(options)}, expected options, such as {{"model": "llama3.2"}}.'
        )
    check_options("auto: llm", LLMSampler, options, without=("arm",))
    return LLMSampler(**{**told, **options}, arm=arm)


class _Durations:
    """The seconds that ended trials took; a trial is read again once it has changed."""

    def __init__(self) -> None:
        self._follower = HistoryFollower()
        self._by_number: dict[int, float] = {}
        self._ascending: list[float] = []

    def of(self, history: History) -> list[float]:
        """Return the durations, ascending."""
        changed = self._follower.changed(history)
        if changed is None:
            self._by_number, self._ascending = {}, []
            changed = {t.number for t in history.finished()}
        for number in changed:
            before = self._by_number.pop(number, None)
            if before is not None:
                del self._ascending[bisect_left(self._ascending, before)]
            trial = history.get(number)
            seconds = None if trial is None else trial.duration_s
            if trial is not None and trial.state.is_finished and seconds is not None:
                self._by_number[number] = seconds
                insort(self._ascending, seconds)
        return self._ascending


def suggestion_s(n: int) -> float:
    """Return the approximate seconds of the model's suggestion after n trials."""
    return next((seconds for most, seconds in MODEL_S if n <= most), MODEL_S[-1][1])


def grid_size(view: StudyView) -> float:
    """Return the number of combinations of a space; `inf` with a continuous parameter.

    A fidelity also gives `inf`: a grid would run every point at its target, a model only the best.
    """
    if any(p.domain.size == math.inf for p in view.space) or view.space.target:
        return math.inf
    return Grid(view.space, 1).size


def _because(proposal: Proposal, why: str) -> Proposal:
    return replace(proposal, reason=f"auto: {why}; {proposal.reason}")
