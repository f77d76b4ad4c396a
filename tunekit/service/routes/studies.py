"""Routes for studies: create, list, read, change, delete."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from tunekit.records import StudyRecord, StudySpec, StudyState
from tunekit.service.access.audited_changes import note
from tunekit.service.access.roles import Role
from tunekit.service.endpoints import body_of, endpoint, reply
from tunekit.service.links import Links
from tunekit.service.routes.parts import (
    ITEMS,
    MAX_ITEMS,
    Expected,
    InProject,
    Key,
    Storing,
    page_of,
)
from tunekit.spaces import Float, Space
from tunekit.spaces.serialize import space_to_dict
from tunekit.storages.http.messages import StudyPage, StudyPatch
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
async def create_study(request: Request, storage: Storing, key: Key) -> Response:
    """Create a study; a request repeated with the same idempotency key returns it again."""
    spec = await body_of(request, StudySpec)
    record = await run_in_threadpool(storage.create_study, spec, key=key)
    note(request, study_id=record.id, name=spec.name)
    return reply(record, 201)


@endpoint(router, "GET", "", role=Role.VIEWER, answer=StudyPage)
async def list_studies(
    storage: InProject,
    after: Annotated[str, Query(max_length=1000, description="Name of the last one.")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_ITEMS)] = MAX_ITEMS,
) -> Response:
    """List the studies of a project by name."""
    every = await run_in_threadpool(storage.list_studies)
    page = page_of((r for r in every if r.spec.name > after), limit=limit)
    return page.reply(
        {"studies": ITEMS, "after": page.items[-1].spec.name if page.is_cut else None}
    )


@endpoint(router, "GET", "/by-name", role=Role.VIEWER, answer=StudyRecord, links=_LINKS)
async def find_study(
    storage: InProject, name: Annotated[str, Query(min_length=1, max_length=1000)]
) -> Response:
    """Return the study of a name."""
    return reply(await run_in_threadpool(storage.get_study, name))


@endpoint(router, "GET", "/{study_id}", role=Role.VIEWER, answer=StudyRecord)
async def get_study(storage: InProject, study_id: int) -> Response:
    """Return a study; its ETag is the version of its space."""
    record = await run_in_threadpool(storage.record, study_id)
    return reply(record, headers={"ETag": f'"{record.space_version}"'})


@endpoint(router, "DELETE", "/{study_id}", role=Role.EDITOR, status=204)
async def delete_study(request: Request, storage: InProject, study_id: int) -> Response:
    """Delete a study with its trials, notes and artifacts."""
    artifacts = request.app.state.service.artifacts
    record = await run_in_threadpool(storage.record, study_id)
    note(request, name=record.spec.name)
    contents = await run_in_threadpool(artifacts.contents_of, study_id)
    await run_in_threadpool(storage.delete_study, record.spec.name)
    await run_in_threadpool(artifacts.delete_contents, contents)
    return Response(status_code=204)


@endpoint(
    router, "PATCH", "/{study_id}", role=Role.EDITOR, body=StudyPatch,
    example={"attrs": {"dataset": "digits"}}, answer=StudyRecord
)  # fmt: skip
async def change_study(request: Request, storage: InProject, study_id: int) -> Response:
    """Pause, resume, stop or cancel a study, or merge attributes into its own."""
    patch = await body_of(request, StudyPatch)
    note(request, state=patch.state, attrs=sorted(patch.attrs))
    if patch.state is StudyState.ACTIVE:
        record = await run_in_threadpool(storage.record, study_id)
        check_runs(replace(record.spec, attrs={**record.spec.attrs, **patch.attrs}))
    if patch.attrs:
        await run_in_threadpool(storage.set_attrs, study_id, patch.attrs)
    if patch.state is not None:
        await run_in_threadpool(storage.set_state, study_id, patch.state)
    return reply(await run_in_threadpool(storage.record, study_id))


@endpoint(
    router, "PUT", "/{study_id}/goal", role=Role.EDITOR, body=StudySpec, answer=StudyRecord
)  # fmt: skip
async def set_goal(
    request: Request, storage: InProject, study_id: int, expected: Expected
) -> Response:
    """Replace objectives and constraints, if no event came after the number in If-Match."""
    spec = await body_of(request, StudySpec)
    await run_in_threadpool(storage.set_goal, study_id, spec, expected_seq=expected)
    return reply(await run_in_threadpool(storage.record, study_id))
