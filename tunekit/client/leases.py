"""Renews the leases of a client's trials on a thread, with a connection, of its own."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tunekit.errors import LeaseLost, TunekitError, UnknownStudy, UnknownTrial
from tunekit.heartbeat import Heartbeat

if TYPE_CHECKING:
    from tunekit.client.trial import ServiceTrial

LOST = (LeaseLost, UnknownTrial, UnknownStudy)


class Leases:
    """The trials that a client holds; their leases are renewed from the first one on.

    Args:
        lease_s: seconds until another worker may take a trial over.
    """

    def __init__(self, lease_s: float) -> None:
        self.lease_s = lease_s
        self._held: dict[int, ServiceTrial] = {}
        self._thread = ExitStack()
        self._lock = threading.Lock()
        self._is_beating = False

    def hold(self, trial: ServiceTrial) -> None:
        """Renew the lease of a trial until it is dropped."""
        with self._lock:
            self._held[id(trial)] = trial
            if not self._is_beating:
                self._thread.enter_context(Heartbeat(self._beat, self.lease_s / 3))
                self._is_beating = True

    def drop(self, trial: ServiceTrial) -> None:
        """Renew the lease of a trial no longer."""
        with self._lock:
            self._held.pop(id(trial), None)

    def close(self) -> None:
        """End the thread; leases run out unless their trials are told or released."""
        self._thread.close()
        self._is_beating = False

    def _beat(self) -> None:
        with self._lock:
            held = list(self._held.values())
        for trial in held:
            try:
                trial.renew(outage_s=self.lease_s / 3)
            except LOST as error:
                trial.lost = error
                self.drop(trial)
            except TunekitError:  # the service is away, and the next beat tries again
                break
