from collections.abc import Iterator
from pathlib import Path

import pytest

from tunekit.storages.base import Storage
from tunekit.storages.memory.storage import MemoryStorage
from tunekit.storages.project import ProjectStorage
from tunekit.storages.urls import open_storage
from tunekit.testing.storages import StorageConformance
from tunekit.testing.storages.access import spec


class TestMemoryStorage(StorageConformance):
    @pytest.fixture
    def storage(self) -> Storage:
        return MemoryStorage()


class TestSQLiteStorage(StorageConformance):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[Storage]:
        storage = open_storage(tmp_path / "study.db")
        yield storage
        storage.close()


@pytest.mark.postgres
class TestPostgreSQLStorage(StorageConformance):
    @pytest.fixture
    def storage(self, postgres_url: str) -> Iterator[Storage]:
        storage = open_storage(postgres_url)
        yield storage
        storage.close()


class TestProjectStorage(StorageConformance):
    @pytest.fixture
    def storage(self) -> Storage:
        every = MemoryStorage()
        every.create_study(spec("other/study"))
        return ProjectStorage(every, "vision")
