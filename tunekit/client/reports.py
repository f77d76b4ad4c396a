"""Collects the reports of a trial, so that many of them share one request."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from tunekit.client.numbers import written
from tunekit.errors import QuotaReached, ServiceBusy, StorageUnreachable

EVERY_S = 0.5
"""Seconds after which reports that wait are sent with the next one."""

MAX_WAITING = 50
"""Reports that wait at most."""

MAX_SENT = 500
"""Reports in one request, after an outage."""

LONGEST_PAUSE_S = 30.0

Report = dict[str, Any]


class ReportDecision(NamedTuple):
    """What to do after a report: go on, or end the trial as stopped or paused.

    Attributes:
        reason: a sentence.
        evidence: basis of the decision, plain JSON.
    """

    action: Literal["continue", "pause", "stop"]
    reason: str
    evidence: Mapping[str, Any]


GO_ON = ReportDecision("continue", "", {})

Send = Callable[[Sequence[Report]], ReportDecision]


class ReportBatches:
    """The reports of one trial that the service does not have yet.

    While the service is away, they are kept and sent later: a training never waits for it.
    """

    def __init__(self, send: Send) -> None:
        self.verdict = GO_ON
        self._send = send
        self._waiting: list[Report] = []
        self._due = time.monotonic() + EVERY_S
        self._pause_s = EVERY_S
        self._is_away = False

    def add(self, step: int, metrics: Mapping[str, float]) -> ReportDecision:
        """Add a report, send what is due, and return the latest verdict of the service."""
        self._waiting.append({"step": step, "metrics": written(metrics)})
        is_full = len(self._waiting) >= MAX_WAITING and not self._is_away
        if is_full or time.monotonic() >= self._due:
            self.flush()
        return self.verdict

    def flush(self) -> ReportDecision:
        """Send what waits now, and return the latest verdict."""
        try:
            while self._waiting:
                part = self._waiting[:MAX_SENT]
                self.verdict = self._send(part)
                del self._waiting[: len(part)]
            self._is_away, self._pause_s = False, EVERY_S
        except (StorageUnreachable, ServiceBusy, QuotaReached):
            self._is_away, self._pause_s = True, min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._due = time.monotonic() + self._pause_s
        return self.verdict

    def take(self) -> list[list[Report]]:
        """Return what waits, in parts for one request each; it is no longer kept here."""
        waiting, self._waiting = self._waiting, []
        return [waiting[i : i + MAX_SENT] for i in range(0, len(waiting), MAX_SENT)]
