from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.conftest import service_at
from tunekit.service.app import Service
from tunekit.storages.base import Storage
from tunekit.storages.urls import open_storage
from tunekit.testing.service import running_service
from tunekit.testing.storages import StorageConformance
from tunekit.testing.team import Team


class TestServiceOnSQLite(StorageConformance):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[Storage]:
        service = Service(open_storage(tmp_path / "team.db"))
        with running_service(service) as url:
            storage = open_storage(f"{url}/vision")
            yield storage
            storage.close()


class TestServiceWithAccounts(StorageConformance):
    """The same as an editor of one project, whose token is in the environment."""

    @pytest.fixture
    def storage(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
        service = service_at(f"sqlite:///{tmp_path}/team.db")
        assert service.accounts is not None
        team = Team(service.accounts)
        team.project("vision")
        team.member("ann", "vision", "editor")
        monkeypatch.setenv("TUNEKIT_TOKEN", team.token("ann", role="editor"))
        with running_service(service) as url:
            storage = open_storage(url)  # her only project is the default one
            yield storage
            storage.close()


@pytest.mark.postgres
class TestServiceOnPostgreSQL(StorageConformance):
    @pytest.fixture
    def storage(self, postgres_url: str) -> Iterator[Storage]:
        with running_service(Service(open_storage(postgres_url))) as url:
            storage = open_storage(url)
            yield storage
            storage.close()
