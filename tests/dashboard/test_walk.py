"""Every page of a study is drawn, within its bytes, without a serious finding of axe."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tunekit.storages.urls import open_storage
from tunekit.testing.dashboard import ServedDashboard, served_dashboard
from tunekit.testing.studies import TrialMix, make_study
from tunekit.testing.walk import STUDY_PAGES, Walk

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.slow]

MAX_BYTES = 500_000
MAX_WEBGL = 6


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedDashboard]:
    url = f"sqlite:///{tmp_path_factory.mktemp('walk')}/walk.db"
    storage = open_storage(f"{url}?project=default")
    make_study(storage, "finished", TrialMix(60))
    storage.close()
    with served_dashboard(url, "--root-path", "/lab") as found:
        yield found


def test_every_page_is_small_and_accessible_and_loads_nothing_from_elsewhere(
    served: ServedDashboard, page: Page, tmp_path: Path
) -> None:
    walk = Walk(page, served.page(), tmp_path)
    paths = {name: f"{name}?study=1&trial=3" for name in STUDY_PAGES}
    paths |= {"studies": "", "compare": "compare?studies=1", "admin": "admin"}
    for name, path in paths.items():
        seen = walk.visit(name, path)
        assert (seen.failures, seen.findings, seen.foreign, seen.blocked) == ([], [], [], []), name
        assert seen.wire_bytes <= MAX_BYTES and seen.n_webgl <= MAX_WEBGL, name
        assert (tmp_path / f"{name}.png").exists()


def test_a_study_is_reached_by_keyboard_alone(served: ServedDashboard, page: Page) -> None:
    Walk(page, served.page()).visit("studies", "", with_axe=False)
    focused = ""
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.innerText || ''")
        if focused.strip() == "finished":
            break
    assert focused.strip() == "finished"
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="finished")).to_be_visible()
