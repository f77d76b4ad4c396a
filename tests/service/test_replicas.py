"""Several processes over one database: SQLite refuses them, PostgreSQL shares the work."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select

from tunekit.errors import ServiceBusy
from tunekit.service.app import Service
from tunekit.service.housekeeping import LOCK, Housekeeping
from tunekit.service.notifications import Notifications
from tunekit.service.sole_replica import sole_replica
from tunekit.storages.sql.access_tables import sessions
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_database, open_storage
from tunekit.testing.service import running_service
from tunekit.testing.storages.access import Access, start, tell


def test_an_sqlite_file_has_one_replica_until_that_ends(tmp_path: Path) -> None:
    first, second = (open_database(str(tmp_path / "team.db")) for _ in range(2))
    with sole_replica(first), pytest.raises(ServiceBusy, match="already serves"):
        with sole_replica(second):
            pass
    with sole_replica(second):
        pass


@pytest.mark.postgres
def test_a_replica_hears_of_changes_of_another_but_not_of_its_own(postgres_url: str) -> None:
    database = open_database(postgres_url)
    heard: list[int] = []
    any_heard = threading.Event()

    def note(study_id: int) -> None:
        heard.append(study_id)
        any_heard.set()

    own: list[int] = []
    listener, sender = Notifications(database, note), Notifications(database, own.append)
    listener.start()
    sender.start()
    while not any_heard.wait(0.05):  # it may not listen yet
        sender.announce(7)
    listener.close()
    sender.close()
    database.close()
    assert set(heard) == {7}
    assert own == []


@pytest.mark.postgres
def test_two_replicas_hand_out_each_trial_once_and_take_each_result_once(
    postgres_url: str,
) -> None:
    services = [Service(open_storage(postgres_url)) for _ in range(2)]
    with running_service(services[0]) as one, running_service(services[1]) as other:
        first, second = open_storage(one), open_storage(other)
        access = Access(first)
        told: list[int] = []

        def work(storage: object) -> None:
            mine = Access.__new__(Access)
            mine.storage, mine.id = storage, access.id  # type: ignore[assignment]
            while leases := mine.claim(max_trials=40):
                (lease,) = leases
                assert mine.send(start(lease), tell(lease)).statuses == ("ok", "ok")
                told.append(lease.number)

        threads = [threading.Thread(target=work, args=[s]) for s in (first, second) * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(told) == list(range(40))
        assert len(access.trials()) == 40
        first.close()
        second.close()


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_housekeeping_deletes_what_has_expired_in_one_replica_at_a_time(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = request.getfixturevalue("postgres_url") if kind == "postgres" else str(tmp_path / "t.db")
    storage = SQLStorage(open_database(url))
    database = storage.database
    for digest, expires in (("old", 1.0), ("new", 1e12)):
        row = {"digest": digest, "user_id": 1, "csrf": "", "created": 0.0, "expires": expires}
        database.write(lambda c, row=row: c.execute(insert(sessions), row))
    chores = Housekeeping(database)
    if kind == "postgres":
        with database.engine.connect() as another, another.begin():
            another.execute(select(func.pg_advisory_xact_lock(LOCK)))
            assert chores.clean() == 0
    assert chores.clean() == 1
    assert database.read(lambda c: c.execute(select(sessions.c.digest)).scalars().all()) == ["new"]
    storage.close()
