"""What the list of studies and the list of workers say, and what people do from them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

import tunekit as tk
from tests.service.conftest import service_at
from tunekit.errors import InvalidArgument, UnknownTrial
from tunekit.records import ObjectiveSpec, StudySpec, TrialRecord, TrialState
from tunekit.service.app import Service, create_app
from tunekit.service.routes import study_rows
from tunekit.spaces import Float, Params, Space
from tunekit.storages.base import Claim
from tunekit.storages.http.job_messages import JobNew
from tunekit.storages.http.oversight_messages import Quotas
from tunekit.testing.service import running_service
from tunekit.testing.team import Team, bearer

SPACE = Space(x=Float(0.0, 1.0))
URL = "/api/v1/projects/vision"


class Desk:
    """A service with one editor, and their client."""

    def __init__(self, service: Service, client: TestClient) -> None:
        assert service.accounts is not None
        team = Team(service.accounts)
        team.project("vision")
        team.member("eve", "vision", "editor")
        self.service, self.client = service, client
        self.headers = bearer(team.token("eve"))
        self.storage = service.of_project("vision")

    def ask(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        headers = {**self.headers, **options.pop("headers", {})}
        answer = self.client.request(method, f"{URL}{path}", headers=headers, **options)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def study(self, name: str, n: int = 0, **attrs: Any) -> int:
        body = {
            "name": name,
            "objectives": [{"metric": "loss", "direction": "minimize"}],
            "attrs": attrs,
        }
        made = self.storage.create_study(
            StudySpec(name, (ObjectiveSpec("loss"),), space=SPACE, attrs=attrs)
        ) if n else None  # fmt: skip
        study_id = made.id if made else self.ask("POST", "/studies", 201, json=body)["id"]
        trials = [
            TrialRecord(
                i, TrialState.COMPLETE, params=Params({"x": (i // 2) / n}, SPACE),
                sampler="random", metrics={"loss": 1.0 - i / n}, evidence={"block": i % 2},
            )
            for i in range(n)
        ]  # fmt: skip
        self.storage.add_trials(study_id, trials, {})
        return int(study_id)

    def rows(self, **query: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", "/study-rows", params=query)
        return found


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(study_rows, "WAIT_S", 60.0)  # for a machine under load
    service = service_at(f"sqlite:///{tmp_path}/team.db")
    with TestClient(create_app(service), base_url="http://127.0.0.1") as client:
        yield Desk(service, client)


def test_a_row_has_progress_best_with_noise_trend_last_event_and_owner(desk: Desk) -> None:
    desk.study("a", 100, max_trials=200)
    desk.study("b")
    page = desk.rows()
    assert [r["name"] for r in page["rows"]] == ["a", "b"] and page["total"] == 2
    first, second = page["rows"]
    found = first["summary"]
    assert (found["shown"], found["total"], found["max_trials"]) == (100, 100, 200)
    assert found["best"] == pytest.approx(0.01) and found["best_number"] == 99
    assert found["noise"] == pytest.approx(0.0, abs=0.01)
    assert len(found["trend"]) == 40
    assert found["trend"][0] == 1.0 and found["trend"][-1] == pytest.approx(0.01)
    assert found["last_event"]["kind"] == "added" and found["last_event"]["number"] == 99
    assert second["owner"] == "eve" and second["summary"].get("best") is None


def test_rows_are_paged_by_name_and_found_by_text_tag_and_state(desk: Desk) -> None:
    ids = {name: desk.study(name) for name in ("digits-1", "digits-2", "letters")}
    desk.ask("PUT", f"/studies/{ids['letters']}/tags", json={"tags": ["old", "nlp", "old"]})
    desk.ask("PATCH", f"/studies/{ids['digits-2']}", json={"state": "paused"})
    page = desk.rows(limit=2)
    assert page["after"] == "digits-2" and page["tags"] == ["nlp", "old"]
    assert [r["name"] for r in desk.rows(after="digits-2")["rows"]] == ["letters"]
    assert [r["name"] for r in desk.rows(search="DIGITS")["rows"]] == ["digits-1", "digits-2"]
    assert [r["name"] for r in desk.rows(tag="nlp")["rows"]] == ["letters"]
    assert [r["name"] for r in desk.rows(state="paused")["rows"]] == ["digits-2"]


def test_an_unchanged_list_is_answered_by_304(desk: Desk) -> None:
    study_id = desk.study("a")
    first = desk.client.get(f"{URL}/study-rows", headers=desk.headers)
    known = {**desk.headers, "If-None-Match": first.headers["etag"]}
    again = desk.client.get(f"{URL}/study-rows", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    desk.ask("PUT", f"/studies/{study_id}/tags", json={"tags": ["new"]})
    assert desk.client.get(f"{URL}/study-rows", headers=known).status_code == 200


def test_a_summary_that_takes_long_is_left_to_the_next_request(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.study("a", 10)
    monkeypatch.setattr(study_rows, "WAIT_S", 0.0)
    assert "summary" not in desk.rows()["rows"][0]
    monkeypatch.setattr(study_rows, "WAIT_S", 60.0)
    assert desk.rows()["rows"][0]["summary"]["total"] == 10


def test_an_archived_study_leaves_the_list_stops_and_comes_back_stopped(desk: Desk) -> None:
    study_id = desk.study("a", 10)
    assert desk.ask("POST", f"/studies/{study_id}:archive")["state"] == "stopped"
    assert desk.rows()["total"] == 0
    assert [r["name"] for r in desk.rows(archived=True)["rows"]] == ["a"]
    refused = desk.ask("PATCH", f"/studies/{study_id}", 422, json={"state": "active"})
    assert "is archived" in refused["detail"]
    desk.ask("POST", f"/studies/{study_id}:restore")
    [row] = desk.rows()["rows"]
    assert (row["state"], row["summary"]["total"]) == ("stopped", 10)
    desk.ask("PATCH", f"/studies/{study_id}", json={"state": "active"})


def test_a_renamed_study_keeps_its_trials_and_a_taken_name_is_refused(desk: Desk) -> None:
    first, _ = desk.study("a", 10), desk.study("b")
    assert desk.ask("PUT", f"/studies/{first}/name", json={"name": "c"})["spec"]["name"] == "c"
    assert [(r["name"], r["summary"]["total"]) for r in desk.rows()["rows"]] == [
        ("b", 0),
        ("c", 10),
    ]
    taken = desk.ask("PUT", f"/studies/{first}/name", 409, json={"name": "b"})
    assert '"b" exists' in taken["detail"]
    desk.ask("PUT", f"/studies/{first}/name", 422, json={"name": "a\nb"})
    settings = {"name": "c", "space": {}, "objectives": {"loss": "minimize"}}
    desk.service.jobs.submit("vision", "eve", JobNew(settings))
    busy = desk.ask("PUT", f"/studies/{first}/name", 422, json={"name": "d"})
    assert "job 1 works on study 'c'" in busy["detail"]


def test_tags_that_nobody_could_read_are_refused(desk: Desk) -> None:
    study_id = desk.study("a")
    for tags in (["x" * 41], [" x"], ["a\n"], [""], [str(i) for i in range(21)]):
        desk.ask("PUT", f"/studies/{study_id}/tags", 422, json={"tags": tags})
    assert desk.rows()["rows"][0].get("tags", []) == []


def test_a_retried_trial_has_the_point_of_the_old_one_and_names_it(desk: Desk) -> None:
    study_id = desk.study("a", 10)
    key = {"Idempotency-Key": "once"}
    for _ in range(2):
        made = desk.ask("POST", f"/studies/{study_id}/trials/4:retry", json={}, headers=key)
        assert made["numbers"] == [10]
    new, old = (desk.service.storage.trials_from(study_id, n, 1)[0] for n in (10, 4))
    assert (new.state, new.params) == (TrialState.WAITING, old.params)
    assert new.user_attrs == {"retry_of": 4}
    refused = desk.ask("POST", f"/studies/{study_id}/trials/10:retry", 422, json={})
    assert "has not ended" in refused["detail"]
    desk.ask("POST", f"/studies/{study_id}/trials/11:retry", 404, json={})


def test_the_workers_say_what_they_run_and_the_study_says_why_one_waits(desk: Desk) -> None:
    study_id = desk.study("a", 1, max_trials=3)
    path = f"/studies/{study_id}/charts/workers"
    assert "no worker is running" in desk.ask("GET", path)["waits_because"]
    for worker in ("host/1", "host/2"):
        desk.storage.exchange(study_id, worker, claim=Claim(1, worker, 3))
    chart = desk.ask("GET", path)
    assert chart["waits_because"] == "all 3 trials of the budget have been given out."
    workers = {w["worker"]: w for w in chart["workers"]}
    assert set(workers) == {"host/1", "host/2"} and workers["host/1"]["host"] == "host"
    assert [w["state"] for w in chart["workers"]] == ["running", "running"]
    assert workers["host/2"]["running"] == [2]
    desk.ask("PATCH", f"/studies/{study_id}", json={"state": "paused"})
    assert "paused" in desk.ask("GET", path)["waits_because"]


def test_a_quota_that_is_used_up_is_why_workers_wait(desk: Desk) -> None:
    study_id = desk.study("a", 1)
    desk.storage.exchange(study_id, "host/1", claim=Claim(1, "k"))
    desk.service.quotas.set("vision", Quotas(running=1))
    why = desk.ask("GET", f"/studies/{study_id}/charts/workers")["waits_because"]
    assert "uses 1 trials at this time, and its quota is 1" in why


@pytest.fixture(params=["memory", "sqlite", "http"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "http":
        service = Service(service_at(f"sqlite:///{tmp_path}/team.db").storage)
        with running_service(service) as url:
            yield f"{url}/vision"
    else:
        yield None if request.param == "memory" else f"sqlite:///{tmp_path}/own.db"


def test_a_study_is_tagged_archived_restored_renamed_and_its_trials_retried_on_any_storage(
    storage: Any,
) -> None:
    study = tk.study("s", space=SPACE, objectives="loss", storage=storage, sampler="random")
    study.optimize(lambda trial: trial.params["x"], n_trials=2)
    study.set_tags(["b", "a", "b"])
    assert study.tags == ("a", "b") and not study.is_archived
    study.archive()
    assert study.is_archived
    with pytest.raises(InvalidArgument, match="restore it first"):
        study.optimize(lambda trial: 0.0, n_trials=1)
    study.restore()
    study.rename("new")
    assert study.name == "new" and study.record().spec.name == "new"
    with pytest.raises(UnknownTrial):
        study.retry_trial(2)
    assert study.retry_trial(1) == 2
    study.optimize(lambda trial: trial.params["x"], n_trials=1)
    first, again = study.trials[1:3]
    assert again.params == first.params and again.user_attrs == {"retry_of": 1}
    assert again.state is TrialState.COMPLETE
    assert study.health()["boundary"].verdict == "unknown"
    study.storage.close()
