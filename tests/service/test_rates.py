"""Limits of requests a second."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tunekit.errors import QuotaReached
from tunekit.service.access import rates as module
from tunekit.service.access.rates import Buckets, Rate, RateLimits, RateSettings
from tunekit.service.app import Service, create_app
from tunekit.storages.http.connection import Connection
from tunekit.storages.sql.sqlite import SQLiteDatabase
from tunekit.storages.sql.storage import SQLStorage
from tunekit.testing.service import running_service


@pytest.fixture
def storage(tmp_path: Path) -> SQLStorage:
    return SQLStorage(SQLiteDatabase(tmp_path / "s.db"))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_holds_a_burst_and_refills_at_its_rate() -> None:
    clock = Clock()
    buckets = Buckets(Rate(per_s=2.0, burst=3.0), clock)
    assert [buckets.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert buckets.take("b") == 0.0  # another caller has one of its own
    clock.now = 0.25
    assert buckets.take("a") == 0.25
    clock.now = 0.5
    assert buckets.take("a") == 0.0
    clock.now = 100.0
    assert [buckets.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_buckets_of_callers_that_are_silent_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BUCKETS", 2)
    buckets = Buckets(Rate(1.0, 1.0), Clock())
    assert [buckets.take(name) for name in "abc"] == [0.0, 0.0, 0.0]
    assert len(buckets) == 2
    assert buckets.take("c") == 1.0


def test_an_address_that_sends_too_much_is_told_when_to_come_again(storage: SQLStorage) -> None:
    limits = RateLimits(RateSettings(address=Rate(0.1, 2.0)), Clock())
    with TestClient(create_app(Service(storage, rates=limits))) as client:
        answers = [client.get("/api/v1/caller") for _ in range(3)]
    assert [a.status_code for a in answers] == [200, 200, 429]
    assert answers[2].headers["Retry-After"] == "10"
    assert answers[2].json()["code"] == QuotaReached.code
    assert answers[2].headers["X-Content-Type-Options"] == "nosniff"


def test_a_client_waits_as_long_as_the_service_asks_it_to(storage: SQLStorage) -> None:
    limits = RateLimits(RateSettings(address=Rate(20.0, 1.0)))
    with running_service(Service(storage, rates=limits)) as url:
        connection = Connection(url)
        answers = [connection.request("GET", "/caller").doc for _ in range(2)]
        assert answers[0] == answers[1]
        connection.close()


def test_a_quota_that_no_waiting_frees_is_raised_at_once() -> None:
    with pytest.raises(QuotaReached) as found:
        raise QuotaReached("stored bytes are used up; delete studies.")
    assert found.value.retry_after is None
