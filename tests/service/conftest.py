"""Fixtures of the service's tests: accounts on both databases, and clients of several people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from fastapi.testclient import TestClient

from tunekit.service.access.accounts import Accounts
from tunekit.service.access.passwords import Passwords
from tunekit.service.app import Service, create_app
from tunekit.service.charts import charts
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_database
from tunekit.testing.team import Team


@pytest.fixture(autouse=True, scope="session")
def patient_charts() -> Iterator[None]:
    """Let a request wait for its chart: a machine under load starts the process slowly."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charts, "WAIT_S", 300.0)
        yield


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path}/team.db"


@pytest.fixture
def service(database_url: str) -> Service:
    return service_at(database_url)


def service_at(url: str) -> Service:
    """A service with accounts whose hashes are cheap."""
    storage = SQLStorage(open_database(url))
    cheap = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    accounts = Accounts(storage.database, cheap)
    return Service(storage, accounts=accounts)


@pytest.fixture
def client(service: Service) -> Iterator[TestClient]:
    with TestClient(create_app(service), base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture
def team(service: Service) -> Team:
    assert service.accounts is not None
    return Team(service.accounts)
