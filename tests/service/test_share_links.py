"""Links that show one study to whoever has them, and hide what is nobody's business."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from tunekit.records import ObjectiveSpec, Outcome, Proposal, Report, StudySpec, TrialState
from tunekit.service.access.redaction import HIDDEN, Redaction
from tunekit.service.app import Service
from tunekit.spaces import Categorical, Params, Space
from tunekit.storages.base import Claim, Reports, Start, Tell
from tunekit.storages.sql.oversight_tables import share_links
from tunekit.storages.sql.schema import clock
from tunekit.testing.team import Team, bearer

API = "/api/v1"
WORKER = "gpu-box7.lab.example/linux/4711/99/ab12"
SECRETS = ("gpu-box7", "/home/ann", "Traceback", "ann", "edwin", "s3cret", "10.0.0.7", "4711")


@pytest.fixture
def study(service: Service, team: Team) -> int:
    """A study with everything in it that must not leave the project; of the admin ann."""
    team.project("vision")
    team.member("ann", "vision", "admin")
    team.member("edwin", "vision", "editor")
    storage = service.of_project("vision")
    spec = StudySpec(
        name="digits of ann",
        objectives=(ObjectiveSpec("error", "minimize"),),
        space=Space({"data": Categorical(["/home/ann/data", "web"])}),
        attrs={"run": {"folder": "/home/ann/runs", "worker": WORKER}},
    )
    study = storage.create_study(spec).id
    storage.exchange(study, WORKER, claim=Claim(3, "a"))
    proposal = Proposal(Params({"data": "/home/ann/data"}), "random", f"best of {WORKER}")
    error = 'Traceback (most recent call last):\n File "/home/ann/train.py"\nKeyError: s3cret'
    failed = Outcome(TrialState.FAILED, error=error, reason="KeyError: s3cret")
    done = Outcome(
        TrialState.COMPLETE,
        {"error": 0.5},
        reason="ran at 10.0.0.7 by edwin and as ann@gpu-box7, see file:///home/ann/log",
        user_attrs={"host": "gpu-box7"},
    )
    operations = [
        *(Start(n, 1, proposal) for n in range(2)),
        Reports(0, 1, (Report(1, {"error": 0.7}), Report(2, {"error": 0.5}))),
        Tell(0, 1, done, "k0"),
        Tell(1, 1, failed, "k1"),
    ]
    assert set(storage.exchange(study, WORKER, operations).statuses) == {"ok"}
    return study


def made(client: TestClient, team: Team, study: int, **body: Any) -> dict[str, Any]:
    path = f"{API}/projects/vision/studies/{study}/share-links"
    answer = client.post(path, json=body, headers=bearer(team.token("ann")))
    assert answer.status_code == 201
    return dict(answer.json())


def views(client: TestClient, secret: str) -> dict[str, Any]:
    return {
        name: client.get(f"{API}/shared/{name}", headers={"X-Share-Link": secret})
        for name in ("study", "trials", "reports", "events")
    }


def test_a_link_shows_its_study_without_errors_paths_hosts_and_people(
    client: TestClient, team: Team, study: int
) -> None:
    answers = views(client, made(client, team, study)["secret"])
    assert {a.status_code for a in answers.values()} == {200}
    for name, answer in answers.items():
        for secret in SECRETS:
            assert secret not in answer.text, (name, secret)
    shown = answers["study"].json()
    assert (shown["name"], shown["n_trials"]) == (f"digits of {HIDDEN}", 3)
    assert HIDDEN in json.dumps(shown["space"])
    first, failed, running = answers["trials"].json()["trials"][::1]
    by_number = {t["number"]: t for t in (first, failed, running)}
    assert by_number[0]["metrics"] == {"error": 0.5}
    assert by_number[0]["params"] == {"data": HIDDEN}
    assert (
        by_number[0]["end_reason"] == f"ran at {HIDDEN} by {HIDDEN} and as {HIDDEN}, see {HIDDEN}"
    )
    assert by_number[1]["state"] == "failed"
    reports = answers["reports"].json()["trials"]
    assert [r["metrics"]["error"] for r in reports[0]["reports"]] == [0.7, 0.5]
    events = answers["events"].json()["events"]
    assert [e["kind"] for e in events].count("claimed") == 3
    assert all(set(e) <= {"seq", "kind", "number", "at"} for e in events)


def test_readers_of_a_link_follow_cursors(client: TestClient, team: Team, study: int) -> None:
    headers = bearer(made(client, team, study)["secret"])  # as a token, too
    page = client.get(f"{API}/shared/trials?limit=2", headers=headers).json()
    assert page["more"] and len(page["trials"]) == 2
    rest = client.get(f"{API}/shared/trials?after={page['cursor']}", headers=headers).json()
    assert len(rest["trials"]) == 1
    later = client.get(f"{API}/shared/reports?first=0&after_step=1", headers=headers).json()
    assert [r["step"] for r in later["trials"][0]["reports"]] == [2]
    events = client.get(f"{API}/shared/events?after=2&limit=1", headers=headers).json()
    assert [e["seq"] for e in events["events"]] == [3] and events["more"]


def test_a_link_that_ended_or_never_was_shows_nothing(
    client: TestClient, service: Service, team: Team, study: int
) -> None:
    revoked, expired, alive = (made(client, team, study) for _ in range(3))
    path = f"{API}/projects/vision/studies/{study}/share-links"
    admin = bearer(team.token("ann"))
    link_id = revoked["link"]["id"]
    assert client.delete(f"{path}/{link_id}", headers=admin).status_code == 204
    ended = update(share_links).where(share_links.c.id == expired["link"]["id"])
    service.storage.database.write(lambda c: c.execute(ended.values(expires=clock())))
    gone = [views(client, s) for s in (revoked["secret"], expired["secret"], "tkl_wrong")]
    bodies = {a.text for found in gone for a in found.values()}
    assert {a.status_code for found in gone for a in found.values()} == {404}
    assert len(bodies) == 1  # nobody learns which of the three it was
    assert client.get(f"{API}/shared/study").status_code == 404
    # The secret is not read from the URL.
    query = f"?x_share_link={alive['secret']}&token={alive['secret']}"
    assert client.get(f"{API}/shared/study{query}").status_code == 404
    assert views(client, alive["secret"])["study"].status_code == 200
    client.delete(f"{API}/projects/vision/studies/{study}", headers=admin)
    assert views(client, alive["secret"])["study"].status_code == 404


def test_a_link_opens_no_other_route(client: TestClient, team: Team, study: int) -> None:
    secret = made(client, team, study)["secret"]
    doc = client.get("/openapi.json").json()
    n = 0
    for path, methods in doc["paths"].items():
        url = path.replace("{project}", "vision").replace("{study_id}", str(study))
        for method, operation in methods.items():
            if operation["x-role"] == "anyone":
                continue
            url = url.replace("{", "").replace("}", "")
            for headers in (bearer(secret), {"X-Share-Link": secret}):
                assert client.request(method, url, headers=headers).status_code == 401, path
            n += 1
    assert n > 30


def test_links_are_made_listed_and_revoked_by_admins_of_their_project_only(
    client: TestClient, service: Service, team: Team, study: int
) -> None:
    link = made(client, team, study, label="for the paper", days=90)
    path = f"{API}/projects/vision/studies/{study}/share-links"
    editor, admin = bearer(team.token("edwin")), bearer(team.token("ann"))
    assert client.post(path, json={}, headers=editor).status_code == 403
    assert client.get(path, headers=editor).status_code == 403
    listed = client.get(path, headers=admin)
    assert listed.json()["links"] == [link["link"]]
    assert link["link"]["label"] == "for the paper"
    assert round(link["link"]["expires"] - link["link"]["created"]) == 90 * 86400
    assert link["secret"] not in listed.text
    for days in (0, -1, 90.5):
        assert client.post(path, json={"days": days}, headers=admin).status_code == 422
    team.project("speech")
    team.accounts.projects.set_role("speech", "edwin", "admin")
    foreign = f"{API}/projects/speech/studies/{study}/share-links"
    assert client.post(foreign, json={}, headers=bearer(team.token("edwin"))).status_code == 404
    gone = client.delete(f"{foreign}/{link['link']['id']}", headers=bearer(team.token("edwin")))
    assert gone.status_code == 404
    assert views(client, link["secret"])["study"].status_code == 200
    actions = [e.action for e in service.audit.page("vision", before=None, limit=10)]
    assert actions == ["create_share_link"]


def test_the_charts_of_a_link_hide_workers_errors_and_people(
    client: TestClient, team: Team, study: int
) -> None:
    secret = {"X-Share-Link": made(client, team, study)["secret"]}
    for name in ("summary", "history", "tree", "stops", "trials", "trial?number=1", "slices",
                 "parallel", "curves", "importance", "budget", "front"):  # fmt: skip
        answer = client.get(f"{API}/shared/charts/{name}", headers=secret)
        assert answer.status_code in (200, 422), (name, answer.text)
        for text in SECRETS:
            assert text not in answer.text, (name, text)
    trial = client.get(f"{API}/shared/charts/trial?number=1", headers=secret).json()
    assert trial["state"] == "failed" and trial["params"][0]["value"] == HIDDEN
    for name in ("workers", "timeline", "health", "proposers"):
        assert client.get(f"{API}/shared/charts/{name}", headers=secret).status_code == 404


def test_a_metric_with_the_name_of_a_hidden_field_keeps_its_value(
    client: TestClient, team: Team, study: int
) -> None:
    secret = {"X-Share-Link": made(client, team, study)["secret"]}
    trial = client.get(f"{API}/shared/charts/trial?number=0", headers=secret).json()
    assert trial["metrics"] == {"error": 0.5}
    doc = {"rows": [{"params": {"worker": 3, "attrs": "/home/ann"}, "error": "boom"}]}
    assert Redaction().chart(doc) == {
        "rows": [{"params": {"worker": 3, "attrs": HIDDEN}, "error": ""}]
    }


def test_a_browser_that_opens_a_link_keeps_its_secret_where_no_script_reads_it(
    client: TestClient, team: Team, study: int
) -> None:
    secret = made(client, team, study)["secret"]
    opened = client.post(f"{API}/shared/open", json={"secret": secret})
    name = opened.json()["name"]
    assert secret not in opened.text and name not in secret
    cookie = opened.headers["set-cookie"]
    assert cookie.startswith(f"tunekit_share_{name}={secret}; HttpOnly; Max-Age=")
    assert client.post(f"{API}/shared/open", json={"secret": "x"}).status_code == 404
    assert client.post(f"{API}/shared/open", json={"secret": ""}).status_code == 404


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("loss 0.5 at 1/2 of 3:4 with a/b and v1.2.3", None),
        ("meta-llama/Llama-3 at 12:30, ratio 16:9", None),
        ("saved to /data/x.pt, then ~/y", f"saved to {HIDDEN}, then {HIDDEN}"),
        (r"in C:\Users\Bob\x or \\nas\share", f"in {HIDDEN} or {HIDDEN}"),
        ("bob@host:22 on 192.168.0.1:80", f"{HIDDEN}:22 on {HIDDEN}:80"),
        ("at fe80::1:2:3 and 2001:db8:0:1:1:1:1:1", f"at {HIDDEN} and {HIDDEN}"),
        ("Node-1 died, node-12 did not", f"{HIDDEN} died, node-12 did not"),
    ],
)
def test_texts_lose_paths_addresses_and_known_names(text: str, shown: str | None) -> None:
    redaction = Redaction(["node-1.lab/linux/1/2/x"], ["zoe"])
    assert redaction.text(text) == (text if shown is None else shown)


def test_a_long_text_is_searched_in_a_time_that_grows_with_its_length() -> None:
    text = "a.a-" * 50_000
    assert Redaction().text(text) == text
