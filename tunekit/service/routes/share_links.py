"""Routes of admins for the share links of a study."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from tunekit.service.access.audited_changes import note
from tunekit.service.access.roles import Role
from tunekit.service.access.share_links import ShareLinkBook
from tunekit.service.endpoints import endpoint
from tunekit.service.links import Links
from tunekit.service.routes.parts import InProject, listed
from tunekit.storages.codec import to_dict
from tunekit.storages.http.oversight_messages import NewShareLink, ShareLinks, ShareSecret

router = APIRouter(prefix="/projects/{project}/studies/{study_id}", tags=["share links"])

LinkId = Annotated[int, Path(ge=1, le=2**31 - 1, description="Id of a share link.")]

_FOUND = "$response.body#/secret"
_LINKS = Links(
    {"link_id": "$response.body#/link/id", "x-share-link": _FOUND},
    sends={"open_share_link": {"secret": _FOUND}},
)


@endpoint(
    router, "POST", "/share-links", role=Role.ADMIN, body=NewShareLink,
    example={"label": "for the review", "days": 7}, answer=ShareSecret,
    status=201,
    links=_LINKS,
)  # fmt: skip
def create_share_link(
    request: Request, storage: InProject, study_id: int, given: NewShareLink
) -> ShareSecret:
    """Create a link that shows this study; its secret is in this answer only."""
    record = storage.record(study_id)
    note(request, **to_dict(given))
    return _book(request).create(
        storage.project, record.id, given, author=request.state.principal.name
    )


@endpoint(router, "GET", "/share-links", role=Role.ADMIN, answer=ShareLinks)
def list_share_links(request: Request, storage: InProject, study_id: int) -> Response:
    """List the links of this study, without their secrets, the newest first."""
    record = storage.record(study_id)
    return listed("links", _book(request).links(storage.project, record.id))


@endpoint(router, "DELETE", "/share-links/{link_id}", role=Role.ADMIN, status=204)
def revoke_share_link(
    request: Request, storage: InProject, study_id: int, link_id: LinkId
) -> None:
    """Revoke a link at once."""
    _book(request).revoke(storage.project, study_id, link_id)


def _book(request: Request) -> ShareLinkBook:
    book: ShareLinkBook = request.app.state.service.share_links
    return book
