"""Finds choices that no trial has taken although their switch has often been active.

A model that has seen two of three choices do equally well expects the same of the third, and is
sure of it: `linear` beside two kernels with parameters of their own would never be tried.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunekit.errors import InvalidSpace
from tunekit.samplers.base import sample
from tunekit.spaces import Categorical, Parameter, Params, Scalar, Space

EVERY = 3
"""At most one in so many trials goes to an untried choice."""

LAST = 200
"""Last trial that may; the work of finding one grows with the trials."""


def untried_choice(space: Space, points: Sequence[Params]) -> Params | None:
    """Return values that lead to an untried choice, `None` if every choice has had its trial.

    A switch is due once it has been active in as many trials as it has choices. The one that is
    active in the best trial comes first, with the switches above it as in that trial.

    Args:
        space: of the points.
        points: of all trials, the best first.
    """
    parents = {c.parent for p in space for c in p.conditions}
    switches = [p for p in space if p.path in parents and isinstance(p.domain, Categorical)]
    due = {p: choice for p in switches if (choice := _missing(p, points)) is not None}
    for best in points:
        for p, choice in due.items():
            if p.path in best:
                return Params({**{c.parent: best[c.parent] for c in p.conditions}, p.path: choice})
    return None


def _missing(switch: Parameter, points: Sequence[Params]) -> Scalar | None:
    """Return a choice that is due, `None` if all have had a trial or trials were too few."""
    assert isinstance(switch.domain, Categorical)
    taken = [switch.domain.index(x[switch.path]) for x in points if switch.path in x]
    choices = switch.domain.choices
    if len(taken) < len(choices):
        return None
    return next((c for i, c in enumerate(choices) if i not in set(taken)), None)


def is_possible(space: Space, values: Params, rng: np.random.Generator) -> bool:
    """Return whether some point of the space has these values."""
    if not space.compiled_constraints:
        return True
    try:
        sample(space, rng, values)
    except InvalidSpace:
        return False
    return True


def why_untried(values: Params) -> str:
    """Return the reason for a trial with the values of `untried_choice`."""
    path, choice = list(values.items())[-1]
    return f"no trial has had {path} = {choice!r} yet, and its switch has often been active"
