"""Who gets to see a page: by a login, by a share link, under a path, and not otherwise."""

import re
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tunekit.records import ObjectiveSpec, StudySpec
from tunekit.spaces import Float, Space
from tunekit.storages.codec import to_dict
from tunekit.testing.dashboard import PASSWORD, ServedDashboard, served_dashboard

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

NAME = 'digits <img src="http://example.com/x"> **bold** $x$'


def spec(name: str = NAME) -> StudySpec:
    return StudySpec(name, (ObjectiveSpec("loss"),), space=Space(x=Float(0.0, 1.0)))


@pytest.fixture(scope="module")
def operator(served: ServedDashboard) -> str:
    """Log the first operator in, create a study; return a token."""
    body = {"secret": served.setup, "password": PASSWORD, "name": "root"}
    served.request("POST", "/setup", body)
    return "root"


def login(page: Page, name: str) -> None:
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def test_a_page_leads_to_the_login_and_back(
    served: ServedDashboard, operator: str, page: Page
) -> None:
    page.goto(served.page("?tag=mine"))
    expect(page).to_have_url(re.compile(r"/login"))
    login(page, operator)
    expect(page).to_have_url(served.page("?tag=mine"))
    expect(page.get_by_role("heading", name="Studies")).to_be_visible()
    cookies = {c["name"]: c for c in page.context.cookies()}
    assert (
        cookies["tunekit_session"]["httpOnly"] and cookies["tunekit_session"]["sameSite"] == "Lax"
    )


def test_a_login_leads_to_no_page_of_somebody_else(
    served: ServedDashboard, operator: str, page: Page
) -> None:
    page.goto(f"{served.url}/login#next=http%3A%2F%2Fexample.com%2Fdashboard%2F")
    login(page, operator)
    expect(page).to_have_url(served.page())


def test_a_websocket_needs_a_login_and_the_services_own_page(
    served: ServedDashboard, operator: str
) -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    url = served.page("_stcore/stream").replace("http", "ws")
    for origin in (served.url, "http://evil.example", None):
        with pytest.raises(InvalidStatus) as refused:
            connect(url, origin=origin)
        assert refused.value.response.status_code == 403


def test_names_of_users_are_text_and_no_page_loads_anything_from_elsewhere(
    storage_url: str, page: Page, tmp_path: Path
) -> None:
    with served_dashboard(f"sqlite:///{tmp_path}/own.db", "--root-path", "/a/b") as served:
        made = served.request("POST", "/projects/default/studies", to_dict(spec()))
        asked: list[str] = []
        refused: list[str] = []
        page.on("request", lambda r: asked.append(r.url))
        page.on("console", lambda m: refused.append(m.text) if "Security Policy" in m.text else 0)
        page.goto(served.page())
        page.get_by_role("link", name=NAME).click()
        expect(page).to_have_url(re.compile(rf"/a/b/dashboard/overview\?.*study={made['id']}"))
        expect(page.get_by_role("heading", name=NAME)).to_be_visible()
        page.reload()
        expect(page.get_by_role("heading", name=NAME)).to_be_visible()
        assert all(u.startswith((served.url, "data:", "blob:")) for u in asked)
        assert refused == []
        assert served.stop(signal.SIGINT) == 130  # that of an interrupted program


@pytest.mark.parametrize(
    ("query", "says"),
    [("project=default&study=99", "does not exist"), ("project=nobody&study=1", "no project"),
     ("study=abc", "expected a number"), ("study=-1", "expected a number"),
     ("share=0123456789ab", "link"), ("share=%3Cb%3E", "link"),
     ("project=%3Cscript%3Ealert(1)%3C%2Fscript%3E&study=1", "without a slash"),
     ("", "Choose a study")],
)  # fmt: skip
def test_an_address_made_by_hand_gives_a_sentence_and_a_way_on(
    served: ServedDashboard, operator: str, page: Page, query: str, says: str
) -> None:
    page.context.request.post(
        f"{served.url}/api/v1/login", data={"name": operator, "password": PASSWORD}
    )
    page.goto(served.page(f"overview?{query}"))
    expect(page.get_by_text(re.compile(says, re.IGNORECASE)).first).to_be_visible()
    expect(page.get_by_role("link", name="All studies")).to_be_visible()
    assert "Traceback" not in page.content()


def test_a_share_link_shows_its_study_to_somebody_without_a_login(
    served: ServedDashboard, operator: str, page: Page
) -> None:
    api = page.context.request
    session = api.post(
        f"{served.url}/api/v1/login", data={"name": operator, "password": PASSWORD}
    ).json()
    csrf = {"X-CSRF-Token": session["csrf"]}
    api.post(f"{served.url}/api/v1/projects", data={"name": "vision"}, headers=csrf)
    studies = f"{served.url}/api/v1/projects/vision/studies"
    made = api.post(studies, data=to_dict(spec("shared one")), headers=csrf).json()
    link = api.post(f"{studies}/{made['id']}/share-links", data={}, headers=csrf).json()
    page.context.clear_cookies()
    page.goto(f"{served.url}/share#{link['secret']}")
    expect(page.get_by_role("heading", name="shared one")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/dashboard/overview\?share=[0-9a-f]{12}$"))
    assert link["secret"] not in page.content()
    expect(page.get_by_role("link", name="Studies")).to_have_count(0)
    page.goto(served.page())
    expect(page.get_by_role("link", name="Log in")).to_be_visible()
    api.post(f"{served.url}/api/v1/login", data={"name": operator, "password": PASSWORD})
    path = f"{studies}/{made['id']}/share-links/{link['link']['id']}"
    csrf = {"X-CSRF-Token": api.get(f"{served.url}/api/v1/caller").json()["csrf"]}
    assert api.delete(path, headers=csrf).ok
    page.goto(f"{served.url}/share#{link['secret']}")
    expect(page.get_by_text("link")).to_be_visible()
