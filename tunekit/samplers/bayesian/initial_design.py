"""Proposes the first points of a study: the defaults, then points that cover every branch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tunekit.records import Proposal
from tunekit.samplers.base import (
    PLAIN_DRAWS,
    StudyView,
    held,
    keeping,
    known_points,
    repaired,
    sample,
)
from tunekit.samplers.bayesian.fidelity_levels import fidelity_levels, is_full_run_due
from tunekit.samplers.bayesian.learnable import Learnable
from tunekit.samplers.bayesian.plateau import is_plateau
from tunekit.samplers.random_streams import Draws, in_numpy, light_stream, stream
from tunekit.spaces import Categorical, Constant, Parameter, Params, Scalar, Space, walk

if TYPE_CHECKING:
    from tunekit.samplers.bayesian.densities import PriorDensity

N_DRAWS = 4
"""Draws per number; the one farthest from the values of earlier points is taken."""

SHRINK = 0.6
"""Factor that pulls a drawn number towards its default in a space with branches. There, a trial
judges its branch as well, and a poor number would condemn it; in a flat space the search would be
boxed in around the default."""

MAX_WALKS = 12

MORE_CHEAP = 2
"""Factor on the number of points with a fidelity, where they cost a fraction of a full run."""

N_ENDED = 4
"""Minimum number of ended trials, however many others still run: a model of two results only
prefers what is far from both."""


class EarlierStudies(Protocol):
    """Names points that did well in earlier studies; see `ModelSearch`."""

    def winners(self) -> list[Params]:
        """Return the points to try, in this order."""
        ...

    def used(self) -> str:
        """Return the names of the earlier studies."""
        ...


@dataclass(frozen=True, slots=True)
class InitialDesign:
    """Proposes the points of a study until there are enough trials for a model.

    Attributes:
        view: of the study.
        n_start: trials before the model proposes.
        learnable: number of trials that a model can learn from.
        densities: path -> prior density to draw a parameter from.
        past: earlier studies, whose winners are tried early.
        may_extend: whether the design goes on while all results lie on one plateau.
    """

    view: StudyView
    n_start: int
    learnable: Learnable
    densities: Mapping[str, PriorDensity] = field(default_factory=dict)
    past: EarlierStudies | None = None
    may_extend: bool = True

    def is_over(self, n_busy: int) -> bool:
        """Return whether a model can propose while `n_busy` trials still run."""
        can_learn = self.learnable.n_measured >= 2 or self.learnable.n_failed > 0
        if not can_learn:
            return False
        if self._is_full_run_due():
            return True
        n = sum(self.learnable)
        if n < min(N_ENDED, self.n_start) or n + n_busy < self.n_start:
            return False
        return not (self.may_extend and is_plateau(self.view.history))

    def _is_full_run_due(self) -> bool:
        """Return whether cheaper trials have had their share; the model knows the best of them."""
        fidelity = fidelity_levels(self.view.space)
        if fidelity is None or self.learnable.n_measured < 2:
            return False
        trials = [t.params for t in self.view.history if t.params is not None]
        shares = [fidelity.share(params) for params in trials]
        below = sum(s for s in shares if s < 1.0)
        return is_full_run_due(below, sum(s for s in shares if s >= 1.0))

    def proposal(self, number: int, busy: Sequence[Params]) -> Proposal | None:
        """Return the proposal for a trial, `None` once there are enough trials to model.

        Raises:
            InvalidSpace: no point satisfies the constraints of the space.
        """
        view, fixed = self.view, held(self.view, number)
        fidelity = fidelity_levels(view.space)
        if number == 0:
            cheap = {} if fidelity is None else fidelity.first(number)
            point = default_point(view.space, Params({**cheap, **(fixed or {})}))
            if point is not None:
                return Proposal(point, "bayesian", "the default configuration comes first")
        n = sum(self.learnable)
        if self.is_over(len(busy)):
            return None
        ended = [t.params for t in view.history.finished() if t.params is not None]
        before = [*ended, *busy]
        if self.past is not None and not fixed:
            untried = next((w for w in self.past.winners() if w not in before), None)
            if untried is not None:
                why = f"did well in earlier studies: {self.past.used()}"
                return Proposal(untried, "bayesian", why)
        if fidelity is not None:
            fixed = Params({**fidelity.first(number), **(fixed or {})})
        # Densities draw with NumPy.
        rng: Draws = (stream if self.densities else light_stream)(view.seed, number)
        known = known_points(view)
        point = stratified_walk(
            view.space,
            before,
            rng,
            fixed,
            densities=self.densities,
            known=known,
            to_ends=n >= self.n_start,
        )
        what = "follows the priors and " if self.densities else ""
        until = f"{self.n_start} trials have ended ({n} so far)"
        if n >= self.n_start:
            until = f"a result is better than the others ({n} lie on one plateau)"
        why = f"{what}covers the branches until {until}"
        return Proposal(point, "bayesian", why)


def n_initial(space: Space, *, least: int = 6) -> int:
    """Return the number of trials that shows each value of the root switches at least once."""
    parents = {c.parent for p in space for c in p.conditions}
    sizes = [
        len(p.domain.choices)
        for p in space
        if p.path in parents and not p.conditions and isinstance(p.domain, Categorical)
    ]
    if space.target:
        least *= MORE_CHEAP
    return min(MAX_WALKS, max([least, *(n + 1 for n in sizes)]))


def default_point(space: Space, fixed: Params | None) -> Params | None:
    """Return the default point with fixed values kept, `None` if it violates a constraint."""

    def default(p: Parameter, chosen: Mapping[str, Scalar]) -> Scalar:
        return p.domain.default_value()

    point = walk(space, keeping(fixed, default))
    return None if space.violated(point) else point


def stratified_walk(
    space: Space,
    before: Iterable[Mapping[str, Scalar]],
    rng: Draws,
    fixed: Params | None = None,
    *,
    densities: Mapping[str, PriorDensity] | None = None,
    known: Iterable[Mapping[str, Scalar]] = (),
    to_ends: bool = False,
) -> Params:
    """Return a point with the least used choices and numbers far from those of earlier points.

    In a space with branches numbers stay closer to their defaults than uniform draws.

    Args:
        space: to walk through.
        before: points of earlier trials.
        rng: for the draws.
        fixed: values to keep.
        densities: path -> prior density to draw a parameter from.
        known: points known to satisfy the constraints, as starts for a search.
        to_ends: whether to favour the ends of the ranges. In many dimensions hardly a uniform
            point comes near to a corner, and a model without information prefers corners as well.

    Raises:
        InvalidSpace: no point satisfies the constraints.
    """
    points = list(before)
    believed = densities or {}
    spread = SHRINK if any(p.conditions for p in space) else 1.0

    def pick(p: Parameter, chosen: Mapping[str, Scalar]) -> Scalar:
        if p.path in believed:
            return p.domain.from_unit(believed[p.path].draw(in_numpy(rng)))
        used = [point[p.path] for point in points if p.path in point]
        if isinstance(p.domain, Categorical):
            return _least_used(p.domain, used, rng)
        return p.domain.from_unit(_far_place(p, used, rng, spread=spread, to_ends=to_ends))

    for _ in range(PLAIN_DRAWS):
        point = walk(space, keeping(fixed, pick))
        if not space.violated(point):
            return point
    return repaired(space, point, rng, fixed) or sample(space, rng, fixed, known=known)


def _least_used(domain: Categorical, used: list[Scalar], rng: Draws) -> Scalar:
    counts = Counter(map(domain.index, used))
    least = min(counts[i] for i in range(len(domain.choices)))
    rarest = [c for i, c in enumerate(domain.choices) if counts[i] == least]
    return rarest[int(rng.integers(len(rarest)))]


def _far_place(
    p: Parameter, used: list[Scalar], rng: Draws, *, spread: float, to_ends: bool
) -> float:
    draws = [rng.random() for _ in range(N_DRAWS)]
    if isinstance(p.domain, Constant):
        return 0.0
    if to_ends:
        draws = [math.sin(0.5 * math.pi * u) ** 2 for u in draws]  # the arcsine distribution
    centre = p.domain.to_unit(p.domain.default_value())
    draws = [centre + spread * (u - centre) for u in draws]
    known = [p.domain.to_unit(v) for v in used]
    return max(draws, key=lambda u: min((abs(u - k) for k in known), default=0.0))
