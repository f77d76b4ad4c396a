"""`auto`: picks a sampler for the study and the moment, and says why in one sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from tunekit.errors import InvalidArgument, MissingExtra, SpaceExhausted
from tunekit.samplers.base import Sampler, StudyView
from tunekit.samplers.grid import Grid, GridSampler
from tunekit.samplers.optuna_bridge import OptunaSampler
from tunekit.samplers.sobol import SobolSampler
from tunekit.trial import Proposal, TrialState

SMALL = 32
"""Combinations up to which a discrete space is searched completely without a known budget."""

N_START = 10
"""Trials with a result that a model needs; until then Sobol points cover the space."""

N_START_TREE = 16
"""The same for a space with branches: seen once or twice, a good branch is dropped too early."""

LARGE_BUDGET = 1000
"""Trials from which a genetic algorithm is worth its generations on several objectives."""


class AutoSampler:
    """Proposes by whatever fits: every rule is in `suggest`, its reason in each proposal.

    Args:
        budget: how many trials the study is meant to have, if that is known.

    Raises:
        InvalidArgument: the budget is no whole number of 1 or more.
    """

    name = "auto"

    def __init__(self, *, budget: int | None = None) -> None:
        if budget is not None and (
            isinstance(budget, bool) or not isinstance(budget, int) or budget < 1
        ):
            raise InvalidArgument(
                f"auto: budget={budget!r}, expected a whole number of trials of 1 or more."
            )
        self.budget = budget
        self._grid = GridSampler()
        self._sobol = SobolSampler()
        self._learners: dict[str, Sampler] = {}

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number.

        In this order: the whole grid of a small discrete space; the default configuration;
        Sobol points until enough trials have ended; then a model (Optuna's TPE, or NSGA-II for
        several objectives and a large budget), or more Sobol points where Optuna is missing.

        Raises:
            InvalidSpace: no point was found that satisfies the constraints of the space.
        """
        found: dict[int, Proposal] = {}
        for number in numbers:
            proposal = self._from_grid(view, number) or self._default(view, number)
            if proposal is not None:
                found[number] = proposal
        rest = [k for k in numbers if k not in found]
        if rest:
            found.update(zip(rest, self._explore(view, rest), strict=True))
        return [found[k] for k in numbers]

    def _from_grid(self, view: StudyView, number: int) -> Proposal | None:
        size = grid_size(view)
        if size > (self.budget or SMALL):
            return None
        try:
            proposal = self._grid.suggest(view, [number])[0]
        except SpaceExhausted:  # the study goes on: results may be noisy, or the space may grow
            return None
        return _because(proposal, f"the space has {size:.0f} points, so all are tried")

    def _default(self, view: StudyView, number: int) -> Proposal | None:
        point = view.space.default()
        if number != 0 or number in view.fixed or view.space.violated(point):
            return None
        return Proposal(point, self.name, "auto: the default configuration comes first")

    def _explore(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        useful = (TrialState.COMPLETE, TrialState.STOPPED)
        n_ended = sum(t.state in useful for t in view.history)
        n_start = N_START_TREE if any(p.conditions for p in view.space) else N_START
        if n_ended < n_start:
            why = f"Sobol points until {n_start} trials have a result ({n_ended} have)"
            return [_because(p, why) for p in self._sobol.suggest(view, numbers)]
        name = "tpe"
        why = f"a model learns from {n_ended} results"
        if len(view.objectives) > 1 and (self.budget or 0) >= LARGE_BUDGET:
            name = "nsgaii"
            why = f"{len(view.objectives)} objectives and a budget of {self.budget} trials"
        try:
            return [_because(p, why) for p in self._learner(name).suggest(view, numbers)]
        except MissingExtra as error:
            why = f"more Sobol points; to learn from the results, {error.message}"
            return [_because(p, why) for p in self._sobol.suggest(view, numbers)]

    def _learner(self, name: str) -> Sampler:
        if name not in self._learners:
            # The start is over when a learner is asked; it shall not draw at random once more.
            options = {"n_startup_trials": N_START} if name == "tpe" else {}
            self._learners[name] = OptunaSampler(name, **options)
        return self._learners[name]


def grid_size(view: StudyView) -> float:
    """Return how many combinations a space has; `inf` with a continuous parameter."""
    if any(p.domain.size == math.inf for p in view.space):
        return math.inf
    return Grid(view.space, 1).size


def _because(proposal: Proposal, why: str) -> Proposal:
    return replace(proposal, reason=f"auto: {why}; {proposal.reason}")
