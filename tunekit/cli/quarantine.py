"""Takes a worker out of service that makes every trial fail, such as one with a broken GPU."""

from __future__ import annotations

import socket

from tunekit.driver.run_settings import failed_way
from tunekit.errors import WorkerQuarantined
from tunekit.records import Outcome, TrialRecord, TrialState


class WorkerQuarantine:
    """Counts trials that fail one after the other for the same cause.

    Args:
        limit: failures after which the worker is to end.

    Attributes:
        error: what to end with; `None` while the worker is sound.
    """

    def __init__(self, limit: int) -> None:
        self.error: WorkerQuarantined | None = None
        self._limit = limit
        self._way = ""
        self._n = 0

    def note(self, trial: TrialRecord) -> None:
        """Take the end of a trial of this worker."""
        if trial.state is not TrialState.FAILED:
            self._way, self._n = "", 0
            return
        way = failed_way(Outcome(trial.state, reason=trial.end_reason, error=trial.error))
        self._n = self._n + 1 if way == self._way else 1
        self._way = way
        if self._n >= self._limit and self.error is None:
            self.error = WorkerQuarantined(
                f"{self._n} trials in a row failed on {socket.gethostname()} for the same cause, "
                f"the last one, trial {trial.number}: {trial.end_reason.rstrip('.')}; the worker "
                "pulls no more. Fix this machine, then start it again."
            )
