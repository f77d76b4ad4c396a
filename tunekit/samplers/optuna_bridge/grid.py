"""Runs through the points of an Optuna `GridSampler`, whose values are given by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tunekit.errors import InvalidParams, InvalidSpace, SpaceExhausted
from tunekit.records import Proposal
from tunekit.samplers.base import StudyView, filled, sample
from tunekit.samplers.grid import place_without_users
from tunekit.samplers.random_streams import stream
from tunekit.spaces import Params, Scalar, Space

if TYPE_CHECKING:
    from optuna.samplers import GridSampler


class OptunaGridObject:
    """Proposes every point of a given Optuna grid once, in the grid's own order; then it ends.

    Args:
        sampler: the Optuna sampler.
    """

    name = "GridSampler"
    may_end = True

    def __init__(self, sampler: GridSampler) -> None:
        given: Any = sampler  # its points are in no public attribute
        self._points = [
            dict(zip(given._param_names, values, strict=True)) for values in given._all_grids
        ]

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return the next point of the grid for each trial number.

        Raises:
            SpaceExhausted: one of the numbers lies beyond the last point.
            InvalidParams, UnknownParameter: the declared space excludes a point.
            InvalidSpace: the declared space has a parameter without values in the grid.
        """
        return [self._propose(view, k, place_without_users(view, k)) for k in numbers]

    def _propose(self, view: StudyView, number: int, index: int) -> Proposal:
        if view.fixed.get(number):
            return Proposal(filled(view, number), self.name, "the user's values, with defaults")
        n = len(self._points)
        if index >= n:
            raise SpaceExhausted(
                f"the grid has {n} points and all have been proposed; the study is complete."
            )
        values = self._points[index]
        is_open = not len(view.space) or view.history.has_domains
        kept = _valid(view.space, values) if is_open else _declared(view.space, values)
        point = sample(view.space, stream(view.seed, number), kept)
        why = f"grid point {index + 1} of {n}"
        return Proposal(point, self.name, why, {"rank": index}, answers=values)


def _valid(space: Space, values: Mapping[str, Scalar]) -> Params:
    """Return the values that a space knows so far."""
    kept = Params()
    for name in values:
        if name in space.by_path:
            try:
                kept[name] = space.by_path[name].domain.validate(values[name], name)
            except InvalidParams:
                continue
    return kept


def _declared(space: Space, values: Mapping[str, Scalar]) -> Params:
    """Return the values by path; every parameter of the space needs one, or is constant."""
    paths = {space.resolve(name): value for name, value in values.items()}
    for p in space:
        if p.path not in paths and p.domain.size > 1:
            what = "infinitely many" if p.domain.size == math.inf else f"{p.domain.size:.0f}"
            raise InvalidSpace(
                f'GridSampler: the parameter "{p.path}" has {what} values, but none in the grid '
                f'{list(values)}; add some, or use sampler="grid".'
            )
    return Params(
        {path: space.by_path[path].domain.validate(v, path) for path, v in paths.items()}
    )
