"""How much of the machine others use while a server is measured."""

from __future__ import annotations

import os
import time

import psutil


class HostLoad:
    """Counts processor time of the machine from now on."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._busy = _busy_seconds()
        self._own = _own_seconds()

    def others_share(self, server_s: float) -> float:
        """Return the share of the machine's processor time that others used since, 0 to 1.

        Time that a hypervisor took away counts as others'.

        Args:
            server_s: processor seconds of the server in the same time.
        """
        wall = max(time.perf_counter() - self._started, 1e-9)
        used = _busy_seconds() - self._busy - (_own_seconds() - self._own) - server_s
        return min(max(used / (wall * (psutil.cpu_count() or 1)), 0.0), 1.0)


def _busy_seconds() -> float:
    """Return the seconds in which processors were not idle, since the machine started."""
    times = psutil.cpu_times()
    waits = getattr(times, "iowait", 0.0)
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # in user, too
    return float(sum(times) - times.idle - waits - guests)


def _own_seconds() -> float:
    """Return the processor seconds of this process and of the clients that it has run."""
    return sum(os.times()[:4])
