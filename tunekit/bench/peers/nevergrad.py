"""Runs Nevergrad on the union of all parameters."""

from __future__ import annotations

import warnings
from collections import defaultdict
from typing import Any

from tunekit.bench.peers.base import Setting, point_key
from tunekit.bench.peers.union import Dim, Union, Worst
from tunekit.errors import InvalidArgument
from tunekit.spaces import Params, Space


class NevergradPeer:
    """Runs one Nevergrad optimiser; failed trials get the worst loss so far.

    Args:
        space: search space; Nevergrad also proposes inactive parameters, which are ignored.
        setting: seed and budget of the run.
        optimizer: a name in `nevergrad.optimizers.registry`.

    Raises:
        InvalidArgument: the optimiser does not exist.
    """

    def __init__(self, space: Space, setting: Setting, *, optimizer: str = "NGOpt") -> None:
        import nevergrad as ng

        if optimizer not in ng.optimizers.registry:
            raise InvalidArgument(
                f'unknown Nevergrad optimizer "{optimizer}"; expected a name in '
                "nevergrad.optimizers.registry."
            )
        self._union = Union(space)
        variables = ng.p.Dict(**{dim.name: _variable(ng, dim) for dim in self._union.dims})
        variables.random_state.seed(setting.seed)
        self._optimizer = ng.optimizers.registry[optimizer](
            variables, budget=setting.n_trials, num_workers=setting.workers
        )
        self._running: dict[str, list[Any]] = defaultdict(list)
        self._worst = Worst()
        if setting.first is not None:
            self._optimizer.suggest(self._union.values(setting.first))

    def ask(self) -> Params:
        """Propose the point of a new candidate."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            candidate = self._optimizer.ask()
        point = self._union.point(candidate.value)
        self._running[point_key(point)].append(candidate)
        return point

    def tell(self, params: Params, loss: float | None) -> None:
        """Complete the oldest pending candidate at a point."""
        candidate = self._running[point_key(params)].pop(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._optimizer.tell(candidate, self._worst.or_loss(loss))


def _variable(ng: Any, dim: Dim) -> Any:
    if dim.kind == "choice":
        return ng.p.Choice(range(int(dim.hi) + 1))
    if dim.log:
        variable = ng.p.Log(lower=dim.lo, upper=dim.hi)
    else:
        variable = ng.p.Scalar(lower=dim.lo, upper=dim.hi)
    return variable.set_integer_casting() if dim.kind == "int" else variable
