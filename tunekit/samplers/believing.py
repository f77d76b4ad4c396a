"""Gives any sampler priors over single parameters, which fade with trials.

The sampler `bayesian` weighs its acquisition function by the priors itself. All others have none,
so some of their values are drawn from the priors instead.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tunekit.checks import check_number
from tunekit.errors import InvalidArgument
from tunekit.records import Proposal, TrialRecord, TrialState
from tunekit.samplers.base import Sampler, StudyView, held, keeping, replaying
from tunekit.samplers.bayesian.priors import STRENGTH, UserPriors
from tunekit.samplers.random_streams import stream
from tunekit.spaces import Parameter, Params, Scalar, walk

if TYPE_CHECKING:
    import numpy as np

    from tunekit.samplers.bayesian.densities import PriorDensity

OPTIONS = ("priors", "prior_strength")

OWN_STREAM = 1 << 62
"""Added to a trial's number, so that its draws are not those of the other sampler."""


class BelievingSampler:
    """Proposes what another sampler does, with some values drawn from a user's priors.

    Each value with a prior is drawn with the probability `strength / (strength + n)` after n
    complete trials. A point that would violate a constraint stays as the other sampler proposed
    it.

    Args:
        sampler: proposes everything else.
        priors: beliefs about single parameters; see
            `tunekit.samplers.bayesian.priors.UserPriors`.
        prior_strength: number of complete trials after which half of the values are drawn.

    Raises:
        InvalidArgument: `priors` is malformed, or `prior_strength` is not above 0.
    """

    def __init__(
        self,
        *,
        sampler: Sampler,
        priors: Mapping[str, Mapping[str, Any]],
        prior_strength: float = STRENGTH,
    ) -> None:
        check_number(prior_strength, f"{sampler.name}: prior_strength", high=1e6, low=0)
        self.name = sampler.name
        self._inner = sampler
        self._priors = UserPriors(priors)
        self._strength = float(prior_strength)

    @property
    def may_end(self) -> bool:
        """Return whether the other sampler may run out of points."""
        return bool(getattr(self._inner, "may_end", True))

    @property
    def asks_outside(self) -> bool:
        """Return whether the other sampler asks something outside of the study."""
        return bool(getattr(self._inner, "asks_outside", False))

    def replaying(self, trials: Mapping[int, TrialRecord]) -> BelievingSampler:
        """Return the same sampler with the stored answers of trials instead of a network."""
        other = copy(self)
        other._inner = replaying(self._inner, trials)
        return other

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number.

        Raises:
            InvalidSpace: the other sampler raised it.
            UnknownParameter, InvalidArgument: a prior does not suit the space.
        """
        is_open = not len(view.space) or view.history.has_domains
        densities = self._priors.on(view.space, is_open=is_open)
        proposals = self._inner.suggest(view, numbers)
        n = view.history.counts().get(TrialState.COMPLETE, 0)
        share = self._strength / (self._strength + n) if self._strength else 0.0
        return [
            _believing(view, number, proposal, densities, share)
            for number, proposal in zip(numbers, proposals, strict=True)
        ]


def _believing(
    view: StudyView,
    number: int,
    proposal: Proposal,
    densities: Mapping[str, PriorDensity],
    share: float,
) -> Proposal:
    """Return the proposal with some values drawn from the priors."""
    if proposal.branch is not None or "replicate_of" in proposal.evidence:
        return proposal  # it goes on with another trial's values, or measures them again
    fixed = held(view, number) or Params()
    rng = stream(view.seed, OWN_STREAM + number)
    drawn: dict[str, Scalar] = {}
    for path, density in densities.items():
        chance, value = rng.random(), view.space.by_path[path].domain.from_unit(density.draw(rng))
        if chance < share and path not in fixed:
            drawn[path] = value
    if not drawn:
        return proposal
    kept = Params({**proposal.params, **drawn, **fixed})
    point = walk(view.space, keeping(kept, _uniform(rng)))
    used = sorted(path for path in drawn if path in point)
    if not used or view.space.violated(point):
        return proposal
    note = {"drawn": used, "share": round(share, 4)}
    reason = f"{proposal.reason}; " if proposal.reason else ""
    return replace(
        proposal,
        params=point,
        reason=f"{reason}{', '.join(used)} drawn from the prior, as {share:.0%} of the values are",
        evidence={**proposal.evidence, "prior": note},
        answers={**proposal.answers, **{p: v for p, v in drawn.items() if p in proposal.answers}},
    )


def _uniform(rng: np.random.Generator) -> Callable[[Parameter, Mapping[str, Scalar]], Scalar]:
    return lambda p, _: p.domain.from_unit(rng.random())


def takes_priors(factory: Callable[..., Any]) -> bool:
    """Return whether a sampler has the option itself."""
    try:
        return "priors" in inspect.signature(factory).parameters
    except (TypeError, ValueError):  # written in C, without a signature
        return False


def refuse_grid(name: str) -> None:
    """Refuse priors of the grid, which tries every point in the end.

    Raises:
        InvalidArgument: `name` is "grid".
    """
    if name == "grid":
        raise InvalidArgument(
            'sampler "grid": it tries every point, so priors change nothing; leave them out, or '
            "use another sampler."
        )
