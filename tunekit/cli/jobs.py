"""`tunekit submit` and `tunekit jobs`: queue studies for runners, and follow them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunekit.cli.command import command
from tunekit.cli.options import Format, ListFormat, ManyFormat, OneFormat
from tunekit.cli.worker import URL

if TYPE_CHECKING:
    from tunekit.storages.http.job_messages import Job
    from tunekit.storages.http.jobs import HTTPJobs

app = typer.Typer(help="Submitted jobs: ls, show, change, cancel.", no_args_is_help=True)

COLUMNS = ("id", "name", "owner", "state", "weight", "priority", "reason")
Id = Annotated[int, typer.Argument(min=1, help="Number of the job.")]
Weight = Annotated[float | None, typer.Option("--weight", help="Its share is proportional to it.")]
Priority = Annotated[
    int | None, typer.Option("--priority", help="Higher ones are served in full before.")
]


def submit(
    file: Annotated[Path, typer.Argument(metavar="STUDY.YAML", help="As for `tunekit run`.")],
    url: URL = None,
    weight: Weight = None,
    priority: Priority = None,
    form: OneFormat = Format.TABLE,
) -> None:
    """Queue the study of a file for a runner.

    The objective or program is named by its path below a folder that the runner allows; the
    space is read here and sent along. The service stores the file as data and runs nothing.
    """
    from tunekit.cli.job_running import refuse_runners_own
    from tunekit.cli.runner import make_space, study_name
    from tunekit.cli.settings import checked, read_file
    from tunekit.spaces.serialize import space_to_dict

    given = read_file(file)
    refuse_runners_own(given)
    settings = checked(given, source=str(file))
    doc = settings.model_dump(mode="json", exclude_defaults=True)
    doc["name"] = study_name(settings)
    space = make_space(settings.space, file.resolve().parent)
    if space is not None:
        doc["space"] = space_to_dict(space)
    share: dict[str, Any] = {
        "weight": 1.0 if weight is None else weight,
        "priority": priority or 0,
    }
    with _jobs(url) as jobs:
        job = jobs.submit(doc, **share)
    _show(job, form)


@command(app, "ls")
def ls(url: URL = None, form: ManyFormat = ListFormat.TABLE) -> None:
    """List the jobs of a project."""
    from tunekit.cli.output import emit_list

    with _jobs(url) as jobs:
        rows = [_row(job) for job in jobs.list_jobs()]
    emit_list("jobs", rows, form, columns=COLUMNS)


@command(app, "show")
def show(job: Id, url: URL = None, form: OneFormat = Format.TABLE) -> None:
    """Show a job with its settings."""
    with _jobs(url) as jobs:
        found = jobs.get(job)
    _show(found, form, settings=dict(found.settings))


@command(app, "change")
def change(
    job: Id,
    url: URL = None,
    weight: Weight = None,
    priority: Priority = None,
    form: OneFormat = Format.TABLE,
) -> None:
    """Change the weight or priority of a job, also while it runs."""
    from tunekit.storages.http.job_messages import JobPatch

    with _jobs(url) as jobs:
        found = jobs.change(job, JobPatch(weight, priority))
    _show(found, form)


@command(app, "cancel")
def cancel(job: Id, url: URL = None, form: OneFormat = Format.TABLE) -> None:
    """Cancel a job; its running trials are given back, and the study stays."""
    with _jobs(url) as jobs:
        found = jobs.cancel(job)
    _show(found, form)


@contextmanager
def _jobs(url: str | None) -> Iterator[HTTPJobs]:
    from tunekit.cli.stores import url_of
    from tunekit.storages.http.jobs import open_service

    storage, jobs = open_service(url_of(url))
    try:
        yield jobs
    finally:
        storage.close()


def _row(job: Job) -> dict[str, Any]:
    return {name: getattr(job, name) for name in COLUMNS} | {"state": str(job.state)}


def _show(job: Job, form: Format, **more: Any) -> None:
    from tunekit.cli.output import emit_one, moment

    times = {name: moment(getattr(job, name)) for name in ("created", "started", "finished")}
    emit_one("job", {**_row(job), "runner": job.runner, **times, **more}, form)
