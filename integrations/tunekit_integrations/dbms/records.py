"""What targets, workloads and the trial protocol say to one another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

Value: TypeAlias = bool | int | float | str
"""A knob's value, in the unit of its catalogue entry."""

Settings: TypeAlias = Mapping[str, Value]
"""Knob -> value."""


class ApplyMode(StrEnum):
    """What it takes to put a knob's new value in force."""

    SESSION = "session"
    RELOAD = "reload"
    RESTART = "restart"


class FailureKind(StrEnum):
    """Why a configuration has no measurement."""

    INVALID = "invalid"
    NO_START = "no_start"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "oom"
    WRONG_RESULT = "wrong_result"
    LOST_CONNECTION = "lost_connection"


class TargetFailure(Exception):
    """A configuration, the server or the workload failed; ends a trial, never a study.

    Args:
        kind: of the failure.
        message: a sentence.
        log: last lines of the server's log, as far as they explain it; data, never executed.
    """

    def __init__(self, kind: FailureKind, message: str, *, log: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.log = log


@dataclass(frozen=True, slots=True)
class Machine:
    """What a server may use.

    Attributes:
        ram_bytes: the smallest of physical memory, limits of the control group, and the user's.
        cpus: that the server may run on.
        disk_bytes: free where its data lie.
    """

    ram_bytes: int
    cpus: int
    disk_bytes: int


@dataclass(frozen=True, slots=True)
class Instance:
    """A running server.

    Attributes:
        system: "postgresql", "mariadb", "mysql" or "sqlite".
        version: such as (15, 18).
        machine: what it may use.
        pid: of its main process, `None` where that is on another machine or there is none.
        features: such as "jit", "lz4", "io_uring"; of which knobs depend.
        is_private: whether it was made for tuning and is thrown away after it.
        may_restart: whether it may be restarted: always where private, else if the user says so.
        is_managed: whether settings are only proposed, in a file that a person applies.
    """

    system: str
    version: tuple[int, ...]
    machine: Machine
    pid: int | None = None
    features: frozenset[str] = frozenset()
    is_private: bool = False
    may_restart: bool = False
    is_managed: bool = False


@dataclass(frozen=True, slots=True)
class InForce:
    """A knob as the server has it.

    Attributes:
        value: in force, in the unit of the catalogue.
        default: of this server, the value it would have without any configuration.
        mode: what a change takes, by the server's own word.
        lo, hi: bounds of the server, `None` where it has none.
        choices: values of an enumeration that this server was built with, else empty.
        is_set: whether the configuration sets it, so that it is not the default by itself.
        step: to whose multiples the server rounds a number, 0 where it takes all.
        rounds_down: whether it cuts off rather than takes the nearest multiple.
        chosen: by the server, where the value is a word such as -1 that leaves the choice to it.
    """

    value: Value
    default: Value
    mode: ApplyMode
    lo: float | None = None
    hi: float | None = None
    choices: tuple[str, ...] = ()
    is_set: bool = False
    step: float = 0.0
    rounds_down: bool = False
    chosen: Value | None = None

    def is_same(self, value: Value) -> bool:
        """Return whether a value is in force already, as the server rounds it."""
        chosen = () if self.chosen is None else (self.chosen,)
        return any(self._are_same(value, other) for other in (self.value, *chosen))

    def _are_same(self, value: Value, other: Value) -> bool:
        if not self.step or isinstance(value, bool | str) or isinstance(other, bool | str):
            return value == other
        if value <= 0 or other <= 0:  # words such as -1 rather than amounts
            return value == other
        rounded = math.floor if self.rounds_down else round
        return rounded(value / self.step) == rounded(other / self.step)


@dataclass(frozen=True, slots=True)
class SettingsCheck:
    """The result of checking settings before anything is changed.

    Attributes:
        errors: sentences; with any, the settings must not be applied.
        memory_bytes: estimate of the most memory that the server will use.
        needs_restart: knobs that take one.
        unchanged: knobs that have the given value already.
        warnings: sentences, such as longer recovery after a crash.
    """

    errors: tuple[str, ...] = ()
    memory_bytes: int = 0
    needs_restart: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def is_ok(self) -> bool:
        """Return whether the settings may be applied."""
        return not self.errors

    def refuse_errors(self) -> None:
        """Raise where the settings must not be applied.

        Raises:
            TargetFailure: with all errors.
        """
        if self.errors:
            raise TargetFailure(FailureKind.INVALID, " ".join(self.errors))


@dataclass(frozen=True, slots=True)
class Clamp:
    """A value that the server changed when it took it."""

    knob: str
    asked: Value
    got: Value


@dataclass(frozen=True, slots=True)
class Applied:
    """What is in force after settings were applied.

    Attributes:
        effective: value in force of every knob that was given.
        clamped: those that the server changed silently, or that another knob caps.
        pending_restart: those that wait for a restart.
    """

    effective: Settings
    clamped: tuple[Clamp, ...] = ()
    pending_restart: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings, effective: Mapping[str, InForce]) -> Applied:
        """Return what became of settings on a server that rounds no value in its own units."""
        got = {name: effective[name].value for name in settings}
        clamped = tuple(Clamp(n, v, got[n]) for n, v in settings.items() if got[n] != v)
        return cls(got, clamped)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that brings a server's own configuration back; JSON, so that a journal can hold it.

    Attributes:
        system: whose it is.
        identity: of the server, so that it is never restored to another one (system identifier,
            data folder, port).
        set_values: knob -> text as the configuration had it, `None` where it was not set.
        files: path -> content of configuration files that tuning rewrites.
    """

    system: str
    identity: Mapping[str, str]
    set_values: Mapping[str, str | None]
    files: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "system": self.system,
            "identity": dict(self.identity),
            "set_values": dict(self.set_values),
            "files": dict(self.files),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Snapshot:
        """Return the snapshot that `to_dict` wrote."""
        return cls(data["system"], data["identity"], data["set_values"], data["files"])


@dataclass(frozen=True, slots=True)
class Measurement:
    """A slice of a workload.

    Attributes:
        units: transactions or queries that were completed without an error.
        seconds: of wall clock.
        cpu_seconds: of the server's processes; `None` where they cannot be seen.
        latency_s: percentile (50, 95, 99) -> seconds.
        errors: transactions or queries that failed.
        temp_bytes, wal_bytes: written to temporary files and to the log of changes.
        per_query: query -> its seconds, for workloads of single queries.
        digests: query -> digest of its result, to notice wrong ones.
        executions: seconds of each query that ended, for workloads of single queries.
        is_censored: whether it was cut off at its deadline, so that the truth is slower.
    """

    units: int
    seconds: float
    cpu_seconds: float | None = None
    latency_s: Mapping[int, float] = field(default_factory=dict)
    errors: int = 0
    temp_bytes: int = 0
    wal_bytes: int = 0
    per_query: Mapping[str, float] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    executions: tuple[float, ...] = ()
    is_censored: bool = False
