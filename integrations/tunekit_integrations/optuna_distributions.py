"""The parameters of a tree as the distributions that an Optuna objective asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial

from tunekit.errors import UnknownParameter
from tunekit.spaces import Categorical, Float, Int, Params, Scalar, Space
from tunekit.spaces.domains import Domain


def distributions_of(
    space: Space, params: Params, trials: Sequence[FrozenTrial]
) -> dict[str, tuple[Scalar, BaseDistribution]]:
    """Return value and distribution of each parameter of a point, by path and by short name.

    Optuna compares the choices of a categorical in their order; where earlier trials have asked
    for the same ones in another order, theirs is taken.

    Args:
        space: the tree.
        params: a point of it.
        trials: what was asked before.
    """
    asked = {
        name: d
        for t in trials
        for name, d in t.distributions.items()
        if isinstance(d, CategoricalDistribution)
    }
    found: dict[str, tuple[Scalar, BaseDistribution]] = {}
    for path, value in params.items():
        for name in {path, path.rpartition(".")[2]}:
            if name == path or _is_short_for(space, name, path):
                found[name] = value, _distribution(space.by_path[path].domain, asked.get(name))
    return found


def _is_short_for(space: Space, name: str, path: str) -> bool:
    try:
        return space.resolve(name) == path
    except UnknownParameter:
        return False


def _distribution(domain: Domain, asked: CategoricalDistribution | None) -> BaseDistribution:
    if isinstance(domain, Float):
        return FloatDistribution(domain.lo, domain.hi, log=domain.log, step=domain.step)
    if isinstance(domain, Int):
        step = int(domain.step or 1)
        return IntDistribution(int(domain.lo), int(domain.hi), log=domain.log, step=step)
    choices: Any = domain.choices if isinstance(domain, Categorical) else (domain.default_value(),)
    if asked is not None and _same(asked.choices, choices):
        return asked
    return CategoricalDistribution(choices)


def _same(a: Sequence[Any], b: Sequence[Any]) -> bool:
    return sorted(map(repr, a)) == sorted(map(repr, b))
