"""Judges settings by what every system has in common: names, types, bounds, what is in force."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from tunekit.checks import shown
from tunekit.errors import did_you_mean
from tunekit_integrations.dbms.catalogue import Catalogue, Knob
from tunekit_integrations.dbms.records import (
    ApplyMode,
    InForce,
    Machine,
    Settings,
    SettingsCheck,
    Value,
)

MOST_OF_RAM = 0.8
"""Share of the memory that an estimate may reach; the rest is for all else on the machine."""


def judge(
    settings: Settings,
    in_force: Mapping[str, InForce],
    *,
    catalogue: Catalogue,
    opened: Collection[str] = (),
    may_restart: bool = True,
) -> SettingsCheck:
    """Return what can be said about settings without the server.

    Args:
        settings: to be judged.
        in_force: every knob of the catalogue that the server has.
        catalogue: of the system.
        opened: durability knobs that the user opened by name.
        may_restart: whether settings that take a restart are allowed.
    """
    errors: list[str] = []
    needs_restart: list[str] = []
    unchanged: list[str] = []
    for name, value in settings.items():
        error = _name_error(name, in_force, catalogue, opened)
        if not error:
            error = value_error(catalogue.knobs[name], in_force[name], value)
        if error:
            errors.append(error)
        elif in_force[name].is_same(value):
            unchanged.append(name)
        elif in_force[name].mode is ApplyMode.RESTART:
            needs_restart.append(name)
    if needs_restart and not may_restart:
        errors.append(
            f"{', '.join(needs_restart)}: a change takes a restart, which is not allowed here; "
            "allow restarts or leave it out."
        )
    return SettingsCheck(
        errors=tuple(errors), needs_restart=tuple(needs_restart), unchanged=tuple(unchanged)
    )


def _name_error(
    name: str, in_force: Mapping[str, InForce], catalogue: Catalogue, opened: Collection[str]
) -> str:
    if catalogue.is_closed(name):
        return f'the knob "{name}" is never tuned; leave it out.'
    if name not in catalogue.knobs:
        hint = did_you_mean(name, list(in_force))
        return f'{catalogue.system} has no knob "{name}" in its catalogue{hint}; leave it out.'
    if name not in in_force:
        return f'this server does not know the knob "{name}"; leave it out.'
    loss = catalogue.knobs[name].loss
    if loss and name not in opened:
        return f'the knob "{name}" is closed, as {loss}; open it by its own flag.'
    return ""


def memory_error(estimate: int, machine: Machine) -> str:
    """Return a sentence where a server may use more memory than it should, else ""."""
    most = MOST_OF_RAM * machine.ram_bytes
    if estimate <= most:
        return ""
    return (
        f"the server may use {estimate / 2**20:,.0f} MB with these settings, and at most "
        f"{most / 2**20:,.0f} MB of the machine's memory are for it; lower its caches or buffers."
    )


def value_error(knob: Knob, there: InForce, value: Value) -> str:
    """Return what is wrong with a value by the knob's type and the server's bounds, else ""."""
    expected = _expected(knob, there)
    if knob.kind == "bool":
        fits = isinstance(value, bool)
    elif knob.kind == "enum":
        fits = isinstance(value, str) and value in (there.choices or knob.choices)
    else:
        fits = (
            isinstance(value, int | (float if knob.kind == "float" else int))
            and not isinstance(value, bool)
            and math.isfinite(value)
            and (value in knob.special or _is_within(there, value))
        )
    return "" if fits else f"{knob.name}: got {shown(value)}, expected {expected}."


def _is_within(there: InForce, value: float) -> bool:
    return (there.lo is None or value >= there.lo) and (there.hi is None or value <= there.hi)


def _expected(knob: Knob, there: InForce) -> str:
    if knob.kind == "bool":
        return "true or false"
    if knob.kind == "enum":
        return f"one of {', '.join(there.choices or knob.choices)}"
    noun = "an integer" if knob.kind == "int" else "a number"
    unit = f" of {knob.unit}" if knob.unit else ""
    if there.lo is None or there.hi is None:
        return f"{noun}{unit}"
    return f"{noun}{unit} from {there.lo:g} to {there.hi:g}"
