"""`tunekit audit`: who did what on a service."""

from __future__ import annotations

from typing import Annotated

import typer

from tunekit.cli.options import Fields, ListFormat, ManyFormat
from tunekit.cli.services import Service, open_service

COLUMNS = ("at", "principal", "address", "action", "project", "study_id", "data")
PAGE = 1000


def audit(
    project: Annotated[
        str | None, typer.Option(help="Only this project's, for its admins. Default: all.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="Show at most this many entries.")
    ] = 100,
    url: Service = None,
    form: ManyFormat = ListFormat.TABLE,
    fields: Fields = None,
) -> None:
    """Show the audit log, the newest entries first: who asked, told, changed and logged in."""
    from dataclasses import asdict

    from tunekit.cli.output import emit_list, moment
    from tunekit.storages.codec import from_dict
    from tunekit.storages.http.connection import quoted
    from tunekit.storages.http.oversight_messages import AuditEntry, AuditPage

    path = "/audit" if project is None else f"/projects/{quoted(project)}/audit"
    entries: list[AuditEntry] = []
    before: int | None = None
    with open_service(url) as service:
        while len(entries) < limit:
            query = {"before": before, "limit": min(limit - len(entries), PAGE)}
            page = from_dict(AuditPage, service.request("GET", path, query=query).doc)
            entries += page.entries
            if (before := page.before) is None:
                break
    records = [{**asdict(entry), "at": moment(entry.at)} for entry in entries]
    emit_list("entries", records, form, columns=COLUMNS, fields=fields)
