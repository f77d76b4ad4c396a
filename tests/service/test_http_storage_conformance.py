from collections.abc import Iterator
from pathlib import Path

import pytest

from tunekit.service.app import Service
from tunekit.storages.base import Storage
from tunekit.storages.urls import open_storage
from tunekit.testing.service import running_service
from tunekit.testing.storages import StorageConformance


class TestServiceOnSQLite(StorageConformance):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[Storage]:
        service = Service(open_storage(tmp_path / "team.db"))
        with running_service(service) as url:
            storage = open_storage(f"{url}/vision")
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
