"""Defines the bodies of requests and answers about quotas, the audit log and share links."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Quotas:
    """What a project may use at one time; `None` means no limit.

    Attributes:
        running: trials that run, in all studies of the project.
        gpus: GPUs that they hold by the resources that their studies declare; may be a fraction.
        stored_bytes: bytes of trials, reports and artifacts.
        owners: slots that the jobs of a user hold at most on each runner, by user.
    """

    running: int | None = None
    gpus: float | None = None
    stored_bytes: int | None = None
    owners: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """The quotas of a project, and how much of each is used.

    Attributes:
        quotas: the limits.
        running: trials with a lease that has not expired.
        gpus: GPUs that they hold.
        stored_bytes: counted at most a minute ago.
    """

    quotas: Quotas
    running: int
    gpus: float
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry of the audit log.

    Attributes:
        id: later entries have larger ones.
        at: seconds since 1970 on the storage's clock.
        principal: account or machine token; empty without accounts, or before a login.
        address: network address of the request.
        action: `exchange`, or the operation of the OpenAPI document.
        project: empty outside of projects.
        study_id: of the study, `None` outside of studies.
        data: what was changed; for an exchange the numbers of the trials by `asked`, `told`,
            `paused` and `released`.
        request_id: as in the log of the service and in the answer's `X-Request-ID`.
    """

    id: int
    at: float
    principal: str
    address: str
    action: str
    project: str
    study_id: int | None
    data: Mapping[str, Any]
    request_id: str


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries, the newest first; `before` continues the list, `None` at its end."""

    entries: tuple[AuditEntry, ...]
    before: int | None = None


@dataclass(frozen=True, slots=True)
class NewShareLink:
    """Asks for a link that shows one study.

    Attributes:
        label: what it is for.
        days: until it expires, up to 90.
    """

    label: str = ""
    days: float = 30.0


@dataclass(frozen=True, slots=True)
class ShareLink:
    """A link that shows one study, without its secret.

    Attributes:
        created, expires, revoked: seconds since 1970; `revoked` is `None` while it works.
        author: account that made it.
    """

    id: int
    label: str
    author: str
    created: float
    expires: float
    revoked: float | None = None


@dataclass(frozen=True, slots=True)
class ShareSecret:
    """A new link with its secret, which is shown this once."""

    link: ShareLink
    secret: str


@dataclass(frozen=True, slots=True)
class ShareLinks:
    """The links of a study, the newest first; `more` says whether older ones were left out."""

    links: tuple[ShareLink, ...]
    more: bool = False
