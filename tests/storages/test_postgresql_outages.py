"""A server that loses answers, connections or itself: the conformance suite has to hold."""

import threading
from collections.abc import Iterator
from itertools import count
from typing import Any

import psycopg2
import pytest
from sqlalchemy import text

from tunekit.errors import StorageUnreachable
from tunekit.storages.base import Storage
from tunekit.storages.sql.postgresql import PostgreSQLDatabase
from tunekit.storages.sql.storage import SQLStorage
from tunekit.testing.storages import StorageConformance
from tunekit.testing.storages.access import Access, start, tell

pytestmark = pytest.mark.postgres


class LossyDatabase(PostgreSQLDatabase):
    """Loses the connection at every third commit: by turns after and before it took effect."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        commits, really_commit = count(1), self.engine.dialect.do_commit

        def do_commit(connection: Any) -> None:
            n = next(commits)
            if n % 6 == 3:
                really_commit(connection)
            if n % 3 == 0:
                connection.close()
                raise psycopg2.OperationalError("server closed the connection unexpectedly")
            really_commit(connection)

        self.engine.dialect.do_commit = do_commit  # type: ignore[method-assign]


class TestLossyPostgreSQL(StorageConformance):
    @pytest.fixture
    def storage(self, postgres_url: str) -> Iterator[Storage]:
        storage = SQLStorage(LossyDatabase(postgres_url))
        yield storage
        storage.close()


def test_a_crash_between_two_calls_is_not_noticed(postgres_server: Any, postgres_url: str) -> None:
    storage = SQLStorage(PostgreSQLDatabase(postgres_url))
    access = Access(storage)
    lease = access.take()
    postgres_server.restart()
    assert access.send(tell(lease)).statuses == ("ok",)
    postgres_server.restart()
    assert access.trial(0).metrics == {"loss": 1.0}
    assert access.kinds() == ["claimed", "started", "told"]
    storage.close()


def test_a_call_waits_until_the_server_is_back(postgres_server: Any, postgres_url: str) -> None:
    storage = SQLStorage(PostgreSQLDatabase(postgres_url))
    access = Access(storage)
    (lease,) = access.claim()
    postgres_server.stop()
    back = threading.Thread(target=postgres_server.start)
    back.start()
    try:
        assert access.send(start(lease)).statuses == ("ok",)
    finally:
        back.join()
    storage.close()


def test_a_server_that_stays_away_is_named_and_nothing_is_lost(
    postgres_server: Any, postgres_url: str
) -> None:
    storage = SQLStorage(PostgreSQLDatabase(postgres_url, outage_s=0.2))
    access = Access(storage)
    lease = access.take()
    postgres_server.stop()
    try:
        with pytest.raises(StorageUnreachable, match=r"does not answer.*No stored data are lost"):
            access.send(tell(lease))
    finally:
        postgres_server.start()
    assert access.send(tell(lease)).statuses == ("ok",)
    storage.close()


def test_a_worker_that_freezes_in_a_transaction_is_thrown_out(postgres_url: str) -> None:
    database = PostgreSQLDatabase(postgres_url)
    limit = database.read(
        lambda c: c.execute(text("show idle_in_transaction_session_timeout")).scalar()
    )
    assert limit == "30s"
    database.close()


def test_connections_that_the_server_ends_are_replaced(postgres_url: str) -> None:
    storage = SQLStorage(PostgreSQLDatabase(postgres_url))
    access = Access(storage)
    other = PostgreSQLDatabase(postgres_url)
    end_all = text(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid()"
    )
    for _ in range(3):
        other.read(lambda c: c.execute(end_all).all())
        access.take()
    assert len(access.trials()) == 3
    storage.close()
    other.close()


def test_a_full_disk_of_the_server_says_that_the_same_may_be_sent_again(postgres_url: str) -> None:
    database = PostgreSQLDatabase(postgres_url)
    full = text("DO $$ BEGIN RAISE 'no space left' USING ERRCODE = 'disk_full'; END $$")
    with pytest.raises(StorageUnreachable, match=r"disk space.*No stored data are lost"):
        database.write(lambda connection: connection.execute(full))
    database.close()
