"""`tunekit share`: links that show one study to outsiders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from tunekit.cli.command import command, terminal
from tunekit.cli.options import Fields, ListFormat, ManyFormat
from tunekit.cli.worker import URL

if TYPE_CHECKING:
    from tunekit.storages.http.connection import Connection

app = typer.Typer(
    help="Links that show one study of a service to outsiders: create, ls, revoke.",
    no_args_is_help=True,
)

TIMES = ("created", "expires", "revoked")
COLUMNS = ("id", "label", "author", *TIMES)
Study = Annotated[str, typer.Argument(help="Name of the study.")]


@command(app, "create")
def create(
    study: Study,
    label: Annotated[str, typer.Option(help="What the link is for.")] = "",
    days: Annotated[float, typer.Option(help="Days until it expires, up to 90.")] = 30.0,
    url: URL = None,
) -> None:
    """Create a link to a study and print its secret, this once.

    Whoever sends it as the header X-Share-Link reads /api/v1/shared/study, /trials, /reports and
    /events there: without errors, paths, hosts and names of people.
    """
    with _links_of(study, url) as (service, path):
        new = {"label": label, "days": days}
        made = service.request("POST", path, new, is_repeatable=False).doc
    terminal.print_line(f"share link {made['link']['id']}; its secret is shown this once:")
    typer.echo(made["secret"])


@command(app, "ls")
def ls(
    study: Study, url: URL = None, form: ManyFormat = ListFormat.TABLE, fields: Fields = None
) -> None:
    """List the links of a study, without their secrets, the newest first."""
    from dataclasses import asdict

    from tunekit.cli.output import emit_list, moment
    from tunekit.storages.codec import from_dict
    from tunekit.storages.http.oversight_messages import ShareLinks

    with _links_of(study, url) as (service, path):
        links = from_dict(ShareLinks, service.request("GET", path).doc).links
    records = [
        {**asdict(link), **{name: moment(getattr(link, name)) for name in TIMES}} for link in links
    ]
    emit_list("links", records, form, columns=COLUMNS, fields=fields)


@command(app, "revoke")
def revoke(
    study: Study,
    link_id: Annotated[int, typer.Argument(metavar="ID", help="As `tunekit share ls` shows it.")],
    url: URL = None,
) -> None:
    """Revoke a link at once."""
    with _links_of(study, url) as (service, path):
        service.request("DELETE", f"{path}/{link_id}")
    terminal.print_line(f"share link {link_id} is revoked")


@contextmanager
def _links_of(study: str, url: str | None) -> Iterator[tuple[Connection, str]]:
    """Yield the service and the path of the links of a study."""
    from tunekit.cli.stores import url_of
    from tunekit.storages.http.connection import quoted
    from tunekit.storages.http.urls import open_project

    service, storage = open_project(url_of(url), "has share links")
    with closing(storage):
        study_id = storage.get_study(study).id
        yield service, f"/projects/{quoted(storage.project)}/studies/{study_id}/share-links"
