import subprocess
import sys
from pathlib import Path

import pytest

from tunekit.errors import InvalidArgument, MissingExtra, StorageError, StorageUnreachable
from tunekit.storages.memory.storage import MemoryStorage
from tunekit.storages.urls import open_storage
from tunekit.testing.storages.access import spec


def test_no_url_is_memory_and_a_storage_is_itself() -> None:
    storage = open_storage(None)
    assert isinstance(storage, MemoryStorage)
    assert open_storage(storage) is storage
    assert open_storage("memory://").url == "memory://"


@pytest.mark.parametrize("form", ["sqlite:///{}", "sqlite+pysqlite:///{}", "{}"])
@pytest.mark.parametrize("name", ["s.db", "with space & 100%.sqlite", "größe.sqlite3"])
def test_every_form_of_a_file_opens_the_same_file(tmp_path: Path, form: str, name: str) -> None:
    path = tmp_path / name
    storage = open_storage(form.format(path))
    storage.create_study(spec("a"))
    storage.close()
    assert path.exists()
    again = open_storage(storage.url)
    assert [s.spec.name for s in again.list_studies()] == ["a"]
    again.close()


def test_a_relative_path_is_in_this_folder_and_its_url_opens_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    storage = open_storage("sqlite:///here.db")
    storage.close()
    assert storage.url == f"sqlite:///{tmp_path}/here.db"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlit:///a.db", 'did you mean "sqlite"'),
        ("mysql://root:hunter2@host/db", 'scheme "mysql"'),
        ("postgresql+asyncpg://u:hunter2@host/db", 'did you mean "postgresql"'),
        ("somewhere", "expected"),
        ("", "expected"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", '"memory://" for none'),
        ("sqlite:///", "names no file"),
        ("postgresql://u:hunter2@host:port/db", "cannot be read"),
    ],
)
def test_a_url_of_another_form_is_refused_without_its_password(url: str, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words) as caught:
        open_storage(url)
    assert "hunter2" not in str(caught.value)


def test_a_server_that_does_not_exist_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tunekit.storages.sql.postgresql import PostgreSQLDatabase

    monkeypatch.setattr(PostgreSQLDatabase, "opening_s", 0.01)
    with pytest.raises(StorageUnreachable, match=r"u:\*\*\*@127.0.0.1:1/db") as caught:
        open_storage("postgresql://u:hunter2@127.0.0.1:1/db")
    assert "hunter2" not in str(caught.value)


@pytest.mark.postgres
@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_every_form_of_a_server_is_opened(postgres_url: str, scheme: str) -> None:
    url = postgres_url.replace("postgresql", scheme, 1).replace("tunekit@", "tunekit:hunter2@")
    storage = open_storage(url)
    assert storage.list_studies() == []
    assert storage.url == postgres_url.replace("tunekit@", "tunekit:***@")
    storage.close()


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("part", "instead"), [("/test_", "/missing_"), ("tunekit@", "nobody:hunter2@")]
)
def test_a_wrong_database_or_user_fails_at_once(
    postgres_url: str, part: str, instead: str
) -> None:
    with pytest.raises(StorageError, match=r"does not exist.*check host") as caught:
        open_storage(postgres_url.replace(part, instead, 1))
    assert "hunter2" not in str(caught.value)


def test_postgresql_without_its_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(MissingExtra, match=r"\[postgres\]"):
        open_storage("postgresql://u@host/db")


def test_memory_needs_no_sqlalchemy() -> None:
    code = (
        "import sys; from tunekit.storages.urls import open_storage; open_storage(None); "
        "assert 'sqlalchemy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
