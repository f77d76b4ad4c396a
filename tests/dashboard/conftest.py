"""Fixtures of the dashboard's tests: a real service with its pages, and a real browser."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tunekit.testing.dashboard import ServedDashboard, chromium, has_chromium, served_dashboard

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """Keep the module `__main__`, which an `AppTest` replaces by its own script.

    A process that is spawned later would run that script, and fail where it is gone.
    """
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run a browser for one module.

    While Playwright runs, its event loop counts as the running one of this thread: no test
    beside it could call `asyncio.run`.
    """
    if not has_chromium():
        text = "no Chromium here; install the package chromium, or run .ci/chromium"
        if os.environ.get("CI"):
            pytest.fail(text)
        pytest.skip(text)
    from playwright.sync_api import expect

    expect.set_options(timeout=60_000)  # of a machine under load
    with chromium() as found:
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context(viewport={"width": 1400, "height": 1000}) as context:
        context.set_default_timeout(60_000)
        yield context.new_page()


@pytest.fixture(scope="module")
def storage_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = tmp_path_factory.mktemp("dashboard")
    return f"sqlite:///{folder}/studies.db"


@pytest.fixture(scope="module")
def served(storage_url: str) -> Iterator[ServedDashboard]:
    with served_dashboard(storage_url, accounts=True) as found:
        yield found
