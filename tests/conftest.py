"""Fixtures for all tests: a real PostgreSQL server, started once a session (and xdist worker)."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tunekit.testing.postgres import PostgresServer, find_binaries, running_server

# The same examples in every run: a failure is one of the change, not of the draw.
settings.register_profile(
    "tunekit", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tunekit")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests that share a fixture of their module on one worker of pytest, and begin there.

    Tests are given out one by one, so that each worker would make the fixture for itself. What
    stays together comes first: at the end no worker waits for the rest of a long module.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None and _shares_a_fixture(item):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


def _shares_a_fixture(item: pytest.Item) -> bool:
    known = (
        item._fixtureinfo.name2fixturedefs.values() if isinstance(item, pytest.Function) else ()
    )
    return any(fixtures[-1].scope in ("class", "module") for fixtures in known)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A running server; tests may crash and restart it, but leave it running."""
    binaries = find_binaries()
    if binaries is None:
        reason = "no PostgreSQL server is installed (looked for initdb and pg_ctl)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with running_server(binaries) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database of its own."""
    url = postgres_server.new_database()
    yield url
    postgres_server.drop_database(url)
