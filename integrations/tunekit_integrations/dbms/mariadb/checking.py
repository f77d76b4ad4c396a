"""Judges settings of MariaDB and MySQL before anything is changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from tunekit_integrations.dbms.checks import judge, memory_error
from tunekit_integrations.dbms.constraints import broken_constraints
from tunekit_integrations.dbms.mariadb.facts import Facts
from tunekit_integrations.dbms.mariadb.memory import memory_estimate
from tunekit_integrations.dbms.mariadb.variables import (
    POOL,
    POOL_CAP,
    Variable,
    knobs_in_force,
    text_of,
)
from tunekit_integrations.dbms.records import InForce, Settings, SettingsCheck

_SLOWER_RECOVERY = (
    "innodb_log_file_size",
    "innodb_redo_log_capacity",
    "innodb_max_dirty_pages_pct",
)


def check_settings(
    settings: Settings,
    variables: Mapping[str, Variable],
    base: Mapping[str, str | None],
    *,
    facts: Facts,
    opened: Collection[str],
    clients: int,
    may_restart: bool,
    keeps: bool,
) -> SettingsCheck:
    """Return what can be said about settings without the server's program.

    Args:
        settings: to be judged.
        variables: as the server has them.
        base: texts of the snapshot, which `apply` brings back where the settings name nothing.
        facts: of the server.
        opened: durability knobs that may be tuned.
        clients: sessions at once.
        may_restart: whether settings that take a restart are allowed.
        keeps: whether settings outlive a restart of the server.
    """
    in_force = in_force_of(variables, facts, may_restart=may_restart)
    found = judge(
        settings, in_force, catalogue=facts.catalogue, opened=opened, may_restart=may_restart
    )
    if not found.is_ok:
        return found
    brought_back = {
        name: replace(variables[name], text=text)
        for name, text in base.items()
        if text is not None and name in variables
    }
    rest = in_force_of({**variables, **brought_back}, facts, may_restart=may_restart)
    values = {**{name: there.value for name, there in rest.items()}, **settings}
    others = {n: float(v.text) for n, v in variables.items() if v.is_number and v.text}
    memory = memory_estimate(values, facts.catalogue, others, clients=clients)
    broken = broken_constraints(
        settings, facts.catalogue, rest, machine=facts.machine, clients=clients
    )
    errors = [memory_error(memory, facts.machine), *(f"{b} does not hold." for b in broken)]
    return replace(
        found,
        errors=tuple(error for error in errors if error),
        memory_bytes=memory,
        needs_restart=(*found.needs_restart, *_outgrown(settings, found, variables, facts)),
        warnings=_warnings([n for n in settings if n not in found.unchanged], keeps=keeps),
    )


def in_force_of(
    variables: Mapping[str, Variable], facts: Facts, *, may_restart: bool
) -> dict[str, InForce]:
    """Return the knobs of a server from its variables."""
    return knobs_in_force(
        facts.catalogue,
        variables,
        version=facts.version,
        defaults=facts.defaults,
        may_restart=may_restart,
    )


def _outgrown(
    settings: Settings, found: SettingsCheck, variables: Mapping[str, Variable], facts: Facts
) -> tuple[str, ...]:
    """Return the buffer pool where it is to outgrow what the server reserved at its start."""
    if POOL not in settings or POOL in found.unchanged or POOL_CAP not in variables:
        return ()
    wanted = float(text_of(facts.catalogue.knobs[POOL], settings[POOL]))
    return (POOL,) if wanted > float(variables[POOL_CAP].text) else ()


def _warnings(changed: Collection[str], *, keeps: bool) -> tuple[str, ...]:
    told = [
        f"{name}: more of it makes recovery after a crash longer."
        for name in _SLOWER_RECOVERY
        if name in changed
    ]
    if changed and not keeps:
        told.append(
            "the next restart of the server loses these settings; give option_file= with a file "
            "of our own that it reads at its start."
        )
    return tuple(told)
