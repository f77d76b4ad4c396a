"""A worker that sends the plain requests of a program without tunekit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from tunekit.errors import TunekitError
from tunekit.storages.http.connection import Connection
from tunekit.storages.http.storage import HTTPStorage

Doc = dict[str, Any]


class PlainWorker:
    """Asks, reports and tells for one study; errors of the service are raised as their class.

    Args:
        url: of the service.
        study: name of the study.
        worker: name of this worker.
        project: of the study.
        outage_s: seconds for which a busy or silent service is asked again.
    """

    def __init__(
        self,
        url: str,
        study: str,
        *,
        worker: str = "w",
        project: str = "default",
        outage_s: float = 0.0,
    ) -> None:
        self._http = Connection(url, outage_s=outage_s)
        found = HTTPStorage(self._http, project).get_study(study)
        self._worker = worker
        self.study_id = found.id
        self._path = f"/projects/{project}/studies/{found.id}/trials"

    def ask(self, n: int = 1, *, key: str | None = None, **fields: Any) -> Doc:
        """Return the answer to a request for trials."""
        return self.post(":ask", {"n": n, "key": key or uuid4().hex, **fields})

    def ask_one(self) -> Doc:
        """Return a trial."""
        (trial,) = self.ask()["trials"]
        found: Doc = trial
        return found

    def tell(self, trial: Mapping[str, Any], loss: float | None = None, **fields: Any) -> Doc:
        """End a trial with a value of the metric `loss`, or as the fields say."""
        metrics = {} if loss is None else {"metrics": {"loss": loss}}
        doc = {"epoch": trial["epoch"], "key": uuid4().hex, **metrics, **fields}
        return self.post(f"/{trial['number']}:tell", doc)

    def report(self, trial: Mapping[str, Any], *points: tuple[int, float], **fields: Any) -> Doc:
        """Return the decision after reports of the metric `loss`, given by step and value."""
        reports = [{"step": step, "metrics": {"loss": loss}} for step, loss in points]
        doc = {"epoch": trial["epoch"], "reports": reports, **fields}
        decision: Doc = self.post(f"/{trial['number']}:report", doc)["decision"]
        return decision

    def renew(self, trial: Mapping[str, Any], lease_s: float = 60.0) -> Doc:
        """Extend the lease of a trial."""
        return self.post(
            f"/{trial['number']}:heartbeat", {"epoch": trial["epoch"], "lease_s": lease_s}
        )

    def release(self, trial: Mapping[str, Any], reason: str = "") -> Doc:
        """Give a trial back."""
        return self.post(
            f"/{trial['number']}:release", {"epoch": trial["epoch"], "reason": reason}
        )

    def run(self, objective: Callable[[Mapping[str, Any]], float], n: int) -> list[Doc]:
        """Ask for `n` trials one after the other and tell their results; return the params."""
        found = []
        for _ in range(n):
            trial = self.ask_one()
            self.tell(trial, objective(trial["params"]))
            found.append(trial["params"])
        return found

    def refusal(self, *args: Any, **fields: Any) -> TunekitError:
        """Return the error with which a request for trials is refused."""
        try:
            answer = self.ask(*args, **fields)
        except TunekitError as error:
            return error
        raise AssertionError(f"the service answered {answer}")

    def post(self, path: str, doc: Doc) -> Doc:
        """Return the answer to a request below the study's trials."""
        answer: Doc = self._http.request(
            "POST", f"{self._path}{path}", {"worker": self._worker, **doc}
        ).doc
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
