"""Judges settings of a PostgreSQL server before anything is changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from tunekit_integrations.dbms.capped import capped
from tunekit_integrations.dbms.catalogue import UNITS, Catalogue, Knob
from tunekit_integrations.dbms.checks import judge, memory_error
from tunekit_integrations.dbms.constraints import broken_constraints
from tunekit_integrations.dbms.postgresql.memory import MOST_SHARED, memory_estimate
from tunekit_integrations.dbms.postgresql.values import SYNONYMS
from tunekit_integrations.dbms.records import (
    InForce,
    Instance,
    Machine,
    Settings,
    SettingsCheck,
    Value,
)
from tunekit_integrations.dbms.space import choices_of, range_of, specials_of

_SLOWER_RECOVERY = ("max_wal_size", "checkpoint_timeout")


def check_settings(
    settings: Settings,
    in_force: Mapping[str, InForce],
    *,
    instance: Instance,
    catalogue: Catalogue,
    opened: Collection[str],
    clients: int,
    shared_bytes: int = 0,
) -> SettingsCheck:
    """Return what can be said about settings without the server's program.

    Args:
        settings: to be judged.
        in_force: knobs that the server has.
        instance: the server.
        catalogue: of its knobs.
        opened: durability knobs that the user opened by name.
        clients: sessions at once.
        shared_bytes: shared memory by the server's own word, 0 where it has not said.
    """
    found = judge(
        settings,
        in_force,
        catalogue=catalogue,
        opened=opened,
        may_restart=instance.may_restart,
    )
    before = {name: there.value for name, there in in_force.items()}
    memory = memory_estimate(before, catalogue, clients=clients)
    if not found.is_ok:
        return replace(found, memory_bytes=memory)
    changed = {n: v for n, v in settings.items() if n not in found.unchanged}
    machine = instance.machine
    after = capped({**before, **changed}, catalogue)
    memory_after = memory_estimate(after, catalogue, clients=clients, shared_bytes=shared_bytes)
    errors = [
        error
        for name, value in changed.items()
        if (error := _beyond(catalogue.knobs[name], in_force[name], value, machine, clients))
    ]
    errors += _too_much_shared(changed, catalogue, machine)
    if memory_after > memory and (error := memory_error(memory_after, machine)):
        errors.append(error)
    if not errors:
        broken = broken_constraints(changed, catalogue, in_force, machine=machine, clients=clients)
        errors += [f"the settings break the rule {rule}; change one of them." for rule in broken]
    return replace(
        found,
        errors=tuple(errors),
        memory_bytes=memory_after,
        warnings=tuple(_warnings(changed, in_force, after, catalogue)),
    )


def _beyond(knob: Knob, there: InForce, value: Value, machine: Machine, clients: int) -> str:
    """Return what is wrong with a value that the server takes, but nobody should try."""
    if knob.kind == "bool":
        return ""
    if knob.kind == "enum":
        choices = choices_of(knob, there)
        if SYNONYMS.get((knob.name, str(value)), value) in choices:
            return ""
        return f'{knob.name}: "{value}" is never tried; expected one of {", ".join(choices)}.'
    bounds = range_of(knob, there, machine, clients)
    special = specials_of(knob, there)
    number = float(value)
    if number in special or (bounds and bounds[0] <= number <= bounds[1]):
        return ""
    unit = f" {knob.unit}" if knob.unit else ""
    words = f" or {', '.join(f'{v:.10g}' for v in special)}" if special else ""
    there_is = f"{bounds[0]:.10g} to {bounds[1]:.10g}{unit}" if bounds else "nothing"
    return (
        f"{knob.name}: {number:.10g}{unit} is beyond what is worth a try on this machine; "
        f"expected {there_is}{words}."
    )


def _too_much_shared(changed: Settings, catalogue: Catalogue, machine: Machine) -> list[str]:
    value = changed.get("shared_buffers")
    if value is None or isinstance(value, str):
        return []
    asked = value * UNITS[catalogue.knobs["shared_buffers"].unit]
    if asked <= MOST_SHARED * machine.ram_bytes:
        return []
    return [
        f"shared_buffers: {asked / 2**20:,.0f} MB is {asked / machine.ram_bytes:.0%} of the "
        f"machine's memory, at most {MOST_SHARED:.0%} are sound; lower it."
    ]


def _warnings(
    changed: Settings,
    in_force: Mapping[str, InForce],
    after: Mapping[str, Value],
    catalogue: Catalogue,
) -> list[str]:
    said = []
    for name in _SLOWER_RECOVERY:
        if name in changed and float(changed[name]) > float(in_force[name].value):
            said.append(f"{name}: a longer log takes longer to recover after a crash.")
    if "default_statistics_target" in changed:
        said.append("default_statistics_target: has an effect from the next ANALYZE on.")
    for name, effect in after.items():
        asked, cap = changed.get(name, in_force[name].value), catalogue.knobs[name].capped_by
        if effect != asked:
            said.append(f"{name}: {asked} has the effect of {effect}, as {cap} caps it.")
    said += [f"{n}: {catalogue.knobs[n].loss}." for n in changed if catalogue.knobs[n].loss]
    return said
