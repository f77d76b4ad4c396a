"""Routes for what people put on a study to find it again: tags, a name, an archive."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from tunekit.records import StudyRecord
from tunekit.service.access.audited_changes import note
from tunekit.service.access.roles import Role
from tunekit.service.endpoints import endpoint, reply
from tunekit.service.jobs import Jobs
from tunekit.service.routes.parts import InProject
from tunekit.storages.base import Storage
from tunekit.storages.http.messages import StudyName, Tags
from tunekit.storages.project import ProjectStorage
from tunekit.studies import labels

router = APIRouter(prefix="/projects/{project}/studies", tags=["studies"])


@endpoint(
    router, "PUT", "/{study_id}/tags", role=Role.EDITOR, body=Tags,
    example={"tags": ["baseline"]}, answer=StudyRecord,
)  # fmt: skip
def set_tags(request: Request, storage: InProject, study_id: int, given: Tags) -> StudyRecord:
    """Replace the tags of a study, up to 20 of up to 40 characters."""
    tags = labels.checked_tags(given.tags)
    note(request, tags=tags)
    labels.set_tags(storage, study_id, tags)
    return storage.record(study_id)


@endpoint(
    router, "PUT", "/{study_id}/name", role=Role.EDITOR, body=StudyName,
    example={"name": "digits-2"}, answer=StudyRecord,
)  # fmt: skip
def rename_study(
    request: Request, storage: InProject, study_id: int, given: StudyName
) -> StudyRecord:
    """Give a study another name; its trials, workers and links stay."""
    before = storage.record(study_id).spec.name
    jobs: Jobs = request.app.state.service.jobs
    jobs.check_free(storage.project, before)
    note(request, before=before, name=given.name)
    storage.rename_study(study_id, given.name)
    return storage.record(study_id)


@endpoint(router, "POST", "/{study_id}:archive", role=Role.EDITOR, answer=StudyRecord)
async def archive_study(storage: InProject, study_id: int) -> Response:
    """Stop a study and leave it out of lists; nothing is deleted."""
    return await _changed(storage, study_id, labels.archive)


@endpoint(router, "POST", "/{study_id}:restore", role=Role.EDITOR, answer=StudyRecord)
async def restore_study(storage: InProject, study_id: int) -> Response:
    """Show an archived study in lists again; it stays stopped until it is resumed."""
    return await _changed(storage, study_id, labels.restore)


async def _changed(
    storage: ProjectStorage, study_id: int, change: Callable[[Storage, int], None]
) -> Response:
    await run_in_threadpool(change, storage, study_id)
    return reply(await run_in_threadpool(storage.record, study_id))
