"""Domains and values as Optuna shows them; importing this module imports Optuna."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from tunekit.checks import is_number
from tunekit.records import TrialRecord
from tunekit.samplers.optuna_bridge.codec import SPECIAL, number_distribution
from tunekit.spaces import Categorical, Constant, Float, Int, Scalar, Space


class Distributions:
    """The distributions of the params of trials, each domain's made once.

    Args:
        spaces: by version; of a define-by-run study the discovered one, as version 1.
    """

    def __init__(self, spaces: Mapping[int, Space]) -> None:
        self._spaces = spaces
        self._made: dict[tuple[int, str], tuple[BaseDistribution, tuple[Scalar, ...]]] = {}

    def of(self, trial: TrialRecord) -> dict[str, BaseDistribution]:
        """Return path -> distribution, which holds the trial's value.

        A value that its domain does not hold any more widens it; a special value is the choice
        among the special ones.
        """
        out = {}
        for path, value in (trial.params or {}).items():
            ranged, special = self._domain(trial.space_version, path)
            is_special = _is_among(value, special)
            out[path] = CategoricalDistribution(special) if is_special else _with(ranged, value)
        return out

    def shown(self, trial: TrialRecord) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
        """Return params and distributions of one kind a name in all trials.

        A special value goes by the name of its path and "#special".
        """
        params: dict[str, Any] = {}
        found: dict[str, BaseDistribution] = {}
        values: Mapping[str, Scalar] = trial.params or {}
        for path, distribution in self.of(trial).items():
            _, special = self._domain(trial.space_version, path)
            name = path + SPECIAL if _is_among(values[path], special) else path
            params[name], found[name] = values[path], distribution
        return params, found

    def _domain(self, version: int, path: str) -> tuple[BaseDistribution, tuple[Scalar, ...]]:
        key = version, path
        if key not in self._made:
            space = self._spaces.get(version) or self._spaces.get(1)
            known = space is not None and path in space.by_path
            domain: object = space.by_path[path].domain if known and space is not None else None
            self._made[key] = _distribution(domain), tuple(getattr(domain, "special", ()))
        return self._made[key]


def _distribution(domain: object) -> BaseDistribution:
    if isinstance(domain, Float | Int):
        return number_distribution(domain)
    if isinstance(domain, Categorical):
        return CategoricalDistribution(domain.choices)
    if isinstance(domain, Constant):
        return CategoricalDistribution((domain.value,))
    return CategoricalDistribution((None,))  # of a parameter that no space knows; see `_with`


def _with(d: BaseDistribution, value: Scalar) -> BaseDistribution:
    """Return the distribution, widened if it does not contain the value."""
    try:
        if d._contains(d.to_internal_repr(value)):
            return d
    except (ValueError, TypeError):
        pass
    if is_number(value) and isinstance(d, FloatDistribution | IntDistribution):
        ends = (min(d.low, value), max(d.high, value))
        log = d.log and ends[0] > 0
        if isinstance(d, IntDistribution) and isinstance(value, int):
            return IntDistribution(int(ends[0]), int(ends[1]), log=log)
        return FloatDistribution(float(ends[0]), float(ends[1]), log=log)
    known = d.choices if isinstance(d, CategoricalDistribution) else ()
    return CategoricalDistribution((*known, value))


def _is_among(value: Scalar, special: Iterable[Scalar]) -> bool:
    return any(type(value) is type(s) and value == s for s in special)
