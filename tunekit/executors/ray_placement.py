"""From what one trial needs and what a Ray cluster has to how many fit, and why one does not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tunekit.errors import InvalidArgument

Amounts = Mapping[str, float]
_RAY_NAMES = {"cpu": "CPU", "gpu": "GPU"}


def checked_need(resources: Amounts) -> dict[str, float]:
    """Return what one trial needs, by tunekit's names; a trial without "cpu" needs one.

    Raises:
        InvalidArgument: an amount that no cluster can deal.
    """
    for name, amount in resources.items():
        if name.lower() in ("memory", "object_store_memory"):
            raise InvalidArgument(
                f'resource "{name}": Ray books memory but does not hold a trial to it; give '
                "memory_mib, which does."
            )
        if name.lower() in _RAY_NAMES and name not in _RAY_NAMES:
            raise InvalidArgument(f'resource "{name}": write it "{name.lower()}".')
        if amount > 1 and amount != int(amount):
            raise InvalidArgument(
                f"resource {name}={amount:g}, expected a whole number, or a fraction below 1 "
                "that trials share."
            )
    return {"cpu": 1.0, **resources}


def ray_options(need: Amounts) -> dict[str, Any]:
    """Return the options of a Ray actor that holds these resources."""
    custom = {name: amount for name, amount in need.items() if name not in _RAY_NAMES}
    return {"num_cpus": need["cpu"], "num_gpus": need.get("gpu", 0), "resources": custom}


def tunekit_names(resources: Amounts) -> dict[str, float]:
    """Return the resources of a node by tunekit's names, without those Ray adds itself."""
    ours = {ray: name for name, ray in _RAY_NAMES.items()}
    return {ours.get(k, k): v for k, v in resources.items() if not k.startswith("node:")}


def capacity(need: Amounts, nodes: Sequence[Amounts]) -> int:
    """Return how many trials the nodes could hold at once if nobody else used them."""
    return sum(_fitting(need, node) for node in nodes)


def shortage(need: Amounts, nodes: Sequence[Amounts], free: Amounts) -> str:
    """Return the sentence that says why a trial that waits for a place has none.

    Args:
        need: of one trial.
        nodes: what each node has in all.
        free: what is free on all nodes together.
    """
    for name, amount in need.items():
        largest = max((node.get(name, 0.0) for node in nodes), default=0.0)
        total = sum(node.get(name, 0.0) for node in nodes)
        if amount > total:
            return f"a trial needs {amount:g} {name}; the cluster has {total:g}"
        if amount > largest:
            return (
                f"a trial needs {amount:g} {name} on one node; the largest node has {largest:g} "
                f"of the cluster's {total:g}"
            )
    wanted = ", ".join(f"{amount:g} {name}" for name, amount in need.items())
    if not capacity(need, nodes):
        return f"a trial needs {wanted} on one node; no node has all of that"
    for name, amount in need.items():
        if free.get(name, 0.0) < amount:
            total = sum(node.get(name, 0.0) for node in nodes)
            return (
                f"a trial needs {amount:g} {name}; of the cluster's {total:g} only "
                f"{free.get(name, 0.0):g} is free"
            )
    return f"a trial needs {wanted}; the cluster has that free and starts the worker"


def _fitting(need: Amounts, node: Amounts) -> int:
    return int(min(_times(name, a, node.get(name, 0.0)) for name, a in need.items()))


def _times(name: str, amount: float, total: float) -> float:
    # A fraction is of one device: 0.4 fits twice on each, not five times on two of them.
    if name == "gpu" and amount < 1:
        return math.floor(1 / amount + 1e-9) * math.floor(total + 1e-9)
    return math.floor(total / amount + 1e-9)
