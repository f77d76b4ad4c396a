"""Provides the shared fixtures of the rules: a study and shortcuts for worker operations."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import count
from typing import Any

import pytest

from tunekit.records import ObjectiveSpec, Outcome, Proposal, StudySpec, TrialRecord, TrialState
from tunekit.spaces import Params
from tunekit.storages.base import Claim, Exchange, Lease, Operation, Start, Storage, Tell

_keys = count()


def new_key() -> str:
    """Return a unique request key."""
    return f"key-{os.getpid()}-{next(_keys)}"


def spec(name: str = "study", **fields: Any) -> StudySpec:
    """Return the spec of a small study."""
    return StudySpec(name, (ObjectiveSpec("loss"),), **fields)


def start(lease: Lease, **params: Any) -> Start:
    """Return the operation that starts a leased trial."""
    return Start(lease.number, lease.epoch, Proposal(Params(params or {"x": 0.5}), "random"))


def tell(lease: Lease, loss: float = 1.0, key: str | None = None, **fields: Any) -> Tell:
    """Return the operation that completes a leased trial."""
    outcome = Outcome(TrialState.COMPLETE, {"loss": loss}, **fields)
    return Tell(lease.number, lease.epoch, outcome, key or new_key())


class Access:
    """Gives a worker's and a reader's access to one study in a storage."""

    def __init__(self, storage: Storage, **fields: Any) -> None:
        self.storage = storage
        self.id = storage.create_study(spec(**fields)).id

    def send(self, *operations: Operation, worker: str = "w") -> Exchange:
        """Send operations in one exchange."""
        return self.storage.exchange(self.id, worker, operations)

    def claim(self, n: int = 1, *, key: str | None = None, **fields: Any) -> list[Lease]:
        """Claim trials; `fields` may set `max_trials` and arguments of `exchange`."""
        claim = Claim(n, key or new_key(), fields.pop("max_trials", None))
        worker = fields.pop("worker", "w")
        return list(self.storage.exchange(self.id, worker, claim=claim, **fields).leases)

    def take(self, **fields: Any) -> Lease:
        """Claim and start one trial."""
        (lease,) = self.claim(**fields)
        assert self.send(start(lease)).statuses == ("ok",)
        return lease

    def expire(self, *leases: Lease) -> None:
        """Expire leases now."""
        self.storage.expire(self.id, [(lease.number, lease.epoch) for lease in leases])

    def trials(self) -> dict[int, TrialRecord]:
        """Return all trials by number."""
        return {t.number: t for t in self.storage.changes(self.id).trials}

    def trial(self, number: int) -> TrialRecord:
        """Return one trial."""
        return self.trials()[number]

    def enqueue(self, *points: Mapping[str, Any], **attrs: Any) -> list[int]:
        """Enqueue points with the same user attributes."""
        return self.storage.enqueue(self.id, points, user_attrs=attrs)

    def kinds(self, number: int | None = None) -> list[str]:
        """Return the kinds of all events, or of one trial's, in order."""
        events = self.storage.events(self.id)
        return [e.kind for e in events if number is None or e.number == number]


class Rules:
    """Provides the fixtures for every part of the suite."""

    @pytest.fixture
    def storage(self) -> Storage:
        """Return a fresh, empty storage; override this fixture."""
        raise NotImplementedError("override the storage fixture")

    @pytest.fixture
    def access(self, storage: Storage) -> Access:
        """Return a fresh study in the storage."""
        return Access(storage)
