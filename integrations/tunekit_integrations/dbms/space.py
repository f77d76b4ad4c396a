"""Makes a search space from a knob catalogue for one server."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from tunekit.errors import InvalidArgument, InvalidParams, did_you_mean
from tunekit.spaces.serialize import FORMAT, domain_from_dict, space_from_dict
from tunekit.spaces.tree import Space
from tunekit_integrations.dbms.catalogue import UNITS, Catalogue, Knob, amount
from tunekit_integrations.dbms.constraints import constraints_between
from tunekit_integrations.dbms.records import ApplyMode, InForce, Machine, Value


@dataclass(frozen=True, slots=True)
class KnobSpace:
    """The knobs of one server that are searched.

    Attributes:
        space: whose default point is what is in force.
        left_out: knob of the catalogue -> why it is not searched.
    """

    space: Space
    left_out: Mapping[str, str]


def space_for(
    catalogue: Catalogue,
    in_force: Mapping[str, InForce],
    *,
    machine: Machine,
    clients: int,
    only: Collection[str] = (),
    opened: Collection[str] = (),
    max_tier: int = 1,
    may_restart: bool = True,
) -> KnobSpace:
    """Return the space of a server's knobs.

    The value in force is the default of each knob, exactly, even where the catalogue would not
    try it. Ranges end where the server's own do.

    Args:
        catalogue: of the system.
        in_force: the knobs that the server has, as it has them.
        machine: to which ranges are relative.
        clients: sessions at once, which share memory.
        only: knobs to search, of any tier; all up to `max_tier` if empty.
        opened: durability knobs that the user opens by name.
        max_tier: up to which knobs are searched.
        may_restart: whether knobs that take a restart are searched.

    Raises:
        InvalidArgument: a name is no knob of the catalogue, is closed or not opened, or nothing is
            left to search.
    """
    _check_names(catalogue, only, opened)
    left_out: dict[str, str] = {}
    nodes: dict[str, dict[str, Any]] = {}
    for name, knob in catalogue.knobs.items():
        if name in in_force and not may_restart and in_force[name].mode is ApplyMode.RESTART:
            left_out[name] = "takes a restart, which is not allowed"
            continue
        reason = _reason_to_leave_out(knob, in_force, only, opened, max_tier)
        node = None if reason else _node(knob, in_force[name], machine, clients)
        if node is None:
            left_out[name] = reason or "leaves no choice on this server and machine"
        else:
            nodes[name] = node
    for name in _without_effect(catalogue, nodes, in_force):
        del nodes[name]
        left_out[name] = f"has no effect with {_shown_needs(catalogue.knobs[name])} not in force"
    if not nodes:
        reasons = "; ".join(f"{name} {left_out[name]}" for name in [*only, *left_out][:5])
        raise InvalidArgument(
            f"no knob is left to search: {reasons}; name knobs that this server has, or open more."
        )
    rules = constraints_between(catalogue, in_force, nodes, machine=machine, clients=clients)
    body = _nested(catalogue, nodes)
    return KnobSpace(space_from_dict({"format": FORMAT, **body, "constraints": rules}), left_out)


def range_of(
    knob: Knob, there: InForce, machine: Machine, clients: int
) -> tuple[float, float] | None:
    """Return the range of a number in the unit of its knob, or `None` where none is left."""
    unit = UNITS[knob.unit]
    lo = min(amount(text, machine, clients) for text in knob.lo) / unit
    hi = min(amount(text, machine, clients) for text in knob.hi) / unit
    lo = lo if there.lo is None else max(lo, there.lo)
    hi = hi if there.hi is None else min(hi, there.hi)
    if knob.kind == "int":
        lo, hi = math.ceil(lo), math.floor(hi)
    if knob.log:
        lo = max(lo, 1) if knob.kind == "int" else lo
    return (lo, hi) if lo <= hi else None


def choices_of(knob: Knob, there: InForce) -> list[str]:
    """Return the choices of the catalogue that the server was built with."""
    return [c for c in knob.choices if not there.choices or c in there.choices]


def specials_of(knob: Knob, there: InForce) -> list[float]:
    """Return the special values that the server takes."""
    lo = -math.inf if there.lo is None else there.lo
    hi = math.inf if there.hi is None else there.hi
    return [v for v in knob.special if lo <= v <= hi]


def _check_names(catalogue: Catalogue, only: Collection[str], opened: Collection[str]) -> None:
    for name in [*only, *opened]:
        if catalogue.is_closed(name):
            raise InvalidArgument(f'the knob "{name}" is never tuned; leave it out.')
        if name not in catalogue.knobs:
            raise InvalidArgument(
                f'{catalogue.system} has no knob "{name}" in its catalogue'
                f"{did_you_mean(name, catalogue.knobs)}; name one of the catalogue."
            )
    for name in opened:
        if not catalogue.knobs[name].loss:
            raise InvalidArgument(
                f'the knob "{name}" is not a durability knob and needs no opening; leave it out '
                "of the opened ones."
            )
    for name in only:
        if catalogue.knobs[name].loss and name not in opened:
            raise InvalidArgument(
                f'the knob "{name}" is closed: {catalogue.knobs[name].loss}; open it by name to '
                "search it all the same."
            )


def _reason_to_leave_out(
    knob: Knob,
    in_force: Mapping[str, InForce],
    only: Collection[str],
    opened: Collection[str],
    max_tier: int,
) -> str:
    if knob.loss and knob.name not in opened:
        return f"is closed: {knob.loss}"
    if knob.name not in in_force:
        return "is not known to this server"
    if only and not knob.loss and knob.name not in only:
        return "was not asked for"
    if not only and knob.tier > max_tier:
        return f"is of tier {knob.tier}"
    return ""


def _node(knob: Knob, there: InForce, machine: Machine, clients: int) -> dict[str, Any] | None:
    """Return a knob as a node of a space, `None` where there is nothing to choose."""
    if knob.kind == "bool":
        return {"type": "bool", "default": there.value}
    if knob.kind == "enum":
        choices = choices_of(knob, there)
        choices += [] if there.value in choices else [str(there.value)]
        made = {"type": "categorical", "choices": choices, "default": there.value}
        return made if len(choices) > 1 else None
    bounds = range_of(knob, there, machine, clients)
    if bounds is None or (bounds[0] == bounds[1] and not knob.special):
        return None
    node: dict[str, Any] = {"type": knob.kind, "lo": bounds[0], "hi": bounds[1]}
    node |= {"log": True} if knob.log else {}
    special = specials_of(knob, there)
    if not _holds_exactly({**node, "special": special}, there.value):
        special.append(float(there.value))
    node |= {"special": special} if special else {}
    return {**node, "default": there.value}


def _holds_exactly(node: Mapping[str, Any], value: Value) -> bool:
    try:
        return bool(domain_from_dict(node).domain.validate(value, "") == value)
    except InvalidParams:
        return False


def _without_effect(
    catalogue: Catalogue, nodes: Mapping[str, Any], in_force: Mapping[str, InForce]
) -> list[str]:
    """Return knobs with unmet requirements that are not searched, and their dependants."""
    out: list[str] = []
    while True:
        more = [
            name
            for name in nodes
            if name not in out
            and any(
                (parent not in nodes or parent in out)
                and parent in in_force
                and in_force[parent].value not in values
                for parent, values in catalogue.knobs[name].needs.items()
            )
        ]
        if not more:
            return out
        out += more


def _shown_needs(knob: Knob) -> str:
    return " and ".join(
        f"{parent} = {' or '.join(map(str, values))}" for parent, values in knob.needs.items()
    )


def _nested(catalogue: Catalogue, nodes: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the body of a space: knobs that need others stand below those, at their level."""
    root: dict[str, Any] = {"parameters": {}, "when": []}
    home: dict[str, dict[str, Any]] = {}
    depth: dict[str, int] = {}
    waiting = list(nodes)
    while waiting:
        name = next(n for n in waiting if not set(catalogue.knobs[n].needs) & set(waiting))
        waiting.remove(name)
        needs = {p: list(v) for p, v in catalogue.knobs[name].needs.items() if p in nodes}
        if not needs:
            root["parameters"][name], home[name], depth[name] = nodes[name], root, 0
            continue
        parent = max(needs, key=lambda p: depth[p])
        also = {p: v for p, v in needs.items() if p != parent}
        body = {"parameters": {name: nodes[name]}, "when": []}
        condition = {"parent": parent, "values": needs[parent], "also": also}
        home[parent]["when"].append({**condition, **body})
        home[name], depth[name] = home[parent]["when"][-1], depth[parent] + 1
    return root
