"""Decides which trials a language model may propose, and when to ask it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from tunekit.samplers.base import StudyView
from tunekit.samplers.bayesian.initial_design import n_initial
from tunekit.samplers.llm.asking import Advice
from tunekit.samplers.llm.limits import SpendingLimits
from tunekit.samplers.llm.past_advice import FRESH, HitRates, Spent, hit_rates, spent, unused
from tunekit.samplers.random_streams import light_stream
from tunekit.spaces import Space

START_SHARE = 0.5
SHARE = 0.3
"""Largest shares of the first trials and of later ones that a model may propose."""

LEAST_CHANCE, FULL_CHANCE = 0.05, 0.4
"""Chance that the model's hit rate is the higher one: no share below, the full share above."""

MOST_PATIENCE = 64
"""Largest number of trials between two requests to a model that gives no points."""

_OTHER_STREAM = 0x6C6C6D  # keeps these draws independent of those of `bayesian`


def allowed_share(number: int, rates: HitRates, space: Space) -> float:
    """Return the share of trials around a number that a model may propose.

    Of the first trials it may propose half, until fewer than half of its points were hits: there
    is no model yet that could weigh them. Later the share rises with the chance of a hit.

    Args:
        number: of the trial.
        rates: of the trials by then.
        space: of the study.
    """
    if number < n_initial(space):
        hits, others = rates.llm
        return START_SHARE if hits >= others else 0.0
    earned = (rates.chance - LEAST_CHANCE) / (FULL_CHANCE - LEAST_CHANCE)
    return SHARE * min(max(earned, 0.0), 1.0)


@dataclass(frozen=True)
class Turns:
    """Whose turn it is, by what the history says.

    Attributes:
        view: of the study.
        given: (number of the trial that it came with, advice as stored), by number.
    """

    view: StudyView
    given: Sequence[tuple[int, Mapping[str, Any]]]

    def with_advice(self, number: int, advice: Advice) -> Turns:
        """Return the turns with advice that has just come."""
        return replace(self, given=[*self.given, (number, advice.evidence())])

    @cached_property
    def n_start(self) -> int:
        """Number of the first trials, which cover the branches."""
        return n_initial(self.view.space)

    @cached_property
    def rates(self) -> HitRates:
        """How often each side has improved the best result."""
        return hit_rates(self.view.history, after=1)

    @cached_property
    def spent(self) -> Spent:
        """What the advice has cost."""
        return spent(self.given)

    def share(self, number: int) -> float:
        """Return the share of trials around a number that the model may propose."""
        return allowed_share(number, self.rates, self.view.space)

    def is_llms(self, number: int) -> bool:
        """Return whether a trial is the model's; the first one never is."""
        if number < self.n_start:  # at most half, and after the default
            return number % 2 == 1 and self.share(number) > 0.0
        draw: float = light_stream(self.view.seed ^ _OTHER_STREAM, number).random()
        return draw < self.share(number)

    def may_ask(self, number: int, limits: SpendingLimits) -> bool:
        """Return whether to ask for advice: affordable, due, and not just refused."""
        if limits.reached(self.spent):
            return False
        patience = min(2**self.spent.n_failed, MOST_PATIENCE) if self.spent.n_failed else 0
        if self.spent.n_failed:
            return number - self.spent.last >= patience
        fresh = {id_ for id_, _ in unused(self.view, self.given, number)}
        return not fresh or number - self.spent.last > FRESH

    def absence(self, limits: SpendingLimits) -> str:
        """Return why the model does not propose though it is its turn."""
        if reached := limits.reached(self.spent):
            return f"no more advice of the language model: {reached}"
        if self.spent.n_failed:
            problems = self.given[-1][1]["problems"]
            said = problems[-1] if problems else "no usable points"
            return f"the language model gave no usable points: {said}"[:500]
        return "the language model has not answered yet"
