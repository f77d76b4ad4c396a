"""Runs Hyperopt on the tree, written as nested `hp.choice` expressions."""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from tunekit.bench.peers.base import Setting, point_key
from tunekit.bench.peers.union import SPECIAL, Dim, Union, encode
from tunekit.samplers.random_streams import stream
from tunekit.spaces import Params, Space


class HyperoptPeer:
    """Runs Hyperopt's TPE.

    Hyperopt nests only under choices, so an integer with dependent parameters becomes a choice
    between its values. A parameter with several conditions is nested under the last one.

    Args:
        space: search space.
        setting: seed and budget of the run.
        options: keyword arguments of `hyperopt.tpe.suggest`.
    """

    def __init__(self, space: Space, setting: Setting, **options: Any) -> None:
        import hyperopt

        self._union = Union(space)
        self._nested = _Nested(self._union)
        self._domain = hyperopt.Domain(lambda point: 0.0, self._nested.expression())
        self._trials = hyperopt.Trials()
        self._seed = setting.seed
        self._options = options
        self._running: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._first = setting.first

    def ask(self) -> Params:
        """Propose the point of a new trial."""
        import hyperopt

        number = self._trials.new_trial_ids(1)[0]
        self._trials.refresh()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seed = int(stream(self._seed, number).integers(2**31))
            if self._first is None:
                (doc,) = hyperopt.tpe.suggest(
                    [number], self._domain, self._trials, seed, **self._options
                )
            else:
                (doc,) = hyperopt.rand.suggest([number], self._domain, self._trials, seed)
                doc["misc"]["vals"] = self._nested.values(self._first, doc["misc"]["vals"])
                doc["misc"]["idxs"] = {
                    name: [number] if found else [] for name, found in doc["misc"]["vals"].items()
                }
                self._first = None
        doc["state"] = hyperopt.JOB_STATE_RUNNING
        self._trials.insert_trial_docs([doc])
        self._trials.refresh()
        point = self._union.point(self._nested.chosen(doc["misc"]["vals"]))
        self._running[point_key(point)].append({"tid": number})
        return point

    def tell(self, params: Params, loss: float | None) -> None:
        """Complete the oldest running trial at a point."""
        import hyperopt

        number = self._running[point_key(params)].pop(0)["tid"]
        doc = next(t for t in self._trials.trials if t["tid"] == number)
        doc["state"] = hyperopt.JOB_STATE_DONE
        if loss is None:
            doc["result"] = {"status": hyperopt.STATUS_FAIL}
        else:
            doc["result"] = {"status": hyperopt.STATUS_OK, "loss": loss}
        self._trials.refresh()


class _Nested:
    """Builds nested expressions from the dims of a union, one node per dim even if shared."""

    def __init__(self, union: Union) -> None:
        self._union = union
        self._dims = {dim.name: dim for dim in union.dims}
        self._children: dict[str, list[tuple[frozenset[Any], str]]] = defaultdict(list)
        for p in union.space:
            if p.conditions:
                last = p.conditions[-1]
                self._children[last.parent].append((last.values, p.path))
        self._made: dict[str, Any] = {}

    def expression(self) -> dict[str, Any]:
        """Return the expression of the whole space."""
        roots = [p.path for p in self._union.space if not p.conditions]
        return {path: self._node(path) for path in roots}

    def chosen(self, vals: Mapping[str, list[Any]]) -> dict[str, float]:
        """Return the value of each drawn dim."""
        found = {name: float(drawn[0]) for name, drawn in vals.items() if drawn}
        return {
            name: value + self._dims[name].lo if self._is_switch(name) else value
            for name, value in found.items()
        }

    def values(self, params: Params, like: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Return a point in Hyperopt's format, with the same names as `like`."""
        told = self._union.values(params)
        active = {name for name in told if name.removesuffix(SPECIAL) in params}
        return {
            name: [told[name] - (self._dims[name].lo if self._is_switch(name) else 0)]
            if name in active
            else []
            for name in like
        }

    def _is_switch(self, name: str) -> bool:
        return self._dims[name].kind == "choice" or name in self._children

    def _node(self, path: str) -> Any:
        if path not in self._made:
            self._made[path] = self._make(path)
        return self._made[path]

    def _make(self, path: str) -> Any:
        from hyperopt import hp

        special = self._dims.get(path + SPECIAL)
        dim = self._dims.get(path)
        children = self._children.get(path, [])
        own: Any = None
        if dim is None:  # a single value: its children are always active with it
            own = {child: self._node(child) for _, child in children}
        elif children or dim.kind == "choice":
            own = hp.choice(path, [self._branch(path, k) for k in _positions(dim)])
        else:
            own = _leaf(dim)
        if special is None:
            return own
        return hp.choice(special.name, [*range(int(special.hi)), own])

    def _branch(self, path: str, position: int) -> dict[str, Any]:
        """Return the parameters that a position of a switch activates."""
        p = self._union.space.by_path[path]
        values = {v for group, _ in self._children[path] for v in group}
        here = next((v for v in values if encode(p, v)[path] == position), None)
        opened = [child for group, child in self._children[path] if here in group]
        return {"position": position, **{child: self._node(child) for child in opened}}


def _positions(dim: Dim) -> range:
    return range(int(dim.lo), int(dim.hi) + 1)


def _leaf(dim: Dim) -> Any:
    from hyperopt import hp

    if dim.kind == "float" and dim.log:
        return hp.loguniform(dim.name, math.log(dim.lo), math.log(dim.hi))
    if dim.kind == "float":
        return hp.uniform(dim.name, dim.lo, dim.hi)
    if dim.log:
        return hp.qloguniform(dim.name, math.log(dim.lo), math.log(dim.hi), 1)
    return hp.uniformint(dim.name, int(dim.lo), int(dim.hi))
