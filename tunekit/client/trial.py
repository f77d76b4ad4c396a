"""One trial that this worker runs, while its sampler and stopper are in the service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tunekit.client.leases import LOST
from tunekit.client.log import log
from tunekit.client.numbers import number, written
from tunekit.client.reports import Report, ReportBatches, ReportDecision
from tunekit.client.spool import LATER, Post
from tunekit.errors import InvalidResult, TrialConflict, TrialPaused, TrialStopped, TunekitError
from tunekit.identifiers import new_id

if TYPE_CHECKING:
    from tunekit.client.study import ServiceStudy

REPORT_OUTAGE_S = 1.0
TELL_OUTAGE_S = 5.0
"""Seconds to try to reach the service, before reports wait and a result stays in the spool."""

Result = float | Mapping[str, float] | None


class ServiceTrial:
    """A trial to evaluate; end it with `tell`, `fail` or `release`.

    Attributes:
        number: in its study.
        params: the point to evaluate.
        sampler: who proposed it; `reason` says why.
        start_step: step of the checkpoint that it goes on from, `None` from the beginning.
        user_attrs: plain JSON to keep with the trial; sent with its end.
        lost: set when another worker has taken the trial over; `report` and `tell` raise it.
    """

    def __init__(self, study: ServiceStudy, asked: Mapping[str, Any]) -> None:
        self.number = int(asked["number"])
        self.params = dict(asked["params"])
        self.sampler = str(asked["sampler"])
        self.reason = str(asked["reason"])
        self.start_step: int | None = asked["start_step"]
        self.user_attrs: dict[str, Any] = {}
        self.lost: TunekitError | None = None
        self._study = study
        self._client = study.client
        self._lease = {"worker": self._client.worker, "epoch": asked["epoch"]}
        self._path = f"{study.path}/trials/{self.number}"
        self._key = new_id()
        self._reports = ReportBatches(self._send)

    def __repr__(self) -> str:
        """Show the study, the number and the point."""
        return f"<Trial {self.number} of {self._study.name!r}: {self.params}>"

    def report(self, step: int, value: float | None = None, **metrics: float) -> ReportDecision:
        """Report metrics at a step, of which `value` is that of the only objective.

        Reports are sent together: 50 at a time, or the next one after half a second. Between
        the requests the latest decision counts, so a stop arrives with a later report. While
        the service is away nothing waits for it; what was reported is sent later.

        Raises:
            TrialStopped, TrialPaused: the stopper ends the trial; let it propagate to
                `ServiceStudy.run`, or tell it with state "stopped" or "paused".
            LeaseLost: another worker has the trial now.
            InvalidResult: no metric was given, or `value` where there are several objectives.
        """
        self._check_held()
        if value is not None:
            metrics = {self._study.objective: value, **metrics}
        if not metrics:
            raise InvalidResult(f"step {step}: got no metric; report such as loss=0.5.")
        return self._obey(self._reports.add(step, metrics))

    def flush(self) -> ReportDecision:
        """Send all reports now, such as before a checkpoint, and return the decision.

        Raises:
            What `report` raises.
        """
        self._check_held()
        return self._obey(self._reports.flush())

    def tell(
        self,
        result: Result = None,
        *,
        state: str = "complete",
        reason: str = "",
        error: str = "",
    ) -> bool:
        """End the trial; return whether the service has the result already.

        It is written to the spool first. Where the service is away, it stays there and is sent
        before the next trial is asked for, by this process or another one.

        Args:
            result: value of the only objective, or metrics by name.
            state: "complete", "failed", "stopped" or "paused".
            reason: one sentence.
            error: traceback of a failure.

        Raises:
            LeaseLost, TrialConflict: the trial has been finished by another worker, or otherwise.
            InvalidResult: a metric is missing or no number.
        """
        self._check_held()
        body: dict[str, Any] = {**self._lease, "key": self._key, "state": str(state)}
        body |= {"reason": reason, "error": error, "user_attrs": self.user_attrs}
        if isinstance(result, Mapping):
            body["metrics"] = written(result)
        elif result is not None:
            body["value"] = number(result, "value")
        posts = [self._report_post(part) for part in self._reports.take()]
        kept = self._client.spool.add([*posts, Post(f"{self._path}:tell", body)])
        try:
            self._client.spool.send(kept, outage_s=TELL_OUTAGE_S)
        except LATER as away:  # its lease is renewed until the result is sent
            log().warning("the result of trial %d is kept in %s: %s", self.number, kept, away)
            return False
        except (*LOST, TrialConflict):
            self._client.leases.drop(self)
            raise
        self._client.leases.drop(self)
        return True

    def fail(self, error: BaseException | str) -> bool:
        """End the trial as failed, with an exception or a sentence; return as `tell`."""
        if isinstance(error, str):
            return self.tell(state="failed", reason=error)
        import traceback

        said = "".join(traceback.format_exception_only(error)).strip().splitlines()
        text = "".join(traceback.format_exception(error))
        return self.tell(state="failed", reason=said[-1] if said else "", error=text)

    def release(self, reason: str = "") -> None:
        """Give the trial back unfinished; another worker runs it.

        Raises:
            LeaseLost: another worker has it already.
        """
        self._check_held()
        self._reports.flush()
        body = {**self._lease, "reason": reason}
        self._client.http.request("POST", f"{self._path}:release", body)
        self._client.leases.drop(self)

    def renew(self, *, outage_s: float) -> None:
        """Renew the lease; the client's heartbeat calls it."""
        body = {**self._lease, "lease_s": self._client.leases.lease_s}
        self._client.http.request("POST", f"{self._path}:heartbeat", body, outage_s=outage_s)

    def _check_held(self) -> None:
        if self.lost is not None:
            raise self.lost

    def _obey(self, verdict: ReportDecision) -> ReportDecision:
        if verdict.action == "stop":
            raise TrialStopped(verdict.reason)
        if verdict.action == "pause":
            raise TrialPaused(verdict.reason)
        return verdict

    def _send(self, reports: Sequence[Report]) -> ReportDecision:
        post = self._report_post(reports)
        answer = self._client.http.request("POST", post.path, post.body, outage_s=REPORT_OUTAGE_S)
        return ReportDecision(**answer.doc["decision"])

    def _report_post(self, reports: Sequence[Report]) -> Post:
        lease_s = self._client.leases.lease_s
        body = {**self._lease, "reports": list(reports), "lease_s": lease_s}
        return Post(f"{self._path}:report", body)
