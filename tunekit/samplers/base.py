"""The sampler contract: a pure function from a study's history to the next params."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Protocol, cast

from tunekit.errors import InvalidArgument, TunekitError
from tunekit.history import History
from tunekit.records import MetricConstraint, ObjectiveSpec, Proposal, TrialRecord
from tunekit.samplers.checked import checked
from tunekit.samplers.random_streams import Draws, in_numpy, light_stream
from tunekit.samplers.threads import one_thread
from tunekit.spaces import Float, Int, Parameter, Params, Picker, Scalar, Space, walk

if TYPE_CHECKING:
    from tunekit.spaces.feasible import Feasible

PLAIN_DRAWS = 32
"""Consecutive invalid random points after which a constraint search starts."""

MAX_KNOWN = 200
"""Maximum number of a study's points to try as starts of a constraint search."""


PLANNED = "planned"
"""Key in the evidence of a proposal for the planned number of trials that it depends on."""


@dataclass(frozen=True, slots=True)
class StudyView:
    """Everything a sampler may read of a study; it must not modify any of it.

    Attributes:
        space: the current space (of an open space, the discovered part).
        history: finished and pending trials, with columnar access.
        fixed: trial number -> enqueued params, which the proposal must keep.
        planned: final number of trials of the study as its run expects it, `None` if unknown. A
            sampler that uses it writes it as `PLANNED` into the evidence of its proposals, from
            which a replay takes it.
    """

    space: Space
    objectives: tuple[ObjectiveSpec, ...]
    constraints: tuple[MetricConstraint, ...]
    seed: int
    history: History
    fixed: dict[int, Params]
    planned: int | None = None


class Sampler(Protocol):
    """Proposes params. A fresh instance must give the same proposals; caches only save time.

    A sampler may raise `SpaceExhausted` when it has no further point, so it is called before trial
    numbers are assigned: no number is left without a point. One that never raises it may say so by
    the attribute `may_end = False`, which saves a transaction per trial.

    One that asks something outside of the study, such as a language model, says so by
    `asks_outside = True`. It keeps each answer in the evidence of a proposal, and its method
    `replaying(trials)` returns the same sampler with these answers instead of a network.
    """

    name: str

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number, in order.

        A pure function of the view and the numbers: all randomness comes from
        `stream(view.seed, number)`. Every proposal is a valid point of `view.space` that keeps
        `view.fixed[number]` and satisfies the constraints of the space.

        Raises:
            InvalidSpace: this sampler cannot handle the space; the message says why.
        """
        ...


def suggested(sampler: Sampler, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
    """Return a sampler's proposals, computed with one thread; all callers go through here.

    Each proposal is checked and put in canonical form, whoever wrote the sampler.

    Raises:
        InvalidParams: the sampler returned something else.
        Whatever `Sampler.suggest` raises.
    """
    with one_thread():
        given = sampler.suggest(view, numbers)
    return checked(given, getattr(sampler, "name", type(sampler).__name__), view, numbers)


def replaying(sampler: Sampler, trials: Mapping[int, TrialRecord]) -> Sampler:
    """Return a sampler that reads the answers from outside that trials keep, and asks for none."""
    own = getattr(sampler, "replaying", None)
    return sampler if own is None else cast(Sampler, own(trials))


def refuse_asking(sampler: Sampler, name: str) -> None:
    """Refuse a sampler that asks something outside, for one that may drop its proposals.

    Raises:
        InvalidArgument: the answers, and what they cost, would not be stored.
    """
    if getattr(sampler, "asks_outside", False):
        raise InvalidArgument(
            f'{name}: the sampler "{sampler.name}" pays for answers that are stored with its '
            f"proposals, of which {name} drops some; use it alone, or give another sampler."
        )


def keeping(fixed: Params | None, picker: Picker) -> Picker:
    """Return a picker that returns fixed values and asks `picker` for all others.

    A fidelity or scale axis that is not fixed takes its target value.
    """
    kept = dict(fixed or {})  # by path alone: no name is short for another here

    def pick(p: Parameter, chosen: Mapping[str, Scalar]) -> Scalar:
        if p.path in kept:
            return kept[p.path]
        if isinstance(p.domain, Float | Int) and p.domain.has_target:
            return p.domain.default_value()
        return picker(p, chosen)

    return pick


def at_target(space: Space, fixed: Params | None) -> Params:
    """Return the fixed values, with every other axis of the fidelity at its target."""
    return Params({**space.target, **(fixed or {})})


def held(view: StudyView, number: int) -> Params | None:
    """Return the values the user fixed for a trial, with the switches they require.

    Fixing only `model.svm.C` implies that `model` is `svm`. If several values of a switch are
    possible, its default is taken if it is one of them, else the first.
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


def filled(view: StudyView, number: int) -> Params:
    """Return the user's values for a trial with defaults, or random ones if that is invalid.

    Raises:
        InvalidSpace: no point was found that satisfies the constraints.
    """
    fixed = held(view, number)
    point = walk(view.space, keeping(fixed, lambda p, _: p.domain.default_value()))
    if not view.space.violated(point):
        return point
    return sample(view.space, light_stream(view.seed, number), fixed, known=known_points(view))


def sample(
    space: Space,
    rng: Draws,
    fixed: Params | None = None,
    *,
    known: Iterable[Mapping[str, Scalar]] = (),
) -> Params:
    """Return a uniform point of the space (uniform in each domain's unit interval).

    Args:
        space: to draw from.
        rng: for the draws.
        fixed: values to keep.
        known: points known to satisfy the constraints, as starts for a search.

    Raises:
        InvalidSpace: no point was found that satisfies the constraints.
    """
    return next(samples(space, rng, fixed, known=known))


def samples(
    space: Space,
    rng: Draws,
    fixed: Params | None = None,
    *,
    known: Iterable[Mapping[str, Scalar]] = (),
    n: int = 1,
) -> Iterator[Params]:
    """Yield points as `sample` returns them, without end.

    They are independent as long as random points satisfy the constraints often enough. Under
    tight constraints they come from chains (see `Feasible`), of which `n` run side by side.

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
    yield from _feasible(space, rng, fixed).draws(known, n=n)


def repaired(
    space: Space, wanted: Params, rng: Draws, fixed: Params | None = None
) -> Params | None:
    """Return a point that keeps as many of the wanted values as the constraints allow.

    `None` if no point was found.
    """
    return _feasible(space, rng, fixed).near(wanted)


def _feasible(space: Space, rng: Draws, fixed: Params | None) -> Feasible:
    from tunekit.spaces.feasible import Feasible  # loads NumPy, which few spaces need it for

    return Feasible(space, in_numpy(rng), at_target(space, fixed))


def known_points(view: StudyView) -> Iterator[Params]:
    """Yield the enqueued points, then those of trials, that are points of the space."""
    told = (t.params for t in view.history if t.params is not None)
    for params in islice(chain(view.fixed.values(), told), MAX_KNOWN):
        try:
            yield view.space.complete(params)
        except TunekitError:  # the space was edited, or the rest is not at its defaults
            continue
