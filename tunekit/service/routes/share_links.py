"""Routes of admins for the share links of a study."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.concurrency import run_in_threadpool

from tunekit.service.access.audited_changes import note
from tunekit.service.access.roles import Role
from tunekit.service.access.share_links import ShareLinkBook
from tunekit.service.endpoints import body_of, endpoint, reply
from tunekit.service.links import Links
from tunekit.service.routes.parts import ITEMS, InProject, page_of
from tunekit.storages.codec import to_dict
from tunekit.storages.http.oversight_messages import NewShareLink, ShareLinks, ShareSecret

router = APIRouter(prefix="/projects/{project}/studies/{study_id}", tags=["share links"])

LinkId = Annotated[int, Path(ge=1, le=2**31 - 1, description="Id of a share link.")]

_LINKS = Links(
    {"link_id": "$response.body#/link/id"},
    parameters={
        name: {"x-share-link": "$response.body#/secret"}
        for name in (
            "get_shared_study",
            "list_shared_trials",
            "list_shared_reports",
            "list_shared_events",
        )
    },
)


@endpoint(
    router, "POST", "/share-links", role=Role.ADMIN, body=NewShareLink,
    example={"label": "for the review", "days": 7}, answer=ShareSecret,
    status=201,
    links=_LINKS,
)  # fmt: skip
async def create_share_link(request: Request, storage: InProject, study_id: int) -> Response:
    """Create a link that shows this study; its secret is in this answer only."""
    new = await body_of(request, NewShareLink)
    record = await run_in_threadpool(storage.record, study_id)
    note(request, **to_dict(new))
    made = await run_in_threadpool(
        _book(request).create, storage.project, record.id, new,
        author=request.state.principal.name,
    )  # fmt: skip
    return reply(made, 201)


@endpoint(router, "GET", "/share-links", role=Role.ADMIN, answer=ShareLinks)
async def list_share_links(request: Request, storage: InProject, study_id: int) -> Response:
    """List the links of this study, without their secrets, the newest first."""
    record = await run_in_threadpool(storage.record, study_id)
    links = await run_in_threadpool(_book(request).links, storage.project, record.id)
    page = page_of(links)
    return page.reply({"links": ITEMS, "more": page.is_cut})


@endpoint(router, "DELETE", "/share-links/{link_id}", role=Role.ADMIN, status=204)
async def revoke_share_link(
    request: Request, storage: InProject, study_id: int, link_id: LinkId
) -> Response:
    """Revoke a link at once."""
    await run_in_threadpool(_book(request).revoke, storage.project, study_id, link_id)
    return Response(status_code=204)


def _book(request: Request) -> ShareLinkBook:
    book: ShareLinkBook = request.app.state.service.share_links
    return book
