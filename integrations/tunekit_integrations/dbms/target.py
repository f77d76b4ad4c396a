"""The contract of a database server that is tuned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from tunekit_integrations.dbms.catalogue import Catalogue
from tunekit_integrations.dbms.records import (
    Applied,
    InForce,
    Instance,
    Measurement,
    Settings,
    SettingsCheck,
    Snapshot,
)


class Workload(Protocol):
    """Work that a server is measured under.

    Attributes:
        name: such as "tpch", "pgbench tpcb-like".
        is_query_set: whether a slice is one pass over its queries, else a time.
        clients: sessions at once, which bound memory.
    """

    name: str
    is_query_set: bool
    clients: int

    def prepare(self, url: str) -> None:
        """Load the data, once for each instance; does nothing if they are there."""
        ...

    def warm(self, url: str) -> None:
        """Bring caches into the state that measurements start from."""
        ...

    def run(self, url: str, *, seconds: float, deadline_s: float, seed: int) -> Measurement:
        """Run a slice.

        Args:
            url: of the database, with all that a client needs.
            seconds: length of the slice; a query set runs through once instead.
            deadline_s: after which the slice is cut off and comes back censored.
            seed: of what is drawn; equal seeds draw equal work.

        Raises:
            TargetFailure: the server was lost, or most of the work failed.
        """
        ...

    def reset(self, url: str) -> None:
        """Bring the data back to their first state where the work changes them."""
        ...

    def queries(self) -> Mapping[str, str]:
        """Return name -> SQL of what can be explained; empty where that means nothing."""
        ...


class KnobTarget(Protocol):
    """A server under tuning. One object holds one server; a twin is a second object.

    Every method but `close` raises `TargetFailure`, with the kind of the failure and an excerpt of
    the server's log, and no other exception for what a server or a configuration does.
    """

    @property
    def instance(self) -> Instance:
        """The server; asked again after a restart."""
        ...

    @property
    def url(self) -> str:
        """Where a workload's client finds the database, without a password."""
        ...

    @property
    def catalogue(self) -> Catalogue:
        """The knobs of this system and version."""
        ...

    def in_force(self) -> Mapping[str, InForce]:
        """Return every knob of the catalogue that this server has, as it has it."""
        ...

    def check(self, settings: Settings) -> SettingsCheck:
        """Judge settings and change nothing; asks the server's own preflight where it has one."""
        ...

    def snapshot(self) -> Snapshot:
        """Return what `revert` needs."""
        ...

    def apply(self, settings: Settings) -> Applied:
        """Put settings in force, each by its mode, with a restart where allowed and needed.

        Knobs that the settings do not name get the value of the last snapshot back, so that two
        trials never mix. What is in force is read back from the server.
        """
        ...

    def restart(self) -> float:
        """Restart the server and return the seconds until it answered."""
        ...

    def crash(self) -> float:
        """Kill a private server, start it, and return its seconds of recovery."""
        ...

    def health(self) -> str:
        """Return "" for a sound server, else a sentence."""
        ...

    def measure(
        self, workload: Workload, *, seconds: float, deadline_s: float, seed: int
    ) -> Measurement:
        """Run a slice of a workload, with the server's CPU, temporary and log bytes beside it."""
        ...

    def plan_signature(self, queries: Mapping[str, str]) -> Mapping[str, str]:
        """Return query -> digest of its plan without costs; {} where the system has no plans."""
        ...

    def revert(self, snapshot: Snapshot) -> None:
        """Bring the configuration of a snapshot back; safe to call twice, and on a dead server."""
        ...

    def close(self) -> None:
        """Let go; a private server is stopped and its folder deleted."""
        ...

    def clone(self) -> KnobTarget | None:
        """Return a twin with the same data, to compare side by side; `None` where impossible."""
        ...


def changes(settings: Settings, in_force: Mapping[str, InForce], names: Sequence[str]) -> Settings:
    """Return those settings that differ from what is in force."""
    return {
        n: settings[n] for n in names if n in settings and not in_force[n].is_same(settings[n])
    }
