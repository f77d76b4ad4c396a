"""Routes about the quotas and the audit log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from tunekit.service.access.audit_log import AuditLog
from tunekit.service.access.audited_changes import note
from tunekit.service.access.quotas import QuotaBook
from tunekit.service.access.roles import Role
from tunekit.service.endpoints import endpoint
from tunekit.service.routes.parts import ITEMS, MAX_ITEMS, page_of
from tunekit.storages.codec import to_dict
from tunekit.storages.http.oversight_messages import AuditPage, Quotas, QuotaUse

router = APIRouter(tags=["oversight"])

Before = Annotated[
    int | None, Query(ge=1, le=2**63 - 1, description="Id of the last entry of the last page.")
]
Limit = Annotated[int, Query(ge=1, le=MAX_ITEMS)]


@endpoint(router, "GET", "/projects/{project}/quotas", role=Role.VIEWER, answer=QuotaUse)
def get_quotas(request: Request, project: str) -> QuotaUse:
    """Return the quotas of a project and what it uses of them."""
    book: QuotaBook = request.app.state.service.quotas
    return book.use(project)


@endpoint(
    router, "PUT", "/projects/{project}/quotas", role=Role.OPERATOR, body=Quotas,
    example={"running": 100}, answer=QuotaUse
)  # fmt: skip
def set_quotas(request: Request, project: str, given: Quotas) -> QuotaUse:
    """Replace the quotas of a project; other replicas follow within seconds."""
    book: QuotaBook = request.app.state.service.quotas
    book.set(project, given)
    note(request, **to_dict(given))
    return book.use(project)


@endpoint(router, "GET", "/projects/{project}/audit", role=Role.ADMIN, answer=AuditPage)
def list_project_audit(
    request: Request, project: str, before: Before = None, limit: Limit = 100
) -> Response:
    """Return the audit log of a project, the newest entries first."""
    return _page(request, project, before, limit)


@endpoint(router, "GET", "/audit", role=Role.OPERATOR, answer=AuditPage)
def list_audit(request: Request, before: Before = None, limit: Limit = 100) -> Response:
    """Return the audit log of all projects and of the service, the newest entries first."""
    return _page(request, None, before, limit)


def _page(request: Request, project: str | None, before: int | None, limit: int) -> Response:
    log: AuditLog = request.app.state.service.audit
    found = log.page(project, before=before, limit=limit + 1)
    page = page_of(found, limit=limit)
    return page.reply({"entries": ITEMS, "before": page.items[-1].id if page.is_cut else None})
