"""Walks over every page of the dashboard on real studies: bytes, findings of axe, screenshots.

    python tests/benchmarks/dashboard_walk.py --shots shots/ --trials 10000

It visits a finished, a running, an empty, a sick and a long study as an operator, the finished
one also as a viewer, as an editor, through a share link, and behind a base path.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext

from tunekit.records import ObjectiveSpec, StudySpec
from tunekit.storages.http.account_messages import RoleName
from tunekit.storages.urls import open_storage
from tunekit.testing.dashboard import PASSWORD, ServedDashboard, chromium, served_dashboard
from tunekit.testing.studies import SPACE, TrialMix, begin_trials, make_study
from tunekit.testing.walk import SHARED_PAGES, STUDY_PAGES, PageVisit, Walk

PROJECT = "vision"
MAX_BYTES = 500_000


def main() -> None:
    """Print a table of all pages; the exit status says whether one failed its targets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shots", type=Path, default=Path("shots"))
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--reports", type=int, default=50)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        url = f"sqlite:///{folder}/walk.db"
        studies = make_studies(url, TrialMix(given.trials, given.reports, seed=1))
        print("| page | KB | WebGL | axe | failures |\n| --- | --- | --- | --- | --- |")
        seen = []
        for s in walk(browser, url, studies, given.shots):
            seen.append(s)
            bad = "; ".join([*s.failures, *s.foreign, *s.blocked])
            kb = s.wire_bytes / 1000
            row = (s.name, f"{kb:,.0f}", s.n_webgl, len(s.findings), bad)
            print(f"| {' | '.join(map(str, row))} |", flush=True)
    for s in seen:
        for finding in s.findings:
            print(f"{s.name}: {finding}")
    raise SystemExit(any(s.findings or s.failures or s.wire_bytes > MAX_BYTES for s in seen))


def make_studies(url: str, long: TrialMix) -> dict[str, int]:
    """Make the studies; return their ids by name."""
    storage = open_storage(f"{url}?project={PROJECT}")
    recipes = {
        "finished": TrialMix(120),
        "running": TrialMix(40, seed=3),
        "sick": TrialMix(80, failed=0.6, seed=4),
        "long": long,
    }
    ids = {name: make_study(storage, name, recipe).id for name, recipe in recipes.items()}
    begin_trials(storage, ids["running"], 3)
    ids["empty"] = storage.create_study(
        StudySpec("empty", (ObjectiveSpec("loss"),), space=SPACE)
    ).id
    storage.close()
    return ids


def walk(browser: Browser, url: str, ids: dict[str, int], shots: Path) -> Iterator[PageVisit]:
    """Yield what is seen of every page, by everybody."""
    with served_dashboard(url, accounts=True) as served, browser_context(browser) as root:
        people = Accounts(served, root)
        yield from pages(root, served, shots / "operator", {"studies": "", "admin": "admin"})
        compared = f"compare?project={PROJECT}&studies={ids['finished']},{ids['sick']}"
        yield from pages(root, served, shots / "operator", {"compare": compared})
        for name, study in ids.items():
            yield from of_study(root, served, shots / name, study)
        for role in ("viewer", "editor"):
            with browser_context(browser) as context:
                people.log_in(context, role)  # type: ignore[arg-type]
                yield from of_study(context, served, shots / role, ids["finished"])
        with browser_context(browser) as guest:
            share = people.share(guest, ids["finished"])
            yield from pages(
                guest, served, shots / "share",
                {p: f"{p}?share={share}&trial=3" for p in SHARED_PAGES},
            )  # fmt: skip
    with (
        served_dashboard(url, "--root-path", "/lab/tunekit") as served,
        browser_context(browser) as context,
    ):
        yield from of_study(context, served, shots / "base-path", ids["finished"])


def of_study(
    context: BrowserContext, served: ServedDashboard, shots: Path, study: int
) -> Iterator[PageVisit]:
    """Yield what is seen of every page of a study."""
    query = f"project={PROJECT}&study={study}&trial=3"
    yield from pages(context, served, shots, {p: f"{p}?{query}" for p in STUDY_PAGES})


def pages(
    context: BrowserContext, served: ServedDashboard, shots: Path, paths: dict[str, str]
) -> Iterator[PageVisit]:
    """Yield what is seen of pages, each in a tab of its own."""
    for name, path in paths.items():
        tab = context.new_page()
        tab.set_default_timeout(120_000)
        seen = Walk(tab, served.page(), shots).visit(name, path)
        seen.name = f"{shots.name} {name}"
        tab.close()
        yield seen


def browser_context(browser: Browser) -> BrowserContext:
    """Return a browser of somebody who has not been here before."""
    return browser.new_context(viewport={"width": 1400, "height": 1000}, locale="en-GB")


class Accounts:
    """The people of the walk: an operator, who is logged in, and a member with each role."""

    def __init__(self, served: ServedDashboard, context: BrowserContext) -> None:
        self._served = served
        self._api = context.request
        body = {"secret": served.setup, "password": PASSWORD, "name": "root"}
        self._csrf = {"X-CSRF-Token": self._sent("setup", body)["csrf"]}
        for role in ("viewer", "editor"):
            self._add(role)  # type: ignore[arg-type]

    def log_in(self, context: BrowserContext, name: RoleName) -> None:
        """Log a member in, who has the name of their role."""
        body = {"name": name, "password": PASSWORD}
        assert context.request.post(f"{self._served.url}/api/v1/login", data=body).ok

    def share(self, context: BrowserContext, study: int) -> str:
        """Open a new share link in a browser; return its short name."""
        made = self._sent(f"projects/{PROJECT}/studies/{study}/share-links", {})
        opened = context.request.post(
            f"{self._served.url}/api/v1/shared/open", data={"secret": made["secret"]}
        )
        return str(opened.json()["name"])

    def _add(self, role: RoleName) -> None:
        link = self._sent("users", {"name": role})["path"]
        body = {"secret": link.partition("#")[2].partition(",")[0], "password": PASSWORD}
        self._served.request("POST", "/setup", body)
        self._sent(f"projects/{PROJECT}/members/{role}", {"role": role}, method="PUT")

    def _sent(self, path: str, body: dict[str, Any], method: str = "POST") -> Any:
        headers = getattr(self, "_csrf", {})
        url = f"{self._served.url}/api/v1/{path}"
        answer = self._api.fetch(url, method=method, data=body, headers=headers)
        assert answer.ok, answer.text()
        return answer.json()


if __name__ == "__main__":
    main()
