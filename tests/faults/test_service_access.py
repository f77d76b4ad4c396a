"""A token revoked in mid-run, and a user who tries the ids and links of another project."""

import json
import os
import urllib.error
import urllib.request
from contextlib import closing

import pytest

from tunekit.service.access.accounts import Accounts
from tunekit.service.access.tokens import Owner
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_database
from tunekit.testing.killable import DEADLINE_S, Processes, ServiceProcess
from tunekit.testing.service_worker import N_TRIALS
from tunekit.testing.service_workers import ServiceWorkers
from tunekit.testing.team import Team, bearer

ROUNDS = int(os.environ.get("TUNEKIT_FAULT_ROUNDS", "1"))

pytestmark = pytest.mark.faults


@pytest.fixture
def rounds(tmp_path, monkeypatch):
    """Give a service with accounts, its people and a study of `vision` for each round."""

    def each():
        for turn in range(ROUNDS):
            url = f"sqlite:///{tmp_path}/{turn}.db"
            with Processes(tmp_path) as processes, closing(SQLStorage(open_database(url))) as s:
                team = Team(Accounts(s.database))
                for project in ("vision", "speech"):
                    team.project(project)
                    team.member(f"{project}-lead", project, "admin")
                monkeypatch.setenv("TUNEKIT_TOKEN", team.token("vision-lead"))
                service = ServiceProcess(processes, url, "--accounts")
                at = f"{service.url}/vision"
                yield service, team, ServiceWorkers(processes, at, tmp_path / f"t{turn}", url)
                service.stop()
                team.accounts.close()

    return each


def asked(service, method, path, headers, doc=None):
    """Return the status and the text of an answer."""
    body = None if doc is None else json.dumps(doc).encode()
    headers = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(service.url + path, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(errors="replace")


def test_a_worker_whose_token_is_revoked_ends_and_others_finish_its_trials(rounds):
    acknowledged = 0
    for service, team, workers in rounds():
        token = team.machine("vision")
        revoked = workers.add("full", "thin", token=token)
        workers.wait_for_results(6)
        (known,) = team.accounts.tokens.page(Owner(project="vision"), 0, 10)
        lead = team.token("vision-lead")
        path = f"/api/v1/projects/vision/tokens/{known.id}"
        assert asked(service, "DELETE", path, bearer(lead))[0] == 204
        for process in revoked:
            workers.expect_end(process)
            assert process.wait(DEADLINE_S) != 0
            log = workers.log(process)
            assert "NotAuthenticated" in log and token not in log
        assert workers.stored.n_told < N_TRIALS
        acknowledged += workers.finish()
    print(
        f"{ROUNDS} rounds, {2 * ROUNDS} workers with a revoked token, {ROUNDS * N_TRIALS} trials, "
        f"{acknowledged} acknowledged: 0 lost, 0 doubled, 0 stuck"
    )


def routes_of_projects(service):
    """Yield the methods and paths of the routes below a project, with its name to be filled in."""
    doc = json.loads(asked(service, "GET", "/openapi.json", {})[1])
    for path, methods in doc["paths"].items():
        if "/projects/{project}/" in path:
            for method in methods:
                yield method.upper(), path


def test_a_user_who_tries_the_ids_and_links_of_another_project_sees_nothing(rounds):
    n_tried = 0
    for service, team, workers in rounds():
        workers.add("full")
        study_id = workers.stored.id
        lead, other = (bearer(team.token(f"{p}-lead")) for p in ("vision", "speech"))
        links = f"/api/v1/projects/vision/studies/{study_id}/share-links"
        made = json.loads(asked(service, "POST", links, lead, {})[1])
        for method, template in routes_of_projects(service):
            doc = None if method in ("GET", "DELETE") else {}
            for project in ("vision", "speech"):
                path = template.replace("{project}", project).replace("{study_id}", str(study_id))
                path = path.replace("{number}", "0").replace("{link_id}", str(made["link"]["id"]))
                path = path.replace("{", "").replace("}", "")
                status, text = asked(service, method, path, other, doc)
                of_study = project == "vision" or "{study_id}" in template
                assert not of_study or status in (404, 422), (method, path, status)
                assert status < 500 and "digits" not in text, (method, path, text)
                n_tried += 1
        for secret in (made["secret"][:-1], f"{made['secret']}x", "tkl_0", str(study_id)):
            status, text = asked(service, "GET", "/api/v1/shared/study", {"X-Share-Link": secret})
            assert status == 404 and "digits" not in text
        link = {"X-Share-Link": made["secret"]}
        assert asked(service, "GET", "/api/v1/shared/study", link)[0] == 200
        assert asked(service, "DELETE", f"{links}/{made['link']['id']}", lead)[0] == 204
        assert asked(service, "GET", "/api/v1/shared/study", link)[0] == 404
        assert workers.finish() == N_TRIALS
    print(f"{ROUNDS} rounds, {n_tried} requests at another project: nothing shown, 0 lost")
