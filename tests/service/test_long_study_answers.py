"""No answer about a study of 10,000 trials with 100 reports each is longer than it may be."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from tunekit.records import ObjectiveSpec, StudySpec, TrialRecord, TrialState
from tunekit.service.app import Service, create_app
from tunekit.spaces import Categorical, Float, Space
from tunekit.storages.http.messages import MAX_ANSWER_BYTES
from tunekit.storages.project import ProjectStorage
from tunekit.storages.sql.sqlite import SQLiteDatabase
from tunekit.storages.sql.storage import SQLStorage

N_TRIALS, N_REPORTS = 10_000, 100
pytestmark = pytest.mark.slow

STUDIES = "/api/v1/projects/vision/studies"
STREAMS = {"stream_events", "export_study", "get_artifact"}
"""Operations that send content of any length, piece by piece."""

CHOICES = {f"{'branch' * 20}{i}": Space({f"p{i}": Float(0.0, 1.0)}) for i in range(300)}
SPACE = Space({"model": Categorical(CHOICES), **{f"x{i}": Float(0.0, 1.0) for i in range(40)}})


def _trials() -> Iterator[TrialRecord]:
    names = list(CHOICES)
    for n in range(N_TRIALS):
        name = names[n % len(names)]
        point = {"model": name, f"model.{name}.p{n % len(names)}": n / N_TRIALS}
        numbers = {f"x{i}": (n * (i + 7) % 997) / 997 for i in range(40)}
        state = (TrialState.COMPLETE, TrialState.STOPPED, TrialState.FAILED)[n % 3]
        yield TrialRecord(
            n, state, params=SPACE.complete({**point, **numbers}),
            metrics={"loss": -float(n), "accuracy": n % 101 / 100} if n % 3 == 0 else {},
            end_reason="it was too slow " * 20, error="Traceback\n" * 100,
            stop_evidence={"stopper": "curve", "predicted": 1.0} if n % 3 == 1 else {},
            user_attrs={"log": "x" * (150_000 if n % 1000 == 0 else 1000)},
        )  # fmt: skip


@pytest.fixture(scope="module")
def long_study(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[TestClient, int, list[tuple[str, dict[str, Any]]]]]:
    storage = SQLStorage(SQLiteDatabase(tmp_path_factory.mktemp("long") / "team.db"))
    goals = (ObjectiveSpec("loss"), ObjectiveSpec("accuracy", "maximize"))
    ours = ProjectStorage(storage, "vision")
    study = ours.create_study(StudySpec("digits", goals, space=SPACE)).id
    ours.add_trials(study, list(_trials()), {})
    storage.database.write(
        lambda c: c.execute(
            text(
                "INSERT INTO tk_reports WITH RECURSIVE "
                f"t(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM t WHERE i + 1 < {N_TRIALS}), "
                f"s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < {N_REPORTS}) "
                "SELECT :study, t.i, s.i, '{\"loss\": ' || (1.0 / (s.i + t.i % 7)) || '}' "
                "FROM t, s"
            ),
            {"study": study},
        )
    )
    with TestClient(create_app(Service(storage))) as client:
        for _ in range(300):
            note = {"text": "n" * 9_000}
            client.post(f"{STUDIES}/{study}/notes", json=note).raise_for_status()
        doc = client.get("/openapi.json").json()
        reads = [
            (path, methods["get"]) for path, methods in doc["paths"].items() if "get" in methods
        ]
        yield client, study, reads


def test_no_answer_of_any_route_that_reads_a_study_is_too_long(
    long_study: tuple[TestClient, int, list[tuple[str, dict[str, Any]]]],
) -> None:
    client, study, reads = long_study
    asked = 0
    for path, operation in reads:
        if "{study_id}" not in path or operation["operationId"] in STREAMS:
            continue
        url = path.replace("{project}", "vision").replace("{study_id}", str(study))
        needed = [p for p in operation["parameters"] if p["in"] == "query" and p["required"]]
        query = {p["name"]: p["example"] if "example" in p else 1 for p in needed}
        url = re.sub(r"\{\w+\}", "1", url)
        while (answer := client.get(url, params=query)).status_code == 503:
            assert "still being computed" in answer.text  # it waits, and goes on all the same
        assert answer.status_code == 200, f"{path}: {answer.text[:300]}"
        assert len(answer.content) <= MAX_ANSWER_BYTES, path
        asked += 1
    assert asked >= 15


@pytest.mark.parametrize(
    ("path", "items", "key"),
    [("trials", "trials", "seq"), ("events", "events", "seq"), ("notes", "notes", "id")],
)
def test_every_page_fits_and_all_pages_together_hold_everything(
    long_study: tuple[TestClient, int, list[tuple[str, dict[str, Any]]]],
    path: str,
    items: str,
    key: str,
) -> None:
    client, study, _ = long_study
    seen: list[int] = []
    more = True
    while more:
        query = {"after": seen[-1] if seen else 0}
        answer = client.get(f"{STUDIES}/{study}/{path}", params=query)
        assert len(answer.content) <= MAX_ANSWER_BYTES
        page = answer.json()
        seen += [item[key] for item in page[items]]
        more = page["more"]
    assert seen == sorted(set(seen))
    assert len(seen) == {"trials": N_TRIALS, "events": N_TRIALS, "notes": 300}[path]


def test_all_reports_are_read_in_pages_that_fit(
    long_study: tuple[TestClient, int, list[tuple[str, dict[str, Any]]]],
) -> None:
    client, study, _ = long_study
    body = {"trials": [{"number": n} for n in range(1000)]}
    answer = client.post(f"{STUDIES}/{study}/reports:read", json=body)
    assert len(answer.content) <= MAX_ANSWER_BYTES
    assert answer.json()["more"] is True


def test_charts_say_how_much_of_the_study_they_show(
    long_study: tuple[TestClient, int, list[tuple[str, dict[str, Any]]]],
) -> None:
    client, study, _ = long_study

    def chart(name: str) -> Any:
        return client.get(f"{STUDIES}/{study}/charts/{name}").json()

    complete = -(-N_TRIALS // 3)
    assert chart("history")["total"] == N_TRIALS
    assert 500 <= chart("history")["shown"] <= 2000
    assert chart("curves")["shown"] == chart("curves")["total"] == N_TRIALS
    assert chart("front")["total"] == complete
    tree = chart("tree")
    assert (tree["shown"], tree["total"]) == (150, 301)
    root = tree["nodes"][0]
    assert (root["visits"], root["n_folded"]) == (N_TRIALS, 151)
    assert sum(n["visits"] for n in tree["nodes"][1:]) + root["folded_visits"] == N_TRIALS
    parallel = chart("parallel")
    assert (parallel["total"], parallel["n_axes"], len(parallel["axes"])) == (N_TRIALS, 341, 60)
    assert 50 <= parallel["shown"] <= 2000
