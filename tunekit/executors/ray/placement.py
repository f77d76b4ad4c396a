"""Computes how many trials fit on a Ray cluster, and explains why one does not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from tunekit.checks import check_whole, is_number
from tunekit.errors import InvalidArgument

Amounts = Mapping[str, float]
Strategy: TypeAlias = Literal["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"]
"""Ray's strategies to place one trial's processes on nodes: together or apart, if possible or
always (`STRICT_`)."""

_RAY_NAMES = {"cpu": "CPU", "gpu": "GPU"}


@dataclass(frozen=True, slots=True)
class Group:
    """The number of places of one trial, each with a process's resources, and their strategy."""

    processes: int = 1
    strategy: Strategy = "PACK"


ALONE = Group()


def checked_need(resources: Amounts) -> dict[str, float]:
    """Return what one trial needs, by tunekit's names; a trial without "cpu" needs one.

    Raises:
        InvalidArgument: no cluster can assign such an amount.
    """
    for name, amount in resources.items():
        if name.lower() in ("memory", "object_store_memory"):
            raise InvalidArgument(
                f'resource "{name}": Ray books memory but does not hold a trial to it; give '
                "memory_mib, which does."
            )
        if name.lower() in _RAY_NAMES and name not in _RAY_NAMES:
            raise InvalidArgument(f'resource "{name}": write it "{name.lower()}".')
        if not is_number(amount) or not math.isfinite(amount) or amount <= 0:
            raise InvalidArgument(f"resource {name}={amount!r}, expected a number above 0.")
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


def bundle(need: Amounts) -> dict[str, float]:
    """Return the resources of one place of a Ray placement group, by Ray's names."""
    return {_RAY_NAMES.get(name, name): amount for name, amount in need.items()}


def checked_group(processes: int, strategy: str) -> Group:
    """Return the number of places of one trial, and their strategy.

    Raises:
        InvalidArgument: `processes` is below 1, or Ray does not have the strategy.
    """
    check_whole(processes, "processes", low=1)
    for known in get_args(Strategy):
        if strategy == known:
            return Group(processes, known)
    names = ", ".join(get_args(Strategy))
    raise InvalidArgument(f"strategy={strategy!r}, expected one of Ray's: {names}.")


def tunekit_names(resources: Amounts) -> dict[str, float]:
    """Return the resources of a node by tunekit's names, without those Ray adds itself."""
    ours = {ray: name for name, ray in _RAY_NAMES.items()}
    return {ours.get(k, k): v for k, v in resources.items() if not k.startswith("node:")}


def capacity(need: Amounts, nodes: Sequence[Amounts], group: Group = ALONE) -> int:
    """Return how many trials the otherwise unused nodes could hold at once.

    Args:
        need: of one process.
        nodes: what each node has in all.
        group: of the processes of a trial.
    """
    room, n = [_fitting(need, node) for node in nodes], group.processes
    if group.strategy == "STRICT_PACK":
        return sum(r // n for r in room)
    trials = sum(room) // n
    if group.strategy == "STRICT_SPREAD":
        # As many trials as nodes can give each of them at most one place.
        while trials * n > sum(min(r, trials) for r in room):
            trials -= 1
    return trials


def shortage(need: Amounts, nodes: Sequence[Amounts], free: Amounts, group: Group = ALONE) -> str:
    """Return in one sentence why a waiting trial has no place.

    Args:
        need: of one process.
        nodes: what each node has in all.
        free: what is free on all nodes together.
        group: of the processes of a trial.
    """
    n = group.processes
    times, lie = (f"{n} x ", f" ({group.strategy})") if n > 1 else ("", "")
    totals = {name: sum(node.get(name, 0.0) for node in nodes) for name in need}
    for name, amount in need.items():
        largest = max((node.get(name, 0.0) for node in nodes), default=0.0)
        told, total = f"a trial needs {times}{amount:g} {name}", totals[name]
        if n * amount > total:
            return f"{told}{lie}; the cluster has {total:g}"
        if amount > largest:
            return (
                f"{told} on one node; the largest node has {largest:g} of the cluster's {total:g}"
            )
    wanted = ", ".join(f"{amount:g} {name}" for name, amount in need.items())
    wanted = f"a trial needs {times}({wanted}){lie}" if n > 1 else f"a trial needs {wanted}"
    if not capacity(need, nodes):
        return f"{wanted} on one node; no node has all of that"
    if not capacity(need, nodes, group):
        room = [r for node in nodes if (r := _fitting(need, node))]
        return f"{wanted}; the nodes have room for {', '.join(map(str, room))} of these"
    for name, amount in need.items():
        if free.get(name, 0.0) < n * amount:
            return (
                f"a trial needs {times}{amount:g} {name}{lie}; of the cluster's {totals[name]:g} "
                f"only {free.get(name, 0.0):g} is free"
            )
    return f"{wanted}; the cluster has that free and starts the worker"


def _fitting(need: Amounts, node: Amounts) -> int:
    return int(min(_times(name, a, node.get(name, 0.0)) for name, a in need.items()))


def _times(name: str, amount: float, total: float) -> float:
    # A fraction is of one device: 0.4 fits twice on each, not five times on two of them.
    if name == "gpu" and amount < 1:
        return math.floor(1 / amount + 1e-9) * math.floor(total + 1e-9)
    return math.floor(total / amount + 1e-9)
