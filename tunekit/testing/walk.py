"""Walks over the pages of a dashboard in a real browser, and says what each costs and lacks."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

STUDY_PAGES = (
    "overview", "progress", "tree", "parameters", "trials", "trial", "stops", "tradeoffs",
    "workers", "space", "proposers",
)  # fmt: skip
"""Pages of a study, by their path."""

SHARED_PAGES = STUDY_PAGES[:7]
"""Pages that a share link shows."""

SETTLED = """() => {
  const app = document.querySelector('[data-testid="stApp"]');
  const text = document.body.innerText;
  return app && app.dataset.testScriptState === 'notRunning'
    && document.querySelector('[data-testid="stMain"] [data-testid="stVerticalBlock"] *')
    && !document.querySelector('[data-testid="stSkeleton"]')
    && !text.includes('Still computing') && !text.includes('being computed');
}"""
"""Says in a browser whether a page has drawn everything."""

_FAILURES = ("Traceback", "This page failed", "Still computing")


@dataclass
class PageVisit:
    """What was seen of one page.

    Attributes:
        name: of the page, and of its screenshot.
        wire_bytes: of its data: documents and messages, without the static files.
        n_webgl: WebGL contexts.
        findings: serious ones of axe, as `rule: where`.
        failures: words of failures in its text.
        foreign: requests to other hosts.
        blocked: what the content security policy has refused.
    """

    name: str
    wire_bytes: int = 0
    n_webgl: int = 0
    findings: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)


class Walk:
    """Visits pages in one browser page, one after the other.

    Args:
        page: of the browser, logged in where that is needed.
        base: URL of the dashboard with a slash at its end.
        shots: folder for screenshots; `None` for none.
    """

    def __init__(self, page: Page, base: str, shots: Path | None = None) -> None:
        self._page = page
        self._base = base
        self._shots = shots
        self._seen = PageVisit("")
        self._urls: dict[str, str] = {}
        wire = page.context.new_cdp_session(page)
        wire.send("Network.enable")
        wire.on("Network.requestWillBeSent", self._asked)
        wire.on("Network.loadingFinished", self._answered)
        wire.on("Network.webSocketFrameReceived", self._received)
        page.on("console", self._said)

    def visit(self, name: str, path: str, *, with_axe: bool = True) -> PageVisit:
        """Return what is seen of a page, once it has drawn everything.

        Args:
            name: of the screenshot.
            path: of the page with its query.
            with_axe: whether to run the accessibility checks.
        """
        seen = self._seen = PageVisit(name)
        self._page.goto(self._base + path)
        self.settle()
        if self._shots is not None:
            self._shots.mkdir(parents=True, exist_ok=True)
            self._shoot(self._shots / f"{name}.png")
        text = self._page.inner_text("body")
        seen.failures = [word for word in _FAILURES if word in text]
        seen.n_webgl = self._page.locator(".gl-canvas").count()
        if with_axe:
            seen.findings = serious_findings(self._page)
        return seen

    def _shoot(self, path: Path) -> None:
        """Take a picture of the whole page, which scrolls within the window."""
        before = self._page.viewport_size
        height = self._page.evaluate(
            "document.querySelector('[data-testid=\"stMain\"]').scrollHeight"
        )
        if before is not None:
            self._page.set_viewport_size({**before, "height": max(before["height"], height)})
            self._page.wait_for_timeout(300)
        self._page.screenshot(path=path)
        if before is not None:
            self._page.set_viewport_size(before)

    def settle(self) -> None:
        """Wait until the page has drawn everything."""
        self._page.wait_for_function(SETTLED)
        self._page.wait_for_timeout(300)  # the charts' animation is part of the picture
        self._page.wait_for_function(SETTLED)

    def _asked(self, event: dict[str, Any]) -> None:
        url = event["request"]["url"]
        self._urls[event["requestId"]] = url
        if not url.startswith((self._base, "data:", "blob:")):
            self._seen.foreign.append(url)

    def _answered(self, event: dict[str, Any]) -> None:
        if "/static/" not in self._urls.get(event["requestId"], ""):
            self._seen.wire_bytes += int(event["encodedDataLength"])

    def _received(self, event: dict[str, Any]) -> None:
        content = event["response"]["payloadData"]
        is_binary = event["response"]["opcode"] == 2
        self._seen.wire_bytes += len(base64.b64decode(content) if is_binary else content)

    def _said(self, message: Any) -> None:
        if "Content Security Policy" in message.text:
            self._seen.blocked.append(message.text)


def serious_findings(page: Page) -> list[str]:
    """Return the serious and critical findings of axe-core on a page."""
    from axe_playwright_python.sync_playwright import Axe

    found: Sequence[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{v['id']} at {len(v['nodes'])} places, first {v['nodes'][0]['target'][0]}: "
        f"{v['nodes'][0].get('failureSummary', '')[:300]}"
        for v in found
        if v["impact"] in ("serious", "critical")
    ]
