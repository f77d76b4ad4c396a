"""The route of workers: reports, results and claims of one worker in one transaction."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Request, Response

from tunekit.service.access.roles import Role
from tunekit.service.endpoints import endpoint, reply
from tunekit.service.links import Links
from tunekit.service.routes.parts import ITEMS, InProject, page_of
from tunekit.storages.base import ExchangeRequest
from tunekit.storages.codec import to_dict
from tunekit.storages.http.messages import ExchangeAnswer

router = APIRouter(prefix="/projects/{project}/studies/{study_id}", tags=["trials"])


@endpoint(
    router, "POST", "/trials:exchange", role=Role.WORKER, body=ExchangeRequest,
    example={"worker": "gpu-1", "claim": {"n": 1, "key": "k1"}},
    answer=ExchangeAnswer, links=Links({"number": "$response.body#/exchange/leases/0/number"}),
)  # fmt: skip
async def exchange(
    request: Request, storage: InProject, study_id: int, given: ExchangeRequest
) -> Response:
    """Apply a worker's operations in order, then claim trials, in one transaction."""
    request.state.worker = given.worker
    commits = request.app.state.service.commits
    answer = await commits.exchange(storage, study_id, given)
    changes = answer.changes
    if changes is None or not changes.trials:
        return reply(ExchangeAnswer(answer))
    page = page_of(changes.trials, reserved=20_000)
    doc = to_dict(replace(answer, changes=None))
    cursor = page.items[-1].seq if page.is_cut else changes.cursor
    doc["changes"] = {"trials": ITEMS, "cursor": cursor}
    return page.reply({"exchange": doc, "more": page.is_cut})
