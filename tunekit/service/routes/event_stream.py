"""The route that streams a study's events as they happen.

Reference:
    WHATWG HTML, section 9.2, Server-sent events.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent

from tunekit.errors import InvalidArgument, StorageUnreachable, TunekitError
from tunekit.service.access.roles import Role
from tunekit.service.endpoints import endpoint
from tunekit.service.event_hub import EventHub
from tunekit.service.routes.parts import After, InProject
from tunekit.storages.codec import to_dict

router = APIRouter(prefix="/projects/{project}/studies/{study_id}", tags=["reads"])

PAGE = 200
"""Events that are read at once."""
ADMISSION_S = 10.0
"""Seconds after which the right to read is checked again: a token may have been revoked."""


async def last_read(
    request: Request,
    storage: InProject,
    study_id: int,
    after: After = 0,
    last_event_id: Annotated[str | None, Header(max_length=40)] = None,
) -> int:
    """Return the number of the last event that the client has, from header or query.

    Raises:
        InvalidArgument: the header is not the id of an event.
        UnknownStudy: there is no such study in the project.
        StorageUnreachable: this replica is stopping.
    """
    if request.app.state.service.is_stopping:
        raise StorageUnreachable("this replica is stopping; use another one.")
    await run_in_threadpool(storage.record, study_id)
    if not last_event_id:
        return after
    if not last_event_id.isascii() or not last_event_id.isdigit() or len(last_event_id) > 18:
        raise InvalidArgument(
            f"Last-Event-ID {last_event_id!r}, expected the id of an event, such as 17."
        )
    return int(last_event_id)


async def open_stream(request: Request, study_id: int) -> AsyncIterator[EventHub]:
    """Keep the study watched while the answer is sent; too many streams are refused before it."""
    hub: EventHub = request.app.state.service.hub
    host = request.client.host if request.client else ""
    with hub.stream(study_id, request.state.principal.name or host):
        yield hub


@endpoint(router, "GET", "/events:stream", role=Role.VIEWER, streams=EventSourceResponse)
async def stream_events(
    request: Request,
    storage: InProject,
    study_id: int,
    cursor: Annotated[int, Depends(last_read)],
    hub: Annotated[EventHub, Depends(open_stream)],
) -> AsyncIterator[ServerSentEvent]:
    """Stream the log of a study: first what came after the cursor, then each event at once.

    The id of a message is the event's `seq`, its name the event's kind, and its data the event. A
    client that reconnects with `Last-Event-ID` misses nothing. The stream ends when the study is
    deleted, when the caller's right to read it ends, and when the service stops.
    """
    admitted = time.monotonic()
    goes_on = True
    while goes_on:
        events = await run_in_threadpool(storage.events, study_id, cursor, PAGE)
        for event in events:
            cursor = event.seq
            yield ServerSentEvent(data=to_dict(event), event=event.kind, id=str(event.seq))
        if len(events) < PAGE:
            goes_on = await hub.later_than(study_id, cursor, ADMISSION_S)
        if goes_on and time.monotonic() - admitted > ADMISSION_S:
            admitted = time.monotonic()
            goes_on = await _is_admitted(request)


async def _is_admitted(request: Request) -> bool:
    gate = request.app.state.service.gate
    try:
        await gate.admit(request, Role.VIEWER, request.path_params["project"])
    except TunekitError as error:
        return isinstance(error, StorageUnreachable)
    return True
