"""A server that exists as arithmetic, with planted effects, noise and faults.

It keeps its configuration in a file, as a server does, so that a killed tuner leaves it as it was
at that moment; seconds are computed, not waited for.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tunekit_integrations.dbms.catalogue import Catalogue, Knob
from tunekit_integrations.dbms.records import (
    Applied,
    ApplyMode,
    Clamp,
    FailureKind,
    InForce,
    Instance,
    Machine,
    Measurement,
    Settings,
    SettingsCheck,
    Snapshot,
    TargetFailure,
    Value,
)
from tunekit_integrations.dbms.target import Workload

RELOAD, RESTART = ApplyMode.RELOAD, ApplyMode.RESTART
KNOBS = {
    k.name: k
    for k in (
        Knob(
            "buffers", "int", "MB", ("16 MB",), ("4096 MB",), log=True, mode=RESTART, why="cache"
        ),
        Knob("work", "int", "MB", ("1 MB",), ("512 MB",), log=True, why="memory of a sort"),
        Knob("random_page_cost", "float", "", ("1",), ("6",), why="price of a random read"),
        Knob("turbo", "bool", why="goes faster"),
        Knob("flush", "enum", "", choices=("on", "off"), loss="the last transactions"),
    )
}
CATALOGUE = Catalogue("simulated", KNOBS, (), ("fsync",))
DEFAULTS: dict[str, Value] = {
    "buffers": 128,
    "work": 4,
    "random_page_cost": 4.0,
    "turbo": False,
    "flush": "on",
}


@dataclass
class Queries:
    """A workload; `is_query_set` decides how long its slices are."""

    name: str = "simulated queries"
    is_query_set: bool = True
    clients: int = 1
    calls: list[str] = field(default_factory=list)

    def prepare(self, url: str) -> None:
        self.calls.append("prepare")

    def warm(self, url: str) -> None:
        self.calls.append("warm")

    def reset(self, url: str) -> None:
        self.calls.append("reset")

    def run(self, url: str, *, seconds: float, deadline_s: float, seed: int) -> Measurement:
        raise AssertionError("the simulated server computes its measurements itself")

    def queries(self) -> Mapping[str, str]:
        return {"q1": "select 1", "q2": "select 2"} if self.is_query_set else {}


class SimulatedTarget:
    """A `KnobTarget` without a server.

    Args:
        folder: of its configuration; two targets of one folder are one server. Without one it
            exists in memory alone.
        factor: settings -> time of a unit of work, 1 for the default.
        slice_sd, start_sd: standard deviations of the log time of a slice, and of what a start
            decides until the next one.
        luck: settings -> factor of the time until the next restart, as a lucky session has.
        fails: settings -> how they fail, or `None`.
        rows: settings -> what the queries return.
        plans: settings -> digest of the plans.
        cpu: settings -> processor seconds as a share of the time; `None` where not seen.
    """

    def __init__(
        self,
        folder: Path | None = None,
        factor: Callable[[Settings], float] = lambda _: 1.0,
        *,
        slice_sd: float = 0.0,
        start_sd: float = 0.0,
        drift: float = 0.0,
        bias: float = 0.0,
        luck: Callable[[Settings, int], float] = lambda _, n_starts: 1.0,
        fails: Callable[[Settings], FailureKind | None] = lambda _: None,
        rows: Callable[[Settings], str] = lambda _: "rows",
        plans: Callable[[Settings], str] = lambda s: str(s.get("random_page_cost")),
        cpu: Callable[[Settings], float | None] = lambda _: 0.9,
        is_private: bool = True,
        may_restart: bool = True,
        is_managed: bool = False,
        has_twin: bool = False,
        limit_mb: int = 3000,
        seed: int = 0,
    ) -> None:
        self.folder = folder
        self._state: dict[str, dict[str, Value]] = {"configured": {}, "running": {}}
        self._factor, self._luck, self._fails = factor, luck, fails
        self._rows, self._plans, self._cpu = rows, plans, cpu
        self._sd, self._start_sd, self._drift, self._bias = slice_sd, start_sd, drift, bias
        self._rng = np.random.default_rng(seed)
        self._machine = Machine(4 * 2**30, 2, 100 * 2**30)
        self._flags = (is_private, may_restart, is_managed)
        self._has_twin, self._limit_mb = has_twin, limit_mb
        self._snapshot: Snapshot | None = None
        self._start_effect = 0.0
        self._time = 0.0
        self.n_starts = 0
        self.is_closed = False
        self.log: list[str] = []
        self.twins: list[SimulatedTarget] = []
        self._made = (factor, luck, fails, rows, plans, cpu)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            if not self._file.exists():
                self._write({}, {})
        self._start()

    # What a server keeps on its disk, and what it runs with

    @property
    def _file(self) -> Path:
        assert self.folder is not None
        return self.folder / "server.json"

    def _read(self) -> dict[str, dict[str, Value]]:
        if self.folder is None:
            return self._state
        found: dict[str, dict[str, Value]] = json.loads(self._file.read_text())
        return found

    def _write(self, configured: Settings, running: Settings) -> None:
        state = {"configured": dict(configured), "running": dict(running)}
        if self.folder is None:
            self._state = state
            return
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(state))
        new.replace(self._file)

    @property
    def configured(self) -> dict[str, Value]:
        """The lines of its configuration."""
        return self._read()["configured"]

    @property
    def running(self) -> dict[str, Value]:
        """What differs from the defaults in the running server."""
        return self._read()["running"]

    def configure(self, settings: Settings) -> None:
        """Give the server a configuration of its own."""
        self._write(settings, settings)

    # The contract

    @property
    def instance(self) -> Instance:
        private, restart, managed = self._flags
        return Instance(
            "simulated", (1, 0), self._machine, None, frozenset(), private, restart, managed
        )

    @property
    def url(self) -> str:
        return f"simulated://{'memory' if self.folder is None else self.folder}"

    @property
    def catalogue(self) -> Catalogue:
        return CATALOGUE

    def in_force(self) -> Mapping[str, InForce]:
        self.log.append("in_force")
        state = self._read()
        values = {**DEFAULTS, **state["running"]}
        return {
            name: InForce(
                values[name], DEFAULTS[name], knob.mode, choices=knob.choices,
                is_set=name in state["configured"],
            )
            for name, knob in KNOBS.items()
        }  # fmt: skip

    def check(self, settings: Settings) -> SettingsCheck:
        in_force = self.in_force()
        buffers = int(settings.get("buffers", in_force["buffers"].value))
        too_much = f"buffers would take {buffers} MB of {self._limit_mb} MB."
        return SettingsCheck(
            (too_much,) if buffers > self._limit_mb else (),
            buffers * 2**20,
            tuple(k for k in settings if KNOBS[k].mode is RESTART),
            tuple(k for k, v in settings.items() if in_force[k].value == v),
        )

    def snapshot(self) -> Snapshot:
        self.log.append("snapshot")
        configured = self.configured
        values = {k: str(configured[k]) if k in configured else None for k in KNOBS}
        kept = {"server.json": json.dumps(configured)}
        self._snapshot = Snapshot("simulated", {"folder": str(self.folder)}, values, kept)
        return self._snapshot

    def apply(self, settings: Settings) -> Applied:
        self.log.append("apply")
        assert self._snapshot is not None, "snapshot first"
        own: dict[str, Value] = json.loads(self._snapshot.files["server.json"])
        wanted = {**own, **settings}
        running = self.running
        waiting = [
            k for k in KNOBS
            if KNOBS[k].mode is RESTART
            and wanted.get(k, DEFAULTS[k]) != running.get(k, DEFAULTS[k])
        ]  # fmt: skip
        may_restart = self._flags[1]
        now = {k: v for k, v in wanted.items() if k not in waiting}
        now |= {k: running[k] for k in waiting if k in running}
        self._write(wanted, now)
        if waiting and may_restart:
            self.restart()
            waiting = []
        running = {**DEFAULTS, **self.running}
        clamped = [
            Clamp(k, v, running[k])
            for k, v in settings.items()
            if running[k] != v and k not in waiting
        ]
        if self._fails(settings) is FailureKind.NO_START:
            raise TargetFailure(FailureKind.NO_START, "it did not start.", log="FATAL: no")
        return Applied({k: running[k] for k in settings}, tuple(clamped), tuple(waiting))

    def restart(self) -> float:
        self.log.append("restart")
        self._write(self.configured, self.configured)
        self._start()
        return 0.1

    def crash(self) -> float:
        self.log.append("crash")
        self.restart()
        return 0.5

    def health(self) -> str:
        return ""

    def measure(
        self, workload: Workload, *, seconds: float, deadline_s: float, seed: int
    ) -> Measurement:
        self.log.append("measure")
        running = self.running
        kind = self._fails(running)
        if kind is not None:
            raise TargetFailure(kind, f"the work ended by {kind}.", log="LOG: planted")
        self._time += 1.0
        noise = self._bias / 2 + self._sd * self._rng.standard_normal() + self._drift * self._time
        unit = self._factor(running) * self._luck(running, self.n_starts)
        unit *= math.exp(noise + self._start_effect)
        share = self._cpu(running)
        latency = {p: unit * p / 50 for p in (50, 95, 99)}
        if not workload.is_query_set:
            units = max(round(seconds / unit * 100), 1)
            cpu = None if share is None else seconds * share
            return Measurement(units, seconds, cpu, latency, wal_bytes=units * 100)
        is_cut = unit > deadline_s
        took = min(unit, deadline_s)
        each = {} if is_cut else {"q1": took / 4, "q2": took * 3 / 4}
        rows = self._rows(running)
        return Measurement(
            2, took, None if share is None else took * share, latency, per_query=each,
            digests={} if is_cut else {"q1": rows, "q2": rows}, is_censored=is_cut,
        )  # fmt: skip

    def plan_signature(self, queries: Mapping[str, str]) -> Mapping[str, str]:
        return dict.fromkeys(queries, self._plans(self.running))

    def revert(self, snapshot: Snapshot) -> None:
        self.log.append("revert")
        own: dict[str, Value] = json.loads(snapshot.files["server.json"])
        running = self.running
        may_restart = self._flags[1]
        now = {k: v for k, v in own.items() if may_restart or KNOBS[k].mode is not RESTART}
        if not may_restart:
            now |= {k: v for k, v in running.items() if KNOBS[k].mode is RESTART}
        self._write(own, now)

    def close(self) -> None:
        self.is_closed = True

    def clone(self) -> SimulatedTarget | None:
        if not self._has_twin:
            return None
        factor, luck, fails, rows, plans, cpu = self._made
        name = "" if self.folder is None else f"{self.folder.name}-twin"
        beside = self.folder and self.folder.with_name(name)
        twin = SimulatedTarget(
            beside, factor, slice_sd=self._sd, start_sd=self._start_sd,
            bias=-self._bias, luck=luck, fails=fails, rows=rows, plans=plans, cpu=cpu,
            seed=zlib.crc32(name.encode()) + int(self._rng.integers(2**31)),
        )  # fmt: skip
        twin.configure(self.configured)
        self.twins.append(twin)
        return twin

    def _start(self) -> None:
        self.n_starts += 1
        self._start_effect = self._start_sd * float(self._rng.standard_normal())


def open_simulated(where: str, **options: Any) -> SimulatedTarget:
    """Return the simulated server of a URL such as `simulated:///folder`; it runs already."""
    folder = Path(where.partition("://")[2])
    options.pop("clients", None)
    options.pop("opened", None)
    may_restart = options.pop("restart", None) is not None
    return SimulatedTarget(
        folder,
        lambda s: 0.8 if s.get("turbo") else 1.0,
        slice_sd=0.004,
        is_private=False,
        may_restart=may_restart,
        **options,
    )
