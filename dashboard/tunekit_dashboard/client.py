"""Reads the service over its REST interface: the one way from a page to the data.

Records are read by the project's codec and kept between the runs of a page. What was read at a
cursor of a study holds until the study has a later event; an answer with an ETag is asked for
with `If-None-Match`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar, cast

from tunekit.errors import InvalidArgument, NotAuthenticated
from tunekit.records import StudyRecord, StudySpec
from tunekit.storages.codec import from_dict, to_dict
from tunekit.storages.http import account_messages as accounts
from tunekit.storages.http import messages as m
from tunekit.storages.http.browser import (
    CSRF_HEADER,
    DASHBOARD_CERTIFICATE,
    DASHBOARD_SERVICE,
    SHARE_HEADER,
)
from tunekit.storages.http.connection import Connection, ServiceResponse
from tunekit.storages.http.shared_messages import SharedStudy
from tunekit_dashboard.answers import AnswerCache, KeptAnswer, Key
from tunekit_dashboard.identity import Identity, browser_identity
from tunekit_dashboard.places import StudyPlace

R = TypeVar("R")

TIMEOUT_S = 20.0
"""Seconds that a page waits for an answer; later it shows a card with a retry."""

ANSWERS = AnswerCache()
"""Of all pages of this process."""


@dataclass
class Reader:
    """Reads on behalf of one caller, within one run of a page or of a fragment.

    Attributes:
        service: URL of the service with its root path.
        identity: whom the requests speak for.
        cache: keeps answers.
        timeout_s: seconds to wait for an answer.
    """

    service: str
    identity: Identity
    cache: AnswerCache = field(default=ANSWERS, repr=False)
    timeout_s: float = TIMEOUT_S

    def __post_init__(self) -> None:
        self._studies: dict[StudyPlace, StudyRecord] = {}

    @cached_property
    def caller(self) -> m.Caller:
        """Who is calling.

        Raises:
            NotAuthenticated: the browser has no login, or it has ended.
        """
        return from_dict(m.Caller, self._request("GET", "/caller").doc)

    @cached_property
    def projects(self) -> tuple[accounts.Project, ...]:
        """The caller's projects with their role in each, by name."""
        if self.caller.kind == "open":  # without accounts everybody does everything
            return (accounts.Project(self.caller.project, "operator"),)
        found: list[accounts.Project] = []
        page = accounts.ProjectPage((), "")
        while page.after is not None:
            query = {"after": page.after or None}
            doc = self._request("GET", "/projects", query=query).doc
            page = from_dict(accounts.ProjectPage, doc)
            found += page.projects
        return tuple(found)

    @cached_property
    def revision(self) -> str:
        """What the service permits the caller at this time, in short; part of every key."""
        if SHARE_HEADER in self.identity.headers:
            return "shared"
        permits = [to_dict(self.caller), [to_dict(p) for p in self.projects]]
        return hashlib.sha256(json.dumps(permits, sort_keys=True).encode()).hexdigest()

    def role_in(self, project: str) -> accounts.ScopeName | None:
        """Return the caller's role in a project, `None` for none."""
        return next((p.role for p in self.projects if p.name == project), None)

    def study(self, place: StudyPlace) -> StudyRecord:
        """Return a study as it is at the beginning of this run; its `seq` is the cursor.

        Raises:
            UnknownStudy: it was deleted, the caller may not see it, or the share link has ended.
        """
        if place not in self._studies:
            if place.is_shared:
                shared = from_dict(SharedStudy, self._request("GET", "/shared/study").doc)
                self._studies[place] = _record_of(shared)
            else:
                self._studies[place] = from_dict(StudyRecord, self._request("GET", place.path).doc)
        return self._studies[place]

    def of_study(
        self, place: StudyPlace, path: str, cls: Callable[..., R], /, **query: object
    ) -> R:
        """Return what a route below a study answers; from the cache while the study stands still.

        Args:
            place: the study.
            path: below the study's, such as `/charts/history`.
            cls: record of the answer.
            query: values of the query; those that are `None` are left out.
        """
        cursor = self.study(place).seq
        return self.get(f"{place.path}{path}", cls, cursor=cursor, **query)

    def get(
        self, path: str, cls: Callable[..., R], /, *, cursor: int | None = None, **query: object
    ) -> R:
        """Return what a route answers, as a record that nobody may change.

        Args:
            path: below `/api/v1`, already quoted.
            cls: record of the answer.
            cursor: number of the study's last event, at which a kept answer still holds.
            query: values of the query; those that are `None` are left out.
        """
        given = {k: v for k, v in query.items() if v is not None}
        key = self._key(path, given)
        kept = self.cache.find(key)
        if kept is not None and cursor is not None and kept.cursor == cursor:
            return cast(R, kept.record)
        headers = {"If-None-Match": kept.etag} if kept is not None and kept.etag else {}
        answer = self._request("GET", path, query=given, headers=headers)
        if kept is not None and answer.doc is None:  # 304: it still holds
            record = kept.record
            kept = KeptAnswer(record, kept.etag, cursor, kept.size)
        else:
            record = from_dict(cls, answer.doc)
            size = len(json.dumps(answer.doc))
            kept = KeptAnswer(record, answer.headers.get("ETag", ""), cursor, size)
        if kept.etag or cursor is not None:
            self.cache.keep(key, kept)
        return cast(R, record)

    def read_now(self, path: str, **query: object) -> Any:
        """Return the JSON document that a route answers at this moment, and keep nothing of it.

        Args:
            path: below `/api/v1`, already quoted.
            query: values of the query; those that are `None` are left out.
        """
        return self._request("GET", path, query=query).doc

    def events(self, place: StudyPlace, after: int, *, limit: int = 1) -> m.EventPage:
        """Return the study's events after a cursor: the cheapest question whether it moved."""
        query = {"after": after, "limit": limit}
        return from_dict(
            m.EventPage, self._request("GET", f"{place.path}/events", query=query).doc
        )

    def change(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None
    ) -> Any:
        """Send a change with the caller's own rights; return the JSON document of the answer.

        Args:
            method: of HTTP.
            path: below `/api/v1`, already quoted.
            body: record, or JSON document, to send.
            headers: further headers.

        Raises:
            TunekitError: the service refused it; nothing was changed.
        """
        sent = {**(headers or {})}
        if self.caller.csrf:
            sent[CSRF_HEADER] = self.caller.csrf
        is_plain = body is None or isinstance(body, Mapping)
        doc = body if is_plain else to_dict(body)
        return self._request(method, path, doc, headers=sent).doc

    def content(self, path: str, *, most: int) -> bytes:
        """Return the content of a file.

        Args:
            path: of the file below `/api/v1`, already quoted.
            most: bytes.

        Raises:
            InvalidArgument: it is longer.
        """
        found = self._request("GET", path).doc
        content: bytes = found if isinstance(found, bytes) else json.dumps(found).encode()
        if len(content) > most:
            raise InvalidArgument(f"the file has {len(content):,} bytes, more than {most:,}.")
        return content

    def _key(self, path: str, query: Mapping[str, object]) -> Key:
        return (self.identity.digest, self.revision, path, json.dumps(query, sort_keys=True))

    def _request(
        self,
        method: str,
        path: str,
        doc: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> ServiceResponse:
        # Each run of a page has a thread of its own, so a kept connection would never be used
        # again; the service is on this machine, where a new one costs next to nothing.
        connection = Connection(
            self.service,
            timeout_s=self.timeout_s,
            outage_s=0.0,
            certificate=os.environ.get(DASHBOARD_CERTIFICATE),
        )
        sent = {**self.identity.headers, **(headers or {})}
        try:
            return connection.request(
                method, path, doc, query=query, headers=sent, is_repeatable=method == "GET"
            )
        finally:
            connection.close()


def page_reader(place: StudyPlace | None = None) -> Reader:
    """Return a reader for the browser whose page runs; a fragment makes one in each run.

    Args:
        place: the study of the page, which may be seen through a share link.

    Raises:
        NotAuthenticated: no service was named; start the dashboard with `tunekit dashboard`.
    """
    service = os.environ.get(DASHBOARD_SERVICE)
    if not service:
        raise NotAuthenticated(
            f"${DASHBOARD_SERVICE} names no service; start the dashboard with "
            "`tunekit dashboard URL`."
        )
    return Reader(service, browser_identity(place.share if place is not None else ""))


def _record_of(shared: SharedStudy) -> StudyRecord:
    """Return the study of a share link in the form of all studies; what is hidden is empty."""
    from tunekit.spaces.serialize import space_from_dict

    spec = StudySpec(
        shared.name,
        shared.objectives,
        shared.constraints,
        space=None if shared.space is None else space_from_dict(shared.space),
        sampler=shared.sampler,
        stopper=shared.stopper,
    )
    return StudyRecord(
        0, spec, shared.state, shared.seq, shared.n_trials, space_version=1, created=shared.created
    )
