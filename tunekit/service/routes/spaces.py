"""Routes for the current space of a study: read it, preview an edit, store the next version."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from tunekit.errors import InvalidArgument
from tunekit.service.access.audited_changes import note
from tunekit.service.access.roles import Role
from tunekit.service.charts.charts import Charts, has_tag
from tunekit.service.endpoints import endpoint, json_of, reply
from tunekit.service.links import Links
from tunekit.service.routes.parts import InProject, expected_number
from tunekit.spaces import Space
from tunekit.spaces.serialize import space_from_dict, space_to_dict
from tunekit.spaces.versions import SpaceEdit
from tunekit.storages.checks import space_conflict
from tunekit.storages.http.messages import SpaceVersion

router = APIRouter(prefix="/projects/{project}/studies/{study_id}", tags=["studies"])


@endpoint(
    router, "GET", "/space", role=Role.VIEWER, answer=SpaceVersion,
    links=Links(
        sends={"set_space": "$response.body#/space"},
        parameters={"set_space": {"if-match": "$response.header.ETag"}},
    ),
)  # fmt: skip
async def get_space(
    request: Request,
    storage: InProject,
    study_id: int,
    if_none_match: Annotated[str | None, Header(max_length=400)] = None,
) -> Response:
    """Return the current version of a study's space, with the version as its ETag.

    A space that a program discovers has version 0, no ETag, and what is known of it so far.
    """
    record = await run_in_threadpool(storage.record, study_id)
    version = record.space_version
    if version == 0:
        return _json(await _charts(request).space(study_id))
    headers = {"ETag": f'"{version}"', "Cache-Control": "private, no-cache"}
    if has_tag(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    spaces = await run_in_threadpool(storage.spaces, study_id)
    return reply(SpaceVersion(version, space_to_dict(spaces[version])), headers=headers)


@endpoint(router, "PUT", "/space", role=Role.EDITOR, body=Space, answer=(SpaceVersion, SpaceEdit))
async def set_space(
    request: Request,
    storage: InProject,
    study_id: int,
    preview: Annotated[
        bool, Query(description="Say what would change, and store nothing.")
    ] = False,
    if_match: Annotated[
        str | None, Header(max_length=40, description="ETag of the space that was read.")
    ] = None,
) -> Response:
    """Store the next version of the space, if the current one is that in If-Match.

    With `preview=true` the answer says what would change and how many trials would still fit; it
    needs no If-Match.
    """
    space = await _space_of(request)
    expected = None if if_match is None else await expected_number(if_match)
    if preview:
        record = await run_in_threadpool(storage.record, study_id)
        if expected is not None and expected != record.space_version:
            raise space_conflict(expected, record.space_version)
        return _json(await _charts(request).preview(study_id, space))
    if expected is None:
        raise InvalidArgument(
            "the header If-Match is missing; read the space, and send its ETag with the edit."
        )
    version = await run_in_threadpool(
        storage.set_space, study_id, space, expected_version=expected
    )
    note(request, version=version)
    answer = SpaceVersion(version, space_to_dict(space))
    return reply(answer, headers={"ETag": f'"{version}"'})


async def _space_of(request: Request) -> Space:
    doc = await json_of(request)
    if not isinstance(doc, dict):
        raise InvalidArgument("the body is not a space; send its JSON form, a mapping.")
    return space_from_dict(doc)


def _charts(request: Request) -> Charts:
    charts: Charts = request.app.state.service.charts
    return charts


def _json(text: str) -> Response:
    return Response(text, media_type="application/json")
