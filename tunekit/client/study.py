"""A study as a thin worker sees it: a source of trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tunekit.client.leases import LOST
from tunekit.client.log import log
from tunekit.client.trial import Result, ServiceTrial
from tunekit.errors import InvalidResult, TrialConflict, TrialPaused, TrialStopped
from tunekit.identifiers import new_id
from tunekit.storages.http.connection import quoted

if TYPE_CHECKING:
    from tunekit.client.client import Client

LONGEST_WAIT_S = 30.0
"""Seconds that one request waits for a free trial at most."""

GONE = (*LOST, TrialConflict)


class ServiceStudy:
    """A study of the service.

    Attributes:
        client: through which it is reached.
        name: of the study.
        state: as of the last request for a trial.
        reason: why that request gave no trial; empty if it gave one.
        is_over: whether none will come any more.
    """

    def __init__(self, client: Client, record: Mapping[str, Any]) -> None:
        self.client = client
        self.name = str(record["spec"]["name"])
        self.state = str(record.get("state", "active"))
        self.reason = ""
        self.is_over = False
        self.path = f"/projects/{quoted(client.project)}/studies/{record['id']}"
        self._objectives = tuple(str(o["metric"]) for o in record["spec"]["objectives"])

    @property
    def objective(self) -> str:
        """Return the name of the only objective.

        Raises:
            InvalidResult: there are several.
        """
        if len(self._objectives) != 1:
            raise InvalidResult(
                f"study {self.name!r} has the objectives {', '.join(self._objectives)}; give "
                "metrics by name."
            )
        return self._objectives[0]

    def ask(self, *, wait_s: float = LONGEST_WAIT_S) -> ServiceTrial | None:
        """Return a trial to run, `None` if none is free; `reason` then says why.

        Results in the spool are sent first.

        Args:
            wait_s: seconds to wait for a free trial.

        Raises:
            StorageUnreachable: the service stayed away for minutes.
        """
        self.client.spool.flush()
        lease_s = self.client.leases.lease_s
        body = {
            "worker": self.client.worker,
            "key": new_id(),
            "lease_s": lease_s,
            "wait_s": min(wait_s, LONGEST_WAIT_S),
        }
        asked = self.client.http.request("POST", f"{self.path}/trials:ask", body).doc
        self.state, self.reason = str(asked["state"]), str(asked["reason"])
        self.is_over = bool(asked["is_over"])
        if not asked["trials"]:
            return None
        trial = ServiceTrial(self, asked["trials"][0])
        self.client.leases.hold(trial)
        return trial

    def run(self, objective: Callable[[ServiceTrial], Result], n_trials: int | None = None) -> int:
        """Run trials until the study is over; return how many were run.

        An exception makes a trial FAILED, and the next one starts. On Ctrl-C the running trial
        is given back.

        Args:
            objective: gets a trial, returns its value or metrics.
            n_trials: trials after which to end; `None` for no limit.

        Raises:
            StorageUnreachable: the service stayed away for minutes.
        """
        done = 0
        while n_trials is None or done < n_trials:
            trial = self.ask()
            if trial is not None:
                _run_one(trial, objective)
                done += 1
            elif self.is_over:
                break
        return done


def _run_one(trial: ServiceTrial, objective: Callable[[ServiceTrial], Any]) -> None:
    try:
        _evaluate(trial, objective)
    except GONE as error:
        log().warning("trial %d goes on elsewhere, its result is dropped: %s", trial.number, error)


def _evaluate(trial: ServiceTrial, objective: Callable[[ServiceTrial], Any]) -> None:
    try:
        result = objective(trial)
        trial.tell(result)
    except TrialPaused:
        trial.tell(state="paused")
    except TrialStopped:
        trial.tell(state="stopped")
    except GONE:
        raise
    except Exception as error:  # also a result that the service refuses
        trial.fail(error)
    except BaseException:
        trial.release("its worker was interrupted")
        raise
