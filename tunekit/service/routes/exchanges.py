"""The route of workers: reports, results and claims of one worker in one transaction."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Request, Response

from tunekit.service.access.roles import Role
from tunekit.service.endpoints import body_of, endpoint, reply
from tunekit.service.routes.parts import InProject, page_of
from tunekit.storages.base import Changes, ExchangeRequest
from tunekit.storages.http.messages import ExchangeAnswer

router = APIRouter(prefix="/projects/{project}/studies/{study_id}", tags=["trials"])


@endpoint(
    router, "POST", "/trials:exchange", role=Role.WORKER, body=ExchangeRequest,
    answer=ExchangeAnswer,
)  # fmt: skip
async def exchange(request: Request, storage: InProject, study_id: int) -> Response:
    """Apply a worker's operations in order, then claim trials, in one transaction."""
    asked = await body_of(request, ExchangeRequest)
    request.state.worker = asked.worker
    commits = request.app.state.service.commits
    answer = await commits.exchange(storage, study_id, asked)
    more = False
    if answer.changes is not None and answer.changes.trials:
        trials, more = page_of(answer.changes.trials, reserved=20_000)
        cursor = trials[-1].seq if more else answer.changes.cursor
        answer = replace(answer, changes=Changes(trials, cursor))
    return reply(ExchangeAnswer(answer, more))
