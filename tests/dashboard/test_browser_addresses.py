"""The address that the service knows of somebody who changes a study in a page."""

import socket
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tunekit.records import ObjectiveSpec, StudySpec
from tunekit.storages.codec import to_dict
from tunekit.storages.http.browser import BROWSER_HEADER
from tunekit.testing.dashboard import PASSWORD, served_dashboard
from tunekit.testing.relay import FROM, relay_to

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

FORGED = {"X-Forwarded-For": "203.0.113.7", BROWSER_HEADER: "guessed 203.0.113.7"}


@pytest.fixture
def own_address() -> str:
    """Return an address of this machine that other machines reach."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no address besides loopback")
        return str(probe.getsockname()[0])


def test_a_change_made_in_a_page_is_logged_with_the_address_of_the_browser(
    tmp_path: Path, page: Page, own_address: str
) -> None:
    database = f"sqlite:///{tmp_path}/audited.db"
    with served_dashboard(database, "--host", own_address, accounts=True) as served:
        served.request(
            "POST", "/setup", {"secret": served.setup, "password": PASSWORD, "name": "root"}
        )
        with relay_to(own_address, served.port) as relay:
            near = relay.url
            login = {"name": "root", "password": PASSWORD}
            session = page.context.request.post(f"{near}/api/v1/login", data=login).json()
            csrf = {"X-CSRF-Token": session["csrf"]}
            spec = to_dict(StudySpec("digits", (ObjectiveSpec("error"),)))
            studies = f"{near}/api/v1/projects/default/studies"
            made = page.context.request.post(studies, data=spec, headers=csrf | FORGED).json()
            page.goto(f"{near}/dashboard/overview?study={made['id']}")
            page.get_by_role("button", name="Actions").click()
            page.get_by_role("button", name="Pause").click()
            page.get_by_role("dialog", name="Pause this study?").get_by_role(
                "button", name="Pause"
            ).click()
            expect(page.get_by_text("The study was paused").first).to_be_visible()
            audit = page.context.request.get(f"{near}/api/v1/projects/default/audit").json()
    found = {e["action"]: e["address"] for e in audit["entries"]}
    assert len(found) >= 2
    assert set(found.values()) == {FROM}, found
