"""Chooses a trial's point on a model's turn: advised, of a search that advice guides, or own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from tunekit.noise.replicates import key_of
from tunekit.records import Proposal
from tunekit.samplers.bayesian.model_search import FittedSearch
from tunekit.samplers.duplicates import taken
from tunekit.samplers.llm.advised_beliefs import AdvisedBeliefs, advised_beliefs
from tunekit.samplers.llm.advised_search import exponent_of, guided_search
from tunekit.samplers.llm.limits import SpendingLimits
from tunekit.samplers.llm.past_advice import KEY, predicted, unused
from tunekit.samplers.llm.ranking import CLOSE, MARGIN, most_promising
from tunekit.samplers.llm.turns import Turns
from tunekit.spaces import Params


@dataclass(frozen=True)
class TurnOfModel:
    """One trial that a language model may propose.

    Attributes:
        turns: of the study.
        number: of the trial.
        own: the classical sampler's proposal.
        before: proposals made just before.
        fitted: the search with the model of the trials, `None` before there is one.
        limits: of what the study may spend.
    """

    turns: Turns
    number: int
    own: Proposal
    before: Sequence[Proposal]
    fitted: FittedSearch | None
    limits: SpendingLimits

    def proposal(self) -> Proposal:
        """Return the proposal; its reason says whose it is.

        Before there is a model, the advised points are taken in the order of the advice, or of
        what the language model expects of them. Then they compete with the point that a search
        guided by the advice finds, and the winner has to promise enough by the model alone.
        """
        if self.fitted is None:
            place = most_promising(self.turns.view, self._expected)
            return self._kept(self._absence) if place is None else self._advised(place)
        return self._guided(self.fitted)

    @cached_property
    def _points(self) -> list[tuple[int, Params]]:
        """The new points of the newest advice, each with the trial that it came with."""
        view = self.turns.view
        known = {key_of(p.params) for p in self.before} | taken(view.history)
        return [
            (k, p)
            for k, p in unused(view, self.turns.given, self.number)
            if key_of(p) not in known
        ]

    @cached_property
    def _expected(self) -> list[tuple[float, float] | None]:
        """What the language model expects of these points."""
        said = predicted(self.turns.view, self.turns.given)
        return [said.get(key_of(p)) for _, p in self._points]

    @cached_property
    def _busy(self) -> list[Params]:
        """The points that run now, with those of the proposals made just before."""
        pending = self.turns.view.history.pending()
        return [
            *(t.params for t in pending if t.params is not None),
            *(p.params for p in self.before),
        ]

    @property
    def _absence(self) -> str:
        return self.turns.absence(self.limits)

    def _guided(self, fitted: FittedSearch) -> Proposal:
        """Return the best of the advised points and of a search that the advice guides."""
        if self.turns.spent.n_failed and not self._points:  # the study goes on without the model
            return self._kept(self._absence)
        beliefs = advised_beliefs(self.turns.view, self.turns.given)
        search = guided_search(fitted, beliefs.priors)
        is_guided = search is not fitted
        found = search.proposal(self.number, self._busy) if is_guided else self.own
        points = [p for _, p in self._points]
        *promised, best = self._promised(search, [*points, found.params])
        margin = self._margin(is_guided=is_guided)
        place = most_promising(self.turns.view, self._expected, promised, best - margin)
        point = found.params if place is None else points[place]
        if point == self.own.params:  # it is the same without the advice
            return self._kept("" if points else self._absence)
        mine, own = self._promised(fitted, [point, self.own.params])
        if mine < own - MARGIN:
            return self._kept("what the language model advises promises less")
        return self._advised(place) if place is not None else self._found(found, fitted, beliefs)

    def _margin(self, *, is_guided: bool) -> float:
        """Return by how much an advised point may lie behind the point of a search."""
        if not is_guided:  # too few points for a belief: they are all that there is
            return MARGIN
        return CLOSE if any(e is not None for e in self._expected) else 0.0

    def _promised(self, search: FittedSearch, points: Sequence[Params]) -> list[float]:
        found: list[float] = search.log_improvements(points, self.number, self._busy).tolist()
        return found

    def _advised(self, place: int) -> Proposal:
        came_with, point = self._points[place]
        part = self._part(came_with)
        if (expected := self._expected[place]) is not None:
            part["expected"] = list(expected)
        why = f"a language model recommends it (advice that came with trial {came_with})"
        return Proposal(point, KEY, why, {KEY: part})

    def _found(self, found: Proposal, fitted: FittedSearch, beliefs: AdvisedBeliefs) -> Proposal:
        part = {
            **self._part(beliefs.came_with),
            "priors": {p: dict(b) for p, b in beliefs.priors.items() if p in found.params},
            "n_points": beliefs.n_points,
            "exponent": round(exponent_of(fitted), 4),
        }
        if beliefs.ranges:
            part["ranges"] = dict(beliefs.ranges)
        reached = self.limits.reached(self.turns.spent)
        said = f" ({self._absence})" if reached else ""
        why = f"what a language model has advised guides the search{said}; {found.reason}"
        return replace(found, sampler=KEY, reason=why, evidence={**found.evidence, KEY: part})

    def _part(self, came_with: int) -> dict[str, Any]:
        """Return the evidence of the model's part in the proposal."""
        return {
            "of": came_with,
            "share": round(self.turns.share(self.number), 3),
            "chance": round(self.turns.rates.chance, 3),
        }

    def _kept(self, why: str) -> Proposal:
        """Return the classical sampler's proposal, with the reason why it is."""
        return replace(self.own, reason=f"{self.own.reason}; {why}") if why else self.own
