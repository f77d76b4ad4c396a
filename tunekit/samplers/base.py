"""The sampler contract: a pure function from what is known to what to try next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Protocol

import numpy as np

from tunekit.errors import TunekitError
from tunekit.history import History
from tunekit.records import MetricConstraint, Objective, Proposal
from tunekit.samplers.checked import checked
from tunekit.spaces import Float, Int, Parameter, Params, Picker, Scalar, Space, walk
from tunekit.spaces.feasible import Feasible
from tunekit.threads import one_thread

PLAIN_DRAWS = 32
"""Random points in a row that may break a constraint before feasible ones are looked for."""

MAX_KNOWN = 200
"""Points of a study that are tried as starts where no other way leads to a feasible one."""


@dataclass(frozen=True, slots=True)
class StudyView:
    """All that a sampler may know of a study; it must not change any of it.

    Attributes:
        space: the space as it is now (an open one: as far as it is discovered).
        history: finished and pending trials, with columnar access.
        fixed: trial number -> params that the user enqueued for it and that must be kept.
    """

    space: Space
    objectives: tuple[Objective, ...]
    constraints: tuple[MetricConstraint, ...]
    seed: int
    history: History
    fixed: dict[int, Params]


class Sampler(Protocol):
    """Proposes params. A fresh instance must answer the same: what it caches is only speed.

    One that may raise `SpaceExhausted` has an attribute `may_end = True`: it is then asked
    before numbers are given out, so that none is left without a point.
    """

    name: str

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number, in order.

        A pure function of the view and the numbers: all randomness comes from
        `stream(view.seed, number)`. Every proposal is a valid point of `view.space` that keeps
        `view.fixed[number]` and satisfies the constraints of the space.

        Raises:
            InvalidSpace: the space is one that this sampler cannot handle, in one sentence.
        """
        ...


def suggested(sampler: Sampler, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
    """Return a sampler's proposals, made with one thread; all that asks a sampler asks it here.

    Each is a valid point in canonical form, whoever wrote the sampler.

    Raises:
        InvalidParams: what it gave is not that.
        Whatever `Sampler.suggest` raises.
    """
    with one_thread():
        given = sampler.suggest(view, numbers)
    return checked(given, getattr(sampler, "name", type(sampler).__name__), view, numbers)


def keeping(fixed: Params | None, picker: Picker) -> Picker:
    """Return a picker that answers what is fixed and asks `picker` for the rest.

    A fidelity that is not fixed is left at its target.
    """
    kept = fixed or Params()

    def pick(p: Parameter, chosen: Mapping[str, Scalar]) -> Scalar:
        if p.path in kept:
            return kept[p.path]
        if isinstance(p.domain, Float | Int) and p.domain.fidelity:
            return p.domain.default_value()
        return picker(p, chosen)

    return pick


def at_target(space: Space, fixed: Params | None) -> Params:
    """Return what is fixed, and the fidelity at its target where it is not fixed itself."""
    return Params({**space.target, **(fixed or {})})


def held(view: StudyView, number: int) -> Params | None:
    """Return what the user fixed for a trial, together with the switches that this needs.

    Who fixes only `model.svm.C` wants `model` to be `svm`. Where several values of a switch
    would do, its default is taken if it is one of them, else the first.
    """
    given = view.fixed.get(number)
    if not given:
        return None
    fixed = Params(given)
    wanted = [path for path in given if path in view.space.by_path]  # an open space may grow
    while wanted:
        for condition in view.space.by_path[wanted.pop()].conditions:
            if condition.parent in fixed:
                continue
            default = view.space.by_path[condition.parent].domain.default_value()
            first = min(condition.values, key=repr)
            fixed[condition.parent] = default if default in condition.values else first
            wanted.append(condition.parent)
    return fixed


def sample(
    space: Space,
    rng: np.random.Generator,
    fixed: Params | None = None,
    *,
    known: Iterable[Mapping[str, Scalar]] = (),
) -> Params:
    """Return a uniform point of the space (uniform in each domain's unit interval).

    Args:
        space: to draw from.
        rng: for the draws.
        fixed: values to keep.
        known: points that satisfy the constraints, to start from where nothing else does.

    Raises:
        InvalidSpace: no point was found that satisfies the constraints.
    """
    return next(samples(space, rng, fixed, known=known))


def samples(
    space: Space,
    rng: np.random.Generator,
    fixed: Params | None = None,
    *,
    known: Iterable[Mapping[str, Scalar]] = (),
) -> Iterator[Params]:
    """Yield points as `sample` returns them, without end.

    They are independent while a share of random points satisfies the constraints; where these
    are tight, each comes from the one before (see `Feasible`).

    Raises:
        InvalidSpace: no point was found that satisfies the constraints.
    """

    def draw(p: Parameter, chosen: Mapping[str, Scalar]) -> Scalar:
        return p.domain.from_unit(rng.random())

    picker = keeping(fixed, draw)
    n_left = PLAIN_DRAWS
    while n_left > 0:
        point = walk(space, picker)
        n_left -= 1
        if not space.violated(point):
            n_left = PLAIN_DRAWS
            yield point
    yield from Feasible(space, rng, at_target(space, fixed)).draws(known)


def repaired(
    space: Space, wanted: Params, rng: np.random.Generator, fixed: Params | None = None
) -> Params | None:
    """Return a point with as many of the wanted values as the constraints leave.

    `None` where none was found.
    """
    return Feasible(space, rng, at_target(space, fixed)).near(wanted)


def known_points(view: StudyView) -> Iterator[Params]:
    """Yield the enqueued points, then those of trials, as far as they are points of the space."""
    told = (t.params for t in view.history if t.params is not None)
    for params in islice(chain(view.fixed.values(), told), MAX_KNOWN):
        try:
            yield view.space.complete(params)
        except TunekitError:  # the space was edited, or the rest is not at its defaults
            continue
