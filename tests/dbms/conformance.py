"""Rules that every target obeys: PostgreSQL of all versions, MariaDB, SQLite.

A module of tests makes a `Case`, and runs every rule of `RULES` on the same target:

    @pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
    def test_it_conforms(rule, case):
        with brought_back(case):
            rule(case)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import psutil
import pytest

from tunekit.spaces.encode import Encoder
from tunekit_integrations.dbms.records import (
    ApplyMode,
    FailureKind,
    Measurement,
    Settings,
    Snapshot,
    TargetFailure,
)
from tunekit_integrations.dbms.space import space_for
from tunekit_integrations.dbms.target import KnobTarget, changes


@dataclass
class Case:
    """A target and settings of its system.

    Attributes:
        target: running, as it was made.
        one, other: settings without a restart that differ in their knobs.
        with_restart: settings that take a restart; {} where there are none.
        refused: settings of which each has a fault of its own.
        durability: a durability knob with a value, not opened.
        query: SQL that has a plan.
        has_clone: whether a private target has a twin.
        clients: that the target was made for.
    """

    target: KnobTarget
    one: Settings
    other: Settings
    with_restart: Settings
    refused: list[dict[str, Any]]
    durability: Settings
    query: str = "SELECT 1"
    has_clone: bool = True
    clients: int = 1


def values(target: KnobTarget) -> dict[str, Any]:
    """Return what is in force."""
    return {name: there.value for name, there in target.in_force().items()}


@contextmanager
def brought_back(case: Case) -> Iterator[None]:
    """Run a rule, bring the configuration back, and look that it is."""
    before, snapshot = values(case.target), case.target.snapshot()
    yield
    case.target.revert(snapshot)
    assert values(case.target) == before
    assert case.target.snapshot() == snapshot


def it_says_what_it_is(case: Case) -> None:
    instance = case.target.instance
    assert instance.system == case.target.catalogue.system
    assert instance.version and instance.machine.ram_bytes > 2**20 and instance.machine.cpus >= 1
    assert instance.pid is None or psutil.pid_exists(instance.pid)
    assert instance.is_private and instance.may_restart


def it_offers_only_knobs_of_the_catalogue_that_its_version_has(case: Case) -> None:
    target = case.target
    for name, there in target.in_force().items():
        knob = target.catalogue.knobs[name]
        assert knob.is_known_to(target.instance.version), name
        assert not target.catalogue.is_closed(name), name
        if there.lo is not None and there.hi is not None:
            assert there.lo <= there.hi, name


def a_check_changes_nothing(case: Case) -> None:
    before = case.target.snapshot()
    for settings in (case.one, case.with_restart, *case.refused):
        case.target.check(settings)
    assert case.target.snapshot() == before


def a_check_says_what_takes_a_restart_and_what_memory(case: Case) -> None:
    check = case.target.check({**case.one, **case.with_restart})
    assert check.is_ok, check.errors
    assert set(check.needs_restart) == set(case.with_restart)
    assert check.memory_bytes > 0


def every_faulty_setting_is_refused_and_leaves_all_as_it_was(case: Case) -> None:
    before = values(case.target)
    unknown = {"no_such_knob": 1}
    for settings in (*case.refused, case.durability, unknown):
        assert case.target.check(settings).errors, settings
        with pytest.raises(TargetFailure) as caught:
            case.target.apply({**case.one, **settings})
        assert caught.value.kind is FailureKind.INVALID, settings
        assert values(case.target) == before


def what_is_in_force_is_no_change(case: Case) -> None:
    there = case.target.in_force()
    wanted = {name: there[name].value for name in case.one}
    assert set(case.target.check(wanted).unchanged) == set(wanted)
    assert changes(wanted, there, list(wanted)) == {}
    before = case.target.snapshot()
    case.target.apply(wanted)
    assert case.target.snapshot().set_values == before.set_values


def what_is_applied_is_read_back(case: Case) -> None:
    applied = case.target.apply(case.one)
    assert applied.effective == case.one
    assert applied.clamped == () and applied.pending_restart == ()
    assert values(case.target).items() >= case.one.items()


def two_trials_never_mix(case: Case) -> None:
    before = values(case.target)
    case.target.apply(case.one)
    case.target.apply(case.other)
    assert values(case.target) == {**before, **case.other}
    case.target.apply({})
    assert values(case.target) == before


def a_setting_that_takes_a_restart_is_in_force_after_apply(case: Case) -> None:
    if not case.with_restart:
        return
    applied = case.target.apply(case.with_restart)
    assert applied.pending_restart == ()
    assert applied.effective == case.with_restart
    for name in case.with_restart:
        assert case.target.in_force()[name].mode is ApplyMode.RESTART


def a_restart_keeps_what_was_applied(case: Case) -> None:
    case.target.apply(case.one)
    assert case.target.restart() >= 0
    assert values(case.target).items() >= case.one.items()
    assert case.target.health() == ""


def a_revert_may_be_repeated(case: Case) -> None:
    before, snapshot = values(case.target), case.target.snapshot()
    case.target.apply({**case.one, **case.with_restart})
    case.target.revert(snapshot)
    case.target.revert(snapshot)
    assert values(case.target) == before


def a_snapshot_survives_a_journal(case: Case) -> None:
    before, snapshot = values(case.target), case.target.snapshot()
    case.target.apply(case.one)
    case.target.revert(Snapshot.from_dict(json.loads(json.dumps(snapshot.to_dict()))))
    assert values(case.target) == before


def a_snapshot_of_another_server_is_refused(case: Case) -> None:
    snapshot = case.target.snapshot()
    foreign = {name: f"{value}0" for name, value in snapshot.identity.items()}
    for other in (replace(snapshot, identity=foreign), replace(snapshot, system="other")):
        with pytest.raises(TargetFailure) as caught:
            case.target.revert(other)
        assert caught.value.kind is FailureKind.INVALID


def a_crash_is_recovered_from(case: Case) -> None:
    case.target.apply(case.one)
    assert case.target.crash() >= 0
    assert case.target.health() == ""
    assert values(case.target).items() >= case.one.items()


def every_point_of_its_space_passes_its_check(case: Case) -> None:
    target = case.target
    machine = target.instance.machine
    there = target.in_force()
    space = space_for(
        target.catalogue, there, machine=machine, clients=case.clients, max_tier=2
    ).space
    assert space.default().items() <= {n: k.value for n, k in there.items()}.items()
    encoder = Encoder(space)
    points = encoder.decode(np.random.default_rng(0).random((300, len(encoder))))
    allowed = [point for point in points if not space.violated(point)]
    assert len(allowed) >= 3
    for point in allowed[:8]:
        assert target.check(point).errors == (), point


class _Queries:
    name, is_query_set, clients = "one query", True, 1

    def __init__(self, sql: str) -> None:
        self._sql = sql
        self.urls: list[str] = []

    def prepare(self, url: str) -> None: ...
    def warm(self, url: str) -> None: ...
    def reset(self, url: str) -> None: ...

    def run(self, url: str, *, seconds: float, deadline_s: float, seed: int) -> Measurement:
        self.urls.append(url)
        return Measurement(units=3, seconds=0.5, errors=1)

    def queries(self) -> Mapping[str, str]:
        return {"q": self._sql}


def a_measurement_passes_the_workloads_own_numbers_on(case: Case) -> None:
    workload = _Queries(case.query)
    found = case.target.measure(workload, seconds=1, deadline_s=5, seed=1)
    assert (found.units, found.seconds, found.errors) == (3, 0.5, 1)
    assert found.temp_bytes >= 0 and found.wal_bytes >= 0
    assert found.cpu_seconds is None or found.cpu_seconds >= 0
    assert workload.urls == [case.target.url]


def equal_plans_have_equal_signatures(case: Case) -> None:
    once = case.target.plan_signature({"q": case.query})
    assert once == case.target.plan_signature({"q": case.query})


def a_twin_has_the_same_knobs_and_a_life_of_its_own(case: Case) -> None:
    twin = case.target.clone()
    assert (twin is not None) == case.has_clone
    if twin is None:
        return
    try:
        assert values(twin) == values(case.target)
        assert twin.url != case.target.url
        assert twin.instance.machine == case.target.instance.machine
        twin.apply(case.one)
        assert not values(case.target).items() >= case.one.items()
        with pytest.raises(TargetFailure):
            twin.revert(case.target.snapshot())
    finally:
        twin.close()
    assert case.target.health() == ""


RULES = [
    it_says_what_it_is,
    it_offers_only_knobs_of_the_catalogue_that_its_version_has,
    a_check_changes_nothing,
    a_check_says_what_takes_a_restart_and_what_memory,
    every_faulty_setting_is_refused_and_leaves_all_as_it_was,
    what_is_in_force_is_no_change,
    what_is_applied_is_read_back,
    two_trials_never_mix,
    a_setting_that_takes_a_restart_is_in_force_after_apply,
    a_restart_keeps_what_was_applied,
    a_revert_may_be_repeated,
    a_snapshot_survives_a_journal,
    a_snapshot_of_another_server_is_refused,
    a_crash_is_recovered_from,
    every_point_of_its_space_passes_its_check,
    a_measurement_passes_the_workloads_own_numbers_on,
    equal_plans_have_equal_signatures,
    a_twin_has_the_same_knobs_and_a_life_of_its_own,
]
