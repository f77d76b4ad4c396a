"""Quotas of projects, counted where trials are given out."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

import tunekit as tk
from tunekit.errors import InvalidArgument, QuotaReached
from tunekit.records import ObjectiveSpec, Outcome, Proposal, StudySpec, TrialState
from tunekit.service.access import quotas as module
from tunekit.service.access.claim_guard import ClaimGuard
from tunekit.service.access.quotas import COUNTED_S, KNOWN_S, QuotaBook, gpus_of
from tunekit.service.app import Service, create_app
from tunekit.spaces import Params
from tunekit.storages.base import Claim, Exchange, Start, Storage, Tell
from tunekit.storages.http.job_messages import JobNew
from tunekit.storages.http.oversight_messages import Quotas
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.table import StudyTable
from tunekit.storages.urls import open_database, open_storage
from tunekit.testing.service import running_service

DONE = Outcome(TrialState.COMPLETE, {"error": 0.5})
ON_ONE_GPU = {"run": {"settings": {"resources": {"gpu": 0.5}}}}


def spec(name: str, **more: Any) -> StudySpec:
    return StudySpec(name=name, objectives=(ObjectiveSpec("error", "minimize"),), **more)


def opened(url: str) -> SQLStorage:
    return SQLStorage(open_database(url))


def claimed(storage: Storage, study: int, n: int, key: str | None = None) -> Exchange:
    return storage.exchange(study, "w", claim=Claim(n, key or uuid4().hex))


def ended(number: int) -> tuple[Start, Tell]:
    start = Start(number, 1, Proposal(Params({"x": 1.0}), "random", ""))
    return start, Tell(number, 1, DONE, uuid4().hex)


def test_a_claim_gets_what_the_quota_of_its_project_leaves_and_is_told_why(
    database_url: str,
) -> None:
    service = Service(opened(database_url))
    service.quotas.set("vision", Quotas(running=3))
    with running_service(service) as url:
        storage = open_storage(f"{url}/vision")
        first = storage.create_study(spec("first")).id
        second = storage.create_study(spec("second")).id
        assert claimed(storage, first, 2).held_back == ""
        answer = claimed(storage, second, 2)
        assert [x.number for x in answer.leases] == [0]
        assert "uses 2 trials at this time, and its quota is 3" in answer.held_back
        answer = claimed(storage, first, 1)
        assert answer.leases == ()
        assert "project 'vision' uses 3 trials" in answer.held_back
        # A result frees its place in the same transaction, for the claim that comes with it.
        answer = storage.exchange(first, "w", ended(0), claim=Claim(1, "next"))
        assert [x.number for x in answer.leases] == [2]
        # A repeated claim gets the same trial, also where nothing is free.
        assert storage.exchange(first, "w", claim=Claim(1, "next")).leases == answer.leases
        # Another project has nothing to do with it.
        other = open_storage(f"{url}/audio")
        assert len(claimed(other, other.create_study(spec("first")).id, 9).leases) == 9
        other.close()
        storage.close()


def test_a_trial_whose_lease_has_run_out_does_not_block_its_project(database_url: str) -> None:
    service = Service(opened(database_url))
    service.quotas.set("vision", Quotas(running=1))
    with running_service(service) as url:
        storage = open_storage(f"{url}/vision")
        study = storage.create_study(spec("first")).id
        assert [x.number for x in claimed(storage, study, 1).leases] == [0]
        assert claimed(storage, study, 1).leases == ()
        storage.expire(study, [(0, 1)])
        assert [(x.number, x.epoch) for x in claimed(storage, study, 1).leases] == [(0, 2)]
        storage.close()


def test_gpus_are_counted_by_what_studies_declare(database_url: str) -> None:
    service = Service(opened(database_url))
    service.quotas.set("vision", Quotas(gpus=1.6))
    with running_service(service) as url:
        storage = open_storage(f"{url}/vision")
        gpu = storage.create_study(spec("gpu", attrs=ON_ONE_GPU)).id
        cpu = storage.create_study(spec("cpu")).id
        assert len(claimed(storage, cpu, 5).leases) == 5
        answer = claimed(storage, gpu, 5)
        assert len(answer.leases) == 3
        assert "uses 0 GPUs at this time, and its quota is 1.6" in answer.held_back
        storage.close()
    use = QuotaBook(opened(database_url).database).use("vision")
    assert (use.running, use.gpus) == (8, 1.5)


def test_an_attribute_that_is_no_declaration_counts_as_no_gpu() -> None:
    assert gpus_of('{"run": {"settings": {"resources": {"gpu": 2}}}}') == 2.0
    for text in (
        "{}",
        '{"run": null}',
        '{"run": {"settings": []}}',
        '{"run": {"settings": {"resources": {"gpu": "2"}}}}',
        '{"run": {"settings": {"resources": {"gpu": true}}}}',
        '{"run": {"settings": {"resources": {"gpu": -1}}}}',
    ):
        assert gpus_of(text) == 0.0


def test_a_project_that_stores_too_much_adds_nothing_but_its_results(database_url: str) -> None:
    service = Service(opened(database_url))
    with running_service(service) as url:
        storage = open_storage(f"{url}/vision")
        study = storage.create_study(spec("first")).id
        claimed(storage, study, 1)
        storage.enqueue(study, [{"x": "y" * 5000}], user_attrs={})
        used = service.quotas.stored_bytes("vision")
        assert 5000 < used < 6000
        service.quotas.set("vision", Quotas(stored_bytes=used))
        with pytest.raises(QuotaReached, match="delete"):
            storage.create_study(spec("second"))
        with pytest.raises(QuotaReached, match="delete"):
            storage.enqueue(study, [{"x": 1.0}], user_attrs={})
        answer = storage.exchange(study, "w", ended(0), claim=Claim(1, "a"))
        assert answer.statuses == ("ok", "ok")
        assert answer.leases == ()
        assert "quota is" in answer.held_back
        service.quotas.set("vision", Quotas(stored_bytes=10 * used))
        assert storage.create_study(spec("second")).spec.name == "second"
        storage.close()


def test_quotas_are_set_by_operators_and_read_by_viewers(service: Service, team: Any) -> None:
    team.project("vision")
    tokens = {}
    for role in ("viewer", "admin"):
        team.member(role, "vision", role)
        tokens[role] = {"Authorization": f"Bearer {team.token(role)}"}
    path = "/api/v1/projects/vision/quotas"
    with TestClient(create_app(service), base_url="http://127.0.0.1") as client:
        assert client.put(path, json={"running": 1}, headers=tokens["admin"]).status_code == 403
        service.quotas.set("vision", Quotas(running=4, stored_bytes=10**12))
        answer = client.get(path, headers=tokens["viewer"])
    assert answer.json() == {
        "quotas": {"running": 4, "stored_bytes": 10**12},
        "running": 0,
        "gpus": 0.0,
        "stored_bytes": 0,
    }


@pytest.mark.parametrize("bad", [{"running": -1}, {"gpus": -0.5}, {"gpus": float("nan")}])
def test_a_limit_that_is_no_amount_is_refused(tmp_path: Path, bad: dict[str, Any]) -> None:
    book = QuotaBook(opened(f"sqlite:///{tmp_path}/s.db").database)
    with pytest.raises(InvalidArgument, match="expected a number from 0"):
        book.set("vision", Quotas(**bad))
    assert book.of("vision") is None


def test_a_process_learns_of_quotas_that_another_one_has_set(database_url: str) -> None:
    now = [0.0]
    here, there = (QuotaBook(opened(database_url).database, lambda: now[0]) for _ in range(2))
    assert here.of("vision") is None
    there.set("vision", Quotas(running=1))
    assert here.of("vision") is None
    now[0] = KNOWN_S + 0.1
    assert here.of("vision") == Quotas(running=1)
    there.set("vision", Quotas())  # no limit is no quota
    now[0] = 2 * KNOWN_S + 0.2
    assert here.of("vision") is None


def test_a_project_without_quotas_costs_no_query_of_a_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(opened(f"sqlite:///{tmp_path}/s.db"))
    with running_service(service) as url:
        storage = open_storage(f"{url}/vision")
        study = storage.create_study(spec("first")).id
        claimed(storage, study, 1)
        monkeypatch.setattr(module, "read_quotas", _forbidden)
        monkeypatch.setattr(module, "running_in", _forbidden)
        assert len(claimed(storage, study, 2).leases) == 2
        storage.close()
    assert KNOWN_S < COUNTED_S


def _forbidden(*_: object, **__: object) -> None:
    raise AssertionError("the quotas of this project are known")


@pytest.mark.postgres
def test_many_clients_of_two_replicas_never_get_more_than_the_quota(postgres_url: str) -> None:
    quota, n_clients, n_rounds = 5, 16, 6
    services = [Service(opened(postgres_url)) for _ in range(2)]
    services[0].quotas.set("vision", Quotas(running=quota))
    watch = QuotaBook(opened(postgres_url).database)
    most: list[int] = []

    def work(index: int, url: str, studies: list[int]) -> int:
        storage = open_storage(f"{url}/vision")
        study, n_done = studies[index % len(studies)], 0
        for _ in range(n_rounds):
            leases = claimed(storage, study, 2).leases
            most.append(watch.use("vision").running)
            operations = [op for x in leases for op in ended(x.number)]
            assert set(storage.exchange(study, "w", operations).statuses) <= {"ok"}
            n_done += len(leases)
        storage.close()
        return n_done

    with ExitStack() as stack:
        urls = [stack.enter_context(running_service(s)) for s in services]
        for url in urls:  # one after the other: the first request completes an application
            open_storage(url).close()
        storage = open_storage(f"{urls[0]}/vision")
        studies = [storage.create_study(spec(name)).id for name in ("a", "b", "c")]
        with ThreadPoolExecutor(n_clients) as pool:
            done = pool.map(lambda i: work(i, urls[i % 2], studies), range(n_clients))
            n_done = sum(done)
        assert max(most) <= quota
        assert n_done >= quota  # the quota was at work, and work was done
        assert sum(s.n_trials for s in storage.list_studies()) == n_done
        assert watch.use("vision").running == 0
        storage.close()


def test_a_run_that_waits_for_its_quota_says_so_once_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service(opened(f"sqlite:///{tmp_path}/s.db"))
    service.quotas.set("vision", Quotas(running=1))
    held_back, n_refused, allowed = Event(), count(1), ClaimGuard.allowed

    def noted(guard: ClaimGuard, table: StudyTable, n: int) -> tuple[int, str]:
        answer = allowed(guard, table, n)
        if not answer[0] and next(n_refused) == 2:
            held_back.set()
        return answer

    monkeypatch.setattr(ClaimGuard, "allowed", noted)
    with running_service(service) as url, caplog.at_level("INFO", "tunekit"):
        storage = open_storage(f"{url}/vision")
        other = storage.create_study(spec("other")).id
        assert claimed(storage, other, 1).leases
        study = tk.study("mine", storage=storage, objectives="error")
        with ThreadPoolExecutor(1) as pool:
            run = pool.submit(study.optimize, lambda t: t.suggest_float("x", 0, 1), n_trials=3)
            assert held_back.wait(60)
            storage.exchange(other, "w", ended(0))
            run.result()
        assert len(study.trials) == 3
        storage.close()
    said = [r.message for r in caplog.records if "its quota is 1" in r.getMessage()]
    assert len(said) == 1


def test_a_project_of_an_old_name_inherits_no_quotas_and_no_jobs(
    service: Service, team: Any
) -> None:
    team.project("vision")
    service.quotas.set("vision", Quotas(running=1))
    service.jobs.submit("vision", "ada", JobNew({"name": "a"}))
    service.jobs.submit("speech", "ada", JobNew({"name": "a"}))
    team.accounts.projects.delete("vision")
    team.project("vision")
    assert QuotaBook(service.storage.database).of("vision") is None
    assert service.jobs.page("vision", 0, 10) == []
    assert len(service.jobs.page("speech", 0, 10)) == 1
