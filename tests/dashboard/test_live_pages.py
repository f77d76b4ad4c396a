"""A page that is open while its study runs, is deleted, or while its service is started again."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tunekit.storages.base import Storage
from tunekit.storages.urls import open_storage
from tunekit.testing.dashboard import ServedDashboard, served_dashboard
from tunekit.testing.relay import relay_to
from tunekit.testing.studies import TrialMix, begin_trials, make_study, tell_trial
from tunekit.testing.walk import Walk

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

TICK_BYTES = 1024
"""Most that a tick may cost on the network while nothing happens, as the service compresses it."""

PLAIN_BYTES = 1400
"""The same before compression; Streamlit spends some 40 of them on each page of the app."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('live')}/live.db"


@pytest.fixture(scope="module")
def served(url: str) -> Iterator[ServedDashboard]:
    with served_dashboard(url) as found:
        yield found


def test_a_tick_without_news_costs_little_and_news_are_seen_without_a_reload(
    url: str, served: ServedDashboard, page: Page
) -> None:
    storage = open_storage(f"{url}?project=default")
    study = make_study(storage, "running", TrialMix(20))
    (number,) = begin_trials(storage, study.id, 1)
    with relay_to("127.0.0.1", served.port) as relay:
        sent: list[int] = []  # bytes of the service before each message to it
        received: list[tuple[int, int]] = []
        page.on("websocket", lambda socket: (
            socket.on("framesent", lambda content: sent.append(relay.n_bytes)),
            socket.on("framereceived", lambda content: received.append((len(sent), len(content)))),
        ))  # fmt: skip
        Walk(page, f"{relay.url}/dashboard/").visit(
            "overview", f"overview?study={study.id}", with_axe=False
        )
        expect(page).to_have_title("Overview · tunekit")
        first = len(sent) + 1  # the next message to the server is a tick
        while len(sent) < first + 2:
            page.wait_for_timeout(200)
        ticks = [sum(size for at, size in received if at == n) for n in (first, first + 1)]
        assert all(0 < size <= PLAIN_BYTES for size in ticks), ticks
        cost = sent[first + 1] - sent[first - 1]  # of both: the browser tells of them later
        assert 0 < cost <= 2 * TICK_BYTES
        see_news(page, storage, study.id, number)
    storage.close()


def see_news(page: Page, storage: Storage, study_id: int, number: int) -> None:
    """Tell a running trial, and see it on the page without a reload."""
    expect(page.get_by_text("1 running")).to_be_visible()
    tell_trial(storage, study_id, number, 0.01)
    expect(page.get_by_text(f"Trial {number} is complete").first).to_be_visible()
    expect(page.get_by_text("0.01").first).to_be_visible()


def test_a_study_that_is_deleted_while_it_is_open_leaves_a_sentence(
    url: str, served: ServedDashboard, page: Page
) -> None:
    storage = open_storage(f"{url}?project=default")
    study = make_study(storage, "doomed", TrialMix(5))
    page.goto(served.page(f"overview?study={study.id}"))
    expect(page.get_by_role("heading", name="doomed")).to_be_visible()
    storage.delete_study("doomed")
    page.reload()
    expect(page.get_by_text(re.compile("does not exist"))).to_be_visible()
    expect(page.get_by_role("link", name="All studies")).to_be_visible()
    storage.close()


def test_a_page_goes_on_when_its_service_is_started_again(tmp_path: Path, page: Page) -> None:
    url = f"sqlite:///{tmp_path}/restarted.db"
    storage = open_storage(f"{url}?project=default")
    study = make_study(storage, "lasting", TrialMix(5))
    with served_dashboard(url) as first:
        page.goto(first.page(f"overview?study={study.id}&state=complete"))
        expect(page.get_by_text(re.compile("5 trials")).first).to_be_visible()
        port = first.port
    (number,) = begin_trials(storage, study.id, 1)
    tell_trial(storage, study.id, number, 0.02)
    with served_dashboard(url, port=port):
        # The browser reconnects by itself; the address still says what was shown.
        expect(page.get_by_text(re.compile("6 trials")).first).to_be_visible()
        assert "state=complete" in page.url
    storage.close()
