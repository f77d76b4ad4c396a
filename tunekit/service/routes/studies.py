"""Routes for studies: create, list, read, change, delete."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from tunekit.records import StudyRecord, StudySpec, StudyState
from tunekit.service.access.audited_changes import note
from tunekit.service.access.roles import Role
from tunekit.service.endpoints import endpoint, reply
from tunekit.service.links import Links
from tunekit.service.routes.parts import (
    MAX_ITEMS,
    Expected,
    InProject,
    Key,
    Storing,
    listed,
)
from tunekit.spaces import Float, Space
from tunekit.spaces.serialize import space_to_dict
from tunekit.storages.http.messages import StudyPatch, StudyRecordPage
from tunekit.studies.labels import check_runs

router = APIRouter(prefix="/projects/{project}/studies", tags=["studies"])

_LINKS = Links(
    {"study_id": "$response.body#/id"},
    sends={"set_goal": "$response.body#/spec"},
    parameters={
        "set_goal": {"if-match": "$response.body#/seq"},
        "find_study": {"name": "$response.body#/spec/name"},
    },
)

EXAMPLE = {
    "name": "digits",
    "objectives": [{"metric": "loss", "direction": "minimize"}],
    "space": space_to_dict(Space(lr=Float(1e-4, 1.0, log=True))),
}
"""A study that can be created."""


@endpoint(
    router, "POST", "", role=Role.EDITOR, body=StudySpec, answer=StudyRecord, status=201,
    links=_LINKS, example=EXAMPLE,
)  # fmt: skip
def create_study(request: Request, storage: Storing, key: Key, given: StudySpec) -> StudyRecord:
    """Create a study; a request repeated with the same idempotency key returns it again."""
    record = storage.create_study(given, key=key)
    note(request, study_id=record.id, name=given.name)
    return record


@endpoint(router, "GET", "", role=Role.VIEWER, answer=StudyRecordPage)
def list_studies(
    storage: InProject,
    after: Annotated[str, Query(max_length=1000, description="Name of the last one.")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_ITEMS)] = MAX_ITEMS,
) -> Response:
    """List the studies of a project by name."""
    every = storage.list_studies()
    later = (r for r in every if r.spec.name > after)
    return listed("studies", later, limit, cursor=lambda record: record.spec.name)


@endpoint(router, "GET", "/by-name", role=Role.VIEWER, answer=StudyRecord, links=_LINKS)
def find_study(
    storage: InProject, name: Annotated[str, Query(min_length=1, max_length=1000)]
) -> StudyRecord:
    """Return the study of a name."""
    return storage.get_study(name)


@endpoint(router, "GET", "/{study_id}", role=Role.VIEWER, answer=StudyRecord)
def get_study(storage: InProject, study_id: int) -> Response:
    """Return a study; its ETag is the version of its space."""
    record = storage.record(study_id)
    return reply(record, headers={"ETag": f'"{record.space_version}"'})


@endpoint(router, "DELETE", "/{study_id}", role=Role.EDITOR, status=204)
def delete_study(request: Request, storage: InProject, study_id: int) -> None:
    """Delete a study with its trials, notes and artifacts."""
    artifacts = request.app.state.service.artifacts
    record = storage.record(study_id)
    note(request, name=record.spec.name)
    contents = artifacts.contents_of(study_id)
    storage.delete_study(record.spec.name)
    artifacts.delete_contents(contents)


@endpoint(
    router, "PATCH", "/{study_id}", role=Role.EDITOR, body=StudyPatch,
    example={"attrs": {"dataset": "digits"}}, answer=StudyRecord
)  # fmt: skip
def change_study(
    request: Request, storage: InProject, study_id: int, given: StudyPatch
) -> StudyRecord:
    """Pause, resume, stop or cancel a study, or merge attributes into its own."""
    note(request, state=given.state, attrs=sorted(given.attrs))
    if given.state is StudyState.ACTIVE:
        record = storage.record(study_id)
        check_runs(replace(record.spec, attrs={**record.spec.attrs, **given.attrs}))
    if given.attrs:
        storage.set_attrs(study_id, given.attrs)
    if given.state is not None:
        storage.set_state(study_id, given.state)
    return storage.record(study_id)


@endpoint(
    router, "PUT", "/{study_id}/goal", role=Role.EDITOR, body=StudySpec, answer=StudyRecord
)  # fmt: skip
def set_goal(
    storage: InProject, study_id: int, expected: Expected, given: StudySpec
) -> StudyRecord:
    """Replace objectives and constraints, if no event came after the number in If-Match."""
    storage.set_goal(study_id, given, expected_seq=expected)
    return storage.record(study_id)
