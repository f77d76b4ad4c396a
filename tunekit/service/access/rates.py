"""Limits how many requests a caller and an address may send a second.

Reference:
    Tanenbaum and Wetherall, Computer Networks, 5.4.2: the token bucket.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from tunekit.errors import QuotaReached

MAX_BUCKETS = 10_000
"""Callers that are remembered; the one that was silent for longest is forgotten first."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests a second in the long run, and how many may come at once."""

    per_s: float
    burst: float


class Buckets:
    """Holds one token bucket for each caller; to be used from one thread.

    Args:
        rate: of each caller.
        clock: gives seconds that never go back.
    """

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._filled: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, when

    def __len__(self) -> int:
        return len(self._filled)

    def take(self, caller: str) -> float:
        """Take one token; return 0, or the seconds after which there is one again."""
        rate, now = self._rate, self._clock()
        tokens, at = self._filled.pop(caller, (rate.burst, now))
        tokens = min(rate.burst, tokens + (now - at) * rate.per_s)
        wait_s = 0.0 if tokens >= 1.0 else (1.0 - tokens) / rate.per_s
        self._filled[caller] = (tokens if wait_s else tokens - 1.0, now)
        if len(self._filled) > MAX_BUCKETS:
            self._filled.popitem(last=False)
        return wait_s


@dataclass(frozen=True, slots=True)
class RateSettings:
    """Rates of one process of the service.

    Workers stay far below the first two: a worker exchanges a few times a trial, and one process
    answers fewer requests a second than one caller may send.

    Attributes:
        caller: of an account or machine token.
        address: of a network address, which many workers may share.
        login: of attempts to log in, and of requests with unknown credentials, of an address.
    """

    caller: Rate = Rate(1000.0, 5000.0)
    address: Rate = Rate(2000.0, 10_000.0)
    login: Rate = Rate(0.5, 20.0)


@dataclass
class RateLimits:
    """Counts the requests of this process.

    Attributes:
        settings: the rates.
        clock: gives seconds that never go back.
    """

    settings: RateSettings = RateSettings()
    clock: Callable[[], float] = time.monotonic
    _callers: Buckets = field(init=False)
    _addresses: Buckets = field(init=False)
    _logins: Buckets = field(init=False)

    def __post_init__(self) -> None:
        self._callers = Buckets(self.settings.caller, self.clock)
        self._addresses = Buckets(self.settings.address, self.clock)
        self._logins = Buckets(self.settings.login, self.clock)

    def count_caller(self, name: str) -> None:
        """Count a request of an account or machine token.

        Raises:
            QuotaReached: there were too many.
        """
        _check(self._callers.take(name), f"requests of {name!r}")

    def count_address(self, address: str) -> None:
        """Count a request of a network address.

        Raises:
            QuotaReached: there were too many.
        """
        _check(self._addresses.take(address), "requests from this address")

    def count_login(self, address: str) -> None:
        """Count an attempt of an address to log in.

        Raises:
            QuotaReached: there were too many.
        """
        _check(self._logins.take(address), "attempts to log in from this address")


def _check(wait_s: float, what: str) -> None:
    if wait_s:
        raise QuotaReached(f"too many {what}; wait {wait_s:.3g} s and repeat.", wait_s)
