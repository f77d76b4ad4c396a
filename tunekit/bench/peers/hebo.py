"""Runs HEBO on the union of all parameters."""

from __future__ import annotations

import warnings
from collections import defaultdict
from typing import Any

from tunekit.bench.peers.base import Setting, point_key
from tunekit.bench.peers.union import Dim, Union, Worst
from tunekit.spaces import Params, Space


class HeboPeer:
    """Runs one HEBO optimiser, which ignores pending trials; failures get the worst loss so far.

    Args:
        space: search space; HEBO also proposes inactive parameters, which are ignored.
        setting: seed and budget of the run.
        options: keyword arguments of `hebo.optimizers.hebo.HEBO`.
    """

    def __init__(self, space: Space, setting: Setting, **options: Any) -> None:
        import numpy as np
        import torch
        from hebo.design_space.design_space import DesignSpace
        from hebo.optimizers.hebo import HEBO

        np.random.seed(setting.seed)
        torch.manual_seed(setting.seed)
        self._union = Union(space)
        design = DesignSpace().parse([_variable(dim) for dim in self._union.dims])
        self._optimizer = HEBO(design, scramble_seed=setting.seed, **options)
        self._running: dict[str, list[Any]] = defaultdict(list)
        self._worst = Worst()
        self._first = setting.first

    def ask(self) -> Params:
        """Propose the point of a new suggestion."""
        import pandas as pd

        if self._first is not None:
            suggestion = pd.DataFrame([self._union.values(self._first)])
            self._first = None
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                suggestion = self._optimizer.suggest(n_suggestions=1)
        point = self._union.point({d.name: suggestion[d.name].iloc[0] for d in self._union.dims})
        self._running[point_key(point)].append(suggestion)
        return point

    def tell(self, params: Params, loss: float | None) -> None:
        """Complete the oldest pending suggestion at a point."""
        import numpy as np

        suggestion = self._running[point_key(params)].pop(0)
        self._optimizer.observe(suggestion, np.array([[self._worst.or_loss(loss)]]))


def _variable(dim: Dim) -> dict[str, Any]:
    if dim.kind == "choice":
        return {"name": dim.name, "type": "cat", "categories": list(range(int(dim.hi) + 1))}
    kind = {
        ("float", False): "num",
        ("float", True): "pow",
        ("int", False): "int",
        ("int", True): "pow_int",
    }
    return {"name": dim.name, "type": kind[dim.kind, dim.log], "lb": dim.lo, "ub": dim.hi}
