"""A server as one side of a comparison: what it has in place, and how it gets something else."""

from __future__ import annotations

import time
from collections.abc import Mapping

from tunekit_integrations.dbms.records import (
    Applied,
    ApplyMode,
    FailureKind,
    InForce,
    Measurement,
    Settings,
    TargetFailure,
)
from tunekit_integrations.dbms.target import KnobTarget, Workload

NOTHING = Applied({})


class Side:
    """A server that is measured under one configuration after another.

    Args:
        target: the server.
        workload: that it is measured under.

    Attributes:
        target: the server.
        in_force: its knobs with its own configuration.
        warm_s: seconds spent in bringing caches into their state.
    """

    def __init__(self, target: KnobTarget, workload: Workload) -> None:
        self.target = target
        self.in_force: Mapping[str, InForce] = target.in_force()
        self._workload = workload
        self._settings: Settings | None = {}
        self.warm_s = 0.0

    def needs_restart(self, settings: Settings) -> bool:
        """Return whether a restart lies between what is in place and these settings."""
        now = self._settings
        if now is None:  # whatever a failed attempt has left
            return True
        moved = [k for k in {*now, *settings} if now.get(k) != settings.get(k)]
        return any(self.in_force[k].mode is ApplyMode.RESTART for k in moved)

    def put(self, settings: Settings) -> Applied:
        """Put settings in place, with all other knobs as the server's own configuration has them.

        Raises:
            TargetFailure: the server refuses them, or they wait for a restart.
        """
        if settings == self._settings:
            return NOTHING
        restarts = self.needs_restart(settings)
        self._settings = None
        applied = self.target.apply(settings)
        if applied.pending_restart:
            raise TargetFailure(
                FailureKind.INVALID,
                f"{', '.join(applied.pending_restart)} would take effect after a restart only, "
                "which is not allowed here.",
            )
        if restarts:
            self._warm()
        self._settings = dict(settings)
        return applied

    def begin_anew(self, settings: Settings) -> Applied:
        """Apply settings with a restart where one is allowed, then reset data and warm caches.

        Where it is not, new sessions are all that is new; a workload opens them for each slice.
        """
        restarts = self.needs_restart(settings)
        applied = self.put(settings)
        if self.target.instance.may_restart and not restarts:
            self._settings = None
            self.target.restart()
            self._settings = dict(settings)
        self._workload.reset(self.target.url)
        self._warm()
        return applied

    def _warm(self) -> None:
        began = time.perf_counter()
        self._workload.warm(self.target.url)
        self.warm_s += time.perf_counter() - began

    def forget(self) -> None:
        """Forget which settings are in place, as after a failure."""
        self._settings = None

    def measure(
        self, work: Workload, *, seconds: float, deadline_s: float, seed: int
    ) -> Measurement:
        """Run a slice of the workload or of a part of it; refuse one that hardly worked.

        Raises:
            TargetFailure: the server failed, or more than 1 % of the work did.
        """
        found = self.target.measure(work, seconds=seconds, deadline_s=deadline_s, seed=seed)
        done = found.units + found.errors
        if not found.is_censored and (found.units == 0 or found.errors > 0.01 * done):
            raise TargetFailure(
                FailureKind.WRONG_RESULT,
                f"{found.errors} of {done} units of work failed; a configuration is measured only "
                "where the workload succeeds.",
            )
        return found
