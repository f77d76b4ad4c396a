"""The only traversal: visits the decisions of a space in order and asks a picker at each.

A random sampler, replayed params, tree search and an Optuna trial are all pickers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from tunekit.spaces.constant import Constant
from tunekit.spaces.domains import Scalar
from tunekit.spaces.parameters import Parameter
from tunekit.spaces.point import Params
from tunekit.spaces.tree import Space

Picker: TypeAlias = Callable[[Parameter, Mapping[str, Scalar]], Scalar]
"""Maps (active parameter, values chosen above it) to the parameter's value."""


def walk(space: Space, picker: Picker) -> Params:
    """Return the point of a picker's answers, without asking for constants.

    The picker must return values of the parameter's domain; these are not checked.
    """
    chosen: dict[str, Scalar] = {}  # by path alone: no name is short for another here
    for parameter in space.parameters:
        if parameter.is_active(chosen):
            domain = parameter.domain
            chosen[parameter.path] = (
                domain.value if isinstance(domain, Constant) else picker(parameter, chosen)
            )
    return Params(chosen, space)
