"""The storage conformance suite over HTTP; each test has a project of its own on one service."""

from collections.abc import Iterator
from itertools import count

import pytest

from tests.service.conftest import service_at
from tunekit.service.app import Service
from tunekit.storages.base import Storage
from tunekit.storages.urls import open_storage
from tunekit.testing.postgres import PostgresServer
from tunekit.testing.service import running_service
from tunekit.testing.storages import StorageConformance
from tunekit.testing.team import Team

numbers = count()


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("sqlite")
    with running_service(Service(open_storage(folder / "team.db"))) as url:
        yield url


@pytest.fixture(scope="module")
def on_postgresql(postgres_server: PostgresServer) -> Iterator[str]:
    database = postgres_server.new_database()
    with running_service(Service(open_storage(database))) as url:
        yield url
    postgres_server.drop_database(database)


@pytest.fixture(scope="module")
def with_accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Team, str]]:
    service = service_at(f"sqlite:///{tmp_path_factory.mktemp('accounts')}/team.db")
    assert service.accounts is not None
    with running_service(service) as url:
        yield Team(service.accounts), url


class TestServiceOnSQLite(StorageConformance):
    @pytest.fixture
    def storage(self, on_sqlite: str) -> Iterator[Storage]:
        storage = open_storage(f"{on_sqlite}/vision{next(numbers)}")
        yield storage
        storage.close()


class TestServiceWithAccounts(StorageConformance):
    """The same as an editor of the only project, whose token is in the environment."""

    @pytest.fixture
    def storage(
        self, with_accounts: tuple[Team, str], monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Storage]:
        (team, url), n = with_accounts, next(numbers)
        team.project(f"vision{n}")
        team.member(f"ann{n}", f"vision{n}", "editor")
        monkeypatch.setenv("TUNEKIT_TOKEN", team.token(f"ann{n}", role="editor"))
        storage = open_storage(url)  # her only project is the default one
        yield storage
        storage.close()


@pytest.mark.postgres
class TestServiceOnPostgreSQL(StorageConformance):
    @pytest.fixture
    def storage(self, on_postgresql: str) -> Iterator[Storage]:
        storage = open_storage(f"{on_postgresql}/vision{next(numbers)}")
        yield storage
        storage.close()
