"""Routes for the files of trials; contents stream in and out in constant memory."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Iterator
from typing import IO, Annotated
from urllib.parse import quote

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from tunekit.errors import InvalidArgument
from tunekit.identifiers import new_id
from tunekit.service.access.roles import Role
from tunekit.service.attachments.artifacts import Artifacts, check_name
from tunekit.service.attachments.files import Upload
from tunekit.service.endpoints import endpoint
from tunekit.service.idempotency import keyed_request
from tunekit.service.links import Links
from tunekit.service.routes.parts import MAX_ITEMS, InProject, listed
from tunekit.storages.http.attachment_messages import Artifact, ArtifactPage

router = APIRouter(
    prefix="/projects/{project}/studies/{study_id}/trials/{number}/artifacts", tags=["artifacts"]
)

MAX_BYTES = 2**30
"""Longest artifact."""
CHUNK = 2**18
"""Bytes that are written or sent at once."""

Number = Annotated[int, Path(ge=0, le=2**63 - 1)]
Name = Annotated[str, Path(max_length=1000)]
Digest = Annotated[
    str | None, Header(max_length=400, description="`sha-256=:BASE64:`, checked against the body.")
]


@endpoint(
    router, "PUT", "/{name}", role=Role.WORKER, answer=Artifact, max_body=MAX_BYTES,
    links=Links({"name": "$response.body#/name"}),
)  # fmt: skip
async def put_artifact(
    request: Request,
    storage: InProject,
    study_id: int,
    number: Number,
    name: Name,
    content_digest: Digest = None,
) -> Response:
    """Store the body as a file of a trial, in place of one with the same name.

    With an `Idempotency-Key`, a late repetition does not replace what came after it.
    """
    check_name(name)
    media_type = request.headers.get("content-type", "application/octet-stream")[:100]
    artifacts = _artifacts(request)
    await run_in_threadpool(storage.check_study, study_id)
    await run_in_threadpool(artifacts.check_storing, storage.project)
    await run_in_threadpool(artifacts.check_trial, study_id, number)
    file = new_id(16)
    upload = await run_in_threadpool(artifacts.files.create, file)
    try:
        size, sha256 = await _received(request, upload)
        _check_digest(content_digest, sha256)
        await run_in_threadpool(upload.finish)
    finally:
        await run_in_threadpool(upload.abandon)
    keyed = await keyed_request(request, content=sha256)
    author = request.state.principal.name
    artifact = Artifact(number, name, size, sha256, media_type, author, 0.0)
    text = await run_in_threadpool(artifacts.put, study_id, artifact, file=file, keyed=keyed)
    return Response(text, headers={"ETag": f'"{sha256}"'}, media_type="application/json")


@endpoint(router, "GET", "", role=Role.VIEWER, answer=ArtifactPage)
def list_artifacts(
    request: Request,
    storage: InProject,
    study_id: int,
    number: Number,
    after: Annotated[str, Query(max_length=200, description="Name of the last one.")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_ITEMS)] = MAX_ITEMS,
) -> Response:
    """List the files of a trial by name."""
    storage.check_study(study_id)
    found = _artifacts(request).of_trial(study_id, number, after=after, limit=limit + 1)
    return listed("artifacts", found, limit)


@endpoint(router, "GET", "/{name}", role=Role.VIEWER)
def get_artifact(
    request: Request, storage: InProject, study_id: int, number: Number, name: Name
) -> Response:
    """Download a file of a trial; a browser saves it, whatever it is."""
    check_name(name)
    storage.check_study(study_id)
    artifact, content = _artifacts(request).open(study_id, number, name)
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    headers = {
        "ETag": f'"{artifact.sha256}"',
        "Content-Length": str(artifact.size),
        "Content-Disposition": f'attachment; filename="{plain}"; '
        f"filename*=UTF-8''{quote(name, safe='')}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return StreamingResponse(
        _sent(content), headers=headers, media_type="application/octet-stream"
    )


@endpoint(router, "DELETE", "/{name}", role=Role.EDITOR, status=204)
def delete_artifact(
    request: Request, storage: InProject, study_id: int, number: Number, name: Name
) -> None:
    """Delete a file of a trial."""
    check_name(name)
    storage.check_study(study_id)
    _artifacts(request).delete(study_id, number, name)


async def _received(request: Request, upload: Upload) -> tuple[int, str]:
    """Write the body of a request; return its size and digest."""
    digest, size = hashlib.sha256(), 0
    async for chunk in _chunks(request):
        digest.update(chunk)
        size += len(chunk)
        await run_in_threadpool(upload.write, chunk)
    return size, digest.hexdigest()


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    """Yield the body in pieces of some size; what is yielded no longer counts as held."""
    let_go = request.scope.get("tunekit.let_go")
    held = bytearray()
    async for part in request.stream():
        held += part
        if len(held) >= CHUNK:
            yield bytes(held)
            if let_go is not None:
                let_go(len(held))
            held.clear()
    yield bytes(held)


def _check_digest(given: str | None, sha256: str) -> None:
    """Check the header `Content-Digest`, if it has a SHA-256.

    Raises:
        InvalidArgument: the body is not what was sent.

    Reference:
        RFC 9530, section 2.
    """
    for part in (given or "").split(","):
        algorithm, _, value = part.strip().partition("=")
        expected = base64.b64encode(bytes.fromhex(sha256)).decode()
        if algorithm.lower() == "sha-256" and value.strip(":") != expected:
            raise InvalidArgument(
                f"Content-Digest {part.strip()[:80]!r} is not that of the body, whose digest is "
                f"sha-256=:{expected}:; send it again."
            )


def _sent(content: IO[bytes]) -> Iterator[bytes]:
    with content:
        while chunk := content.read(CHUNK):
            yield bytes(chunk)


def _artifacts(request: Request) -> Artifacts:
    artifacts: Artifacts = request.app.state.service.artifacts
    return artifacts
