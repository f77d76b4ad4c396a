"""Runs SMAC3 on the tree, with the space's conditions expressed in ConfigSpace."""

from __future__ import annotations

import warnings
import weakref
from collections import defaultdict
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from tunekit.bench.peers.base import Setting, point_key
from tunekit.bench.peers.union import SPECIAL, Dim, Union, Worst, encode
from tunekit.errors import InvalidSpace
from tunekit.spaces import Params, Space


class SmacPeer:
    """Runs one `HyperparameterOptimizationFacade`; failures count as crashes at the worst loss.

    Args:
        space: search space.
        setting: seed and budget of the run; SMAC's initial design depends on `n_trials`.
        options: keyword arguments of the facade.

    Raises:
        InvalidSpace: a condition depends on a parameter with special values.
    """

    def __init__(self, space: Space, setting: Setting, **options: Any) -> None:
        from smac import HyperparameterOptimizationFacade as Facade
        from smac import Scenario

        self._union = Union(space)
        self._configs = _config_space(self._union, setting.seed)
        folder = mkdtemp(prefix="tunekit-smac-")
        weakref.finalize(self, rmtree, folder, ignore_errors=True)
        scenario = Scenario(
            self._configs,
            deterministic=True,
            n_trials=setting.n_trials,
            seed=setting.seed,
            output_directory=Path(folder),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._facade = Facade(
                scenario,
                lambda config, seed=0: 0.0,
                overwrite=True,
                logging_level=False,
                **options,
            )
        self._running: dict[str, list[Any]] = defaultdict(list)
        self._worst = Worst()
        self._first = setting.first

    def ask(self) -> Params:
        """Propose the point of a new trial."""
        from smac.runhistory.dataclasses import TrialInfo

        if self._first is not None:
            info = TrialInfo(self._configs.get_default_configuration(), seed=0)
            self._first = None
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                info = self._facade.ask()
        point = self._union.point(dict(info.config))
        self._running[point_key(point)].append(info)
        return point

    def tell(self, params: Params, loss: float | None) -> None:
        """Complete the oldest running trial at a point."""
        from smac.runhistory.dataclasses import TrialValue
        from smac.runhistory.enumerations import StatusType

        status = StatusType.CRASHED if loss is None else StatusType.SUCCESS
        value = TrialValue(cost=self._worst.or_loss(loss), status=status)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._facade.tell(self._running[point_key(params)].pop(0), value)


def _config_space(union: Union, seed: int) -> Any:
    from ConfigSpace import AndConjunction, ConfigurationSpace, InCondition

    found = ConfigurationSpace(seed=seed)
    dims = {dim.name: dim for dim in union.dims}
    found.add([_hyperparameter(dim) for dim in union.dims])
    for name in dims:
        conditions = [
            InCondition(found[name], found[parent], values)
            for parent, values in _conditions(union, name, dims)
        ]
        if len(conditions) > 1:
            found.add(AndConjunction(*conditions))
        elif conditions:
            found.add(conditions[0])
    return found


def _conditions(union: Union, name: str, dims: dict[str, Dim]) -> list[tuple[str, list[int]]]:
    """Return the dims that activate a dim, each with its activating values."""
    path = name.removesuffix(SPECIAL)
    found = []
    if path == name and path + SPECIAL in dims:
        found.append((path + SPECIAL, [int(dims[path + SPECIAL].hi)]))
    for condition in union.space.by_path[path].conditions:
        if condition.parent + SPECIAL in dims:
            raise InvalidSpace(
                f'"{path}" depends on "{condition.parent}", which has special values; SMAC does '
                "not support such conditions: choose another peer or remove the special values."
            )
        if condition.parent in dims:  # a parent with a single value has no dim
            parent = union.space.by_path[condition.parent]
            positions = {int(encode(parent, value)[parent.path]) for value in condition.values}
            found.append((condition.parent, sorted(positions)))
    return found


def _hyperparameter(dim: Dim) -> Any:
    from ConfigSpace import (
        CategoricalHyperparameter,
        UniformFloatHyperparameter,
        UniformIntegerHyperparameter,
    )

    if dim.kind == "choice":
        choices = list(range(int(dim.hi) + 1))
        return CategoricalHyperparameter(dim.name, choices, default_value=int(dim.default))
    if dim.kind == "int":
        return UniformIntegerHyperparameter(
            dim.name, int(dim.lo), int(dim.hi), log=dim.log, default_value=int(dim.default)
        )
    return UniformFloatHyperparameter(
        dim.name, dim.lo, dim.hi, log=dim.log, default_value=dim.default
    )
