"""The sampler contract: a pure function from what is known to what to try next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tunekit.errors import InvalidSpace
from tunekit.history import History
from tunekit.records import MetricConstraint, Objective, Proposal
from tunekit.spaces import Float, Int, Parameter, Params, Picker, Scalar, Space, walk
from tunekit.threads import one_thread

MAX_TRIES = 1000


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
    """Proposes params. A fresh instance must answer the same: what it caches is only speed."""

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

    Raises:
        Whatever `Sampler.suggest` raises.
    """
    with one_thread():
        return sampler.suggest(view, numbers)


def stream(seed: int, number: int) -> np.random.Generator:
    """Return the random generator of one trial: the same in every process and on every day."""
    mask = (1 << 64) - 1
    return np.random.Generator(np.random.Philox(key=np.array([seed & mask, number], np.uint64)))


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


def sample(space: Space, rng: np.random.Generator, fixed: Params | None = None) -> Params:
    """Return a uniform point of the space (uniform in each domain's unit interval).

    Points that break a constraint are drawn again.

    Raises:
        InvalidSpace: no point was found that satisfies the constraints.
    """

    def draw(p: Parameter, chosen: Mapping[str, Scalar]) -> Scalar:
        return p.domain.from_unit(rng.random())

    picker = keeping(fixed, draw)
    for _ in range(MAX_TRIES):
        point = walk(space, picker)
        if not space.violated(point):
            return point
    raise InvalidSpace(
        f"{MAX_TRIES} random points all violate a constraint "
        f'(such as "{space.violated(point)[0]}"); loosen it or declare the space tighter.'
    )
