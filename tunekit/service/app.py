"""Builds the application: the routes, their errors, and what they share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp

import tunekit
from tunekit.service.access.accounts import Accounts
from tunekit.service.access.accounts_gate import AccountsGate
from tunekit.service.access.address_limits import AddressLimits, BodyBudget
from tunekit.service.access.audit_log import AuditLog
from tunekit.service.access.audited_changes import AuditedChanges
from tunekit.service.access.browser_address import BrowserAddress
from tunekit.service.access.claim_guard import ClaimGuard
from tunekit.service.access.gate import Gate, OpenGate
from tunekit.service.access.grants import DEFAULT_PROJECT
from tunekit.service.access.headers import SecurityHeaders
from tunekit.service.access.hosts import ANY, checked_hosts
from tunekit.service.access.origin import RequestOrigin
from tunekit.service.access.owners import Owners
from tunekit.service.access.quotas import QuotaBook
from tunekit.service.access.rates import RateLimits
from tunekit.service.access.share_links import ShareLinkBook
from tunekit.service.asking.asking import Asking
from tunekit.service.asking.pool import PoolSettings, SuggestionPool
from tunekit.service.asking.reporting import Reporting
from tunekit.service.attachments.artifacts import Artifacts
from tunekit.service.charts.charts import Charts
from tunekit.service.charts.process import ChartProcess
from tunekit.service.dashboard.process import DashboardProcess
from tunekit.service.endpoints import SECURITY_SCHEMES
from tunekit.service.event_hub import EventHub, WakeStreams
from tunekit.service.group_commit import GroupCommit
from tunekit.service.housekeeping import Housekeeping
from tunekit.service.jobs import Jobs
from tunekit.service.links import add_links
from tunekit.service.metrics import Metrics
from tunekit.service.notifications import Notifications
from tunekit.service.plain_errors import PlainErrors
from tunekit.service.problems import add_problem_handlers
from tunekit.service.request_log import RequestLog
from tunekit.service.root_path import RootPath
from tunekit.service.routes import (
    artifacts,
    asking,
    callers,
    charts,
    event_stream,
    exchanges,
    exports,
    health,
    jobs,
    labels,
    logins,
    members,
    notes,
    oidc_logins,
    oversight,
    pages,
    projects,
    reads,
    share_links,
    shared,
    shared_charts,
    spaces,
    studies,
    study_rows,
    tokens,
    trials,
    users,
)
from tunekit.service.study_records import StudyRecords
from tunekit.storages.http.connection import API
from tunekit.storages.project import ProjectStorage
from tunekit.storages.sql.storage import SQLStorage

if TYPE_CHECKING:
    from tunekit.service.access.oidc import OIDC

MAX_BODY_BYTES = 16 * 2**20
"""Longest body of a request that the service reads."""

MAX_HELD_BYTES = 16 * MAX_BODY_BYTES
"""Most bytes of all bodies that it holds at one time."""


PARTS = (
    asking, exchanges, callers, logins, users, tokens, projects, members, studies, study_rows,
    labels, trials, reads,
    event_stream, charts, exports, oversight, notes, artifacts, spaces, share_links, shared,
    shared_charts,
    jobs,
)  # fmt: skip
"""Modules with the routes, in the order in which a request is matched: those of workers first."""


@dataclass
class Service:
    """What the routes share.

    Attributes:
        storage: all projects' studies.
        gate: decides who may do what; with accounts, they do.
        accounts: users and projects; `None` where everybody may do everything.
        oidc: provider at which users may log in; `None` for none.
        url: of the storage with its password, for other processes; by default the storage's own.
        artifacts_at: folder or URI for artifacts; by default a folder beside an SQLite file.
        metrics: counts what happens.
        audit: records who changes what.
        quotas: limits what projects use.
        owners: tells who created a study.
        share_links: show single studies to outsiders.
        commits: joins exchanges.
        artifacts: keeps the files of trials.
        charts: summarises studies.
        hub: wakes streams of events.
        notifications: of other replicas' changes.
        suggestions: how suggestions are made.
        records: remembers studies.
        pool: the processes that suggest.
        asking: gives out trials.
        reporting: stores reports and decides.
        is_stopping: whether this process is shutting down.
        rates: limits requests a second.
        allowed_hosts: names that requests may give the service.
        root_path: path under which a proxy publishes the service, which it may cut off or not.
        pages: the process of the dashboard; `None` for none.
        shows_all: whether the default project shows all studies of the storage.
    """

    storage: SQLStorage
    gate: Gate = field(default_factory=OpenGate)
    rates: RateLimits = field(default_factory=RateLimits)
    allowed_hosts: tuple[str, ...] = ANY
    root_path: str = ""
    accounts: Accounts | None = None
    url: str = ""
    suggestions: PoolSettings = field(default_factory=PoolSettings)
    artifacts_at: str = ""
    oidc: OIDC | None = None
    pages: DashboardProcess | None = None
    shows_all: bool = False

    def __post_init__(self) -> None:
        if self.accounts is not None:
            self.gate = AccountsGate(self.accounts)
        self.is_stopping = False
        self.metrics = Metrics()
        self.audit = AuditLog(self.storage.database)
        self.owners = Owners(self.storage.database)
        self.share_links = ShareLinkBook(self.storage.database)
        self.quotas = QuotaBook(self.storage.database)
        self.commits = GroupCommit(self.metrics.note_commit, guard_of=self._guard)
        self.hub = EventHub(self._last_seq)
        self.charts = Charts(ChartProcess(self.url or self.storage.url), self._last_seq)
        self.artifacts = Artifacts(
            self.storage.database, self.artifacts_at, self.quotas.check_storing
        )
        self.notifications = Notifications(self.storage.database, self.hub.wake)
        self.records = StudyRecords()
        self.pool = SuggestionPool(self.url or self.storage.url, self.suggestions)
        self.asking = Asking(self.commits, self.pool, self.hub)
        self.reporting = Reporting(self.commits, self.pool)
        self.jobs = Jobs(self.storage.database)
        self._projects: dict[str, ProjectStorage] = {}

    def note_change(self, study_id: int) -> None:
        """Wake whoever waits for a change of a study, here and in other replicas."""
        self.hub.wake(study_id)
        self.notifications.announce(study_id)

    def _last_seq(self, study_id: int) -> int:
        return self.storage.look(study_id).seq

    async def stop(self) -> None:
        """End what would keep this process from stopping, and say so to who asks."""
        self.is_stopping = True
        await self.hub.close()
        await self.asking.close()

    def of_project(self, project: str) -> ProjectStorage:
        """Return the storage of one project's studies."""
        found = self._projects.get(project)
        if found is None:
            is_all = self.shows_all and project == DEFAULT_PROJECT
            found = ProjectStorage(self.storage, project, prefix="" if is_all else None)
            self._projects[project] = found
        return found

    def _guard(self, project: str, study_id: int, origins: Sequence[RequestOrigin]) -> ClaimGuard:
        return ClaimGuard(self.quotas, project, study_id, origins=origins)


class Application(FastAPI):
    """Guards the routes and what answers for them alike."""

    def openapi(self) -> dict[str, Any]:
        """Return the description of the interface."""
        doc = super().openapi()
        doc.setdefault("components", {})["securitySchemes"] = SECURITY_SCHEMES
        add_links(doc)
        return doc

    def build_middleware_stack(self) -> ASGIApp:
        """Return the routes within their guards, the first one to answer outermost."""
        service: Service = self.state.service
        app: ASGIApp = BodyBudget(super().build_middleware_stack(), MAX_HELD_BYTES)
        if service.pages is not None:
            app = door_of(service, app)
        app = TrustedHostMiddleware(app, checked_hosts(service.allowed_hosts), www_redirect=False)
        app = AddressLimits(RootPath(app, service.root_path), service.rates)
        app = RequestLog(SecurityHeaders(PlainErrors(app)), service.metrics)
        key = "" if service.pages is None else service.pages.settings.key
        return BrowserAddress(app, key) if key else app


def door_of(service: Service, app: ASGIApp) -> ASGIApp:
    """Return the application with the pages before it; their packages load only here."""
    from tunekit.service.dashboard.doors import DashboardDoor

    assert service.pages is not None
    return DashboardDoor(
        app, service.pages, service.gate, service.share_links, root=service.root_path
    )


def create_app(service: Service) -> FastAPI:
    """Return the application of a service; its shutdown closes the storage."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        chores = asyncio.create_task(
            Housekeeping(service.storage.database, service.artifacts.sweep).run()
        )
        service.notifications.start()
        if service.pages is not None:
            service.pages.start()
        yield
        await service.stop()
        chores.cancel()
        await run_in_threadpool(service.notifications.close)
        if service.pages is not None:
            await run_in_threadpool(service.pages.close)
        service.charts.close()
        await service.reporting.close()
        service.pool.close()
        await service.commits.close()
        if service.accounts is not None:
            service.accounts.close()
        service.storage.close()

    app = Application(
        title="tunekit",
        version=tunekit.__version__,
        lifespan=lifespan,
        max_body_size=MAX_BODY_BYTES,
        redirect_slashes=False,
        docs_url=None,  # its page runs scripts of another host beside the reader's session
        redoc_url=None,
    )
    app.state.service = service
    add_problem_handlers(app)
    app.add_middleware(AuditedChanges, log=service.audit)
    app.add_middleware(WakeStreams, on_change=service.note_change)
    app.include_router(health.router)
    app.include_router(pages.router)
    app.include_router(oidc_logins.router)
    for part in PARTS:
        app.include_router(part.router, prefix=API)
    return app
