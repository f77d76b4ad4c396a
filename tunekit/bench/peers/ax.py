"""Runs Ax on the union of all parameters."""

from __future__ import annotations

import warnings
from collections import defaultdict
from typing import Any

from tunekit.bench.peers.base import Setting, point_key
from tunekit.bench.peers.union import Dim, Union
from tunekit.spaces import Params, Space

METRIC = "loss"


class AxPeer:
    """Runs one Ax experiment.

    Args:
        space: search space; Ax also proposes inactive parameters, which are ignored.
        setting: seed and budget of the run.
        options: keyword arguments of `Client.configure_generation_strategy`.
    """

    def __init__(self, space: Space, setting: Setting, **options: Any) -> None:
        import torch
        from ax.api.client import Client

        torch.manual_seed(setting.seed)
        self._union = Union(space)
        self._names = {f"x{i}": dim.name for i, dim in enumerate(self._union.dims)}
        self._client = Client()
        self._running: dict[str, list[int]] = defaultdict(list)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._client.configure_experiment(
                [_parameter(f"x{i}", dim) for i, dim in enumerate(self._union.dims)]
            )
            self._client.configure_optimization(f"-{METRIC}")
            self._client.configure_generation_strategy(
                initialization_random_seed=setting.seed, **options
            )
        self._first = setting.first

    def ask(self) -> Params:
        """Propose the point of a new trial."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            index, point = self._next()
        self._running[point_key(point)].append(index)
        return point

    def _next(self) -> tuple[int, Params]:
        if self._first is None:
            ((index, values),) = self._client.get_next_trials(max_trials=1).items()
            named = {self._names[key]: float(value) for key, value in values.items()}
            return index, self._union.point(named)
        point, self._first = self._first, None
        told = self._union.values(point)
        kinds = {dim.name: float if dim.kind == "float" else int for dim in self._union.dims}
        values = {key: kinds[name](told[name]) for key, name in self._names.items()}
        return self._client.attach_trial(values), point

    def tell(self, params: Params, loss: float | None) -> None:
        """Complete the oldest running trial at a point."""
        index = self._running[point_key(params)].pop(0)
        if loss is None:
            self._client.mark_trial_failed(index)
        else:
            self._client.complete_trial(index, raw_data={METRIC: loss})


def _parameter(name: str, dim: Dim) -> Any:
    from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

    if dim.kind == "choice":
        values = list(range(int(dim.hi) + 1))
        return ChoiceParameterConfig(name, values, "int", is_ordered=False)
    as_kind = float if dim.kind == "float" else int
    return RangeParameterConfig(
        name,
        (as_kind(dim.lo), as_kind(dim.hi)),
        dim.kind,
        scaling="log" if dim.log else "linear",
    )
