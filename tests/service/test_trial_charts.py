"""The service answers the table of trials, one trial, and all charts of some trials alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tunekit.records import (
    ObjectiveSpec,
    Report,
    StudySpec,
    TrialRecord,
    TrialState,
)
from tunekit.service.app import Service, create_app
from tunekit.service.charts import kept_studies
from tunekit.service.charts.queries import ChartQuery
from tunekit.spaces import Categorical, Float, Space
from tunekit.storages.base import Claim
from tunekit.storages.project import ProjectStorage
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_database

SPACE = Space(
    {
        "model": Categorical({"rbf": {"gamma": Float(1e-4, 1.0, log=True)}, "linear": {}}),
        "c": Float(0.1, 10.0),
    }
)
N = 30
DONE = [n for n in range(N) if n not in (4, 5)]


def _trial(n: int) -> TrialRecord:
    point: dict[str, Any] = {"model": "linear", "c": 1.0 + n / 10}
    if n % 3:
        point = {"model": "rbf", "model.rbf.gamma": 10.0 ** -(n % 4), "c": 1.0 + n / 10}
    params = SPACE.complete(point)
    if n == 4:
        return TrialRecord(
            n, TrialState.FAILED, params=params, error="x" * 1_000_000 + "ValueError: the end"
        )
    if n == 5:
        return TrialRecord(n, TrialState.WAITING, params=params)
    return TrialRecord(
        n, TrialState.COMPLETE, params=params, metrics={"loss": float((n * 7) % N)},
        sampler="mcts", reason="because it is good", worker="host-a",
    )  # fmt: skip


class Study:
    def __init__(self, client: TestClient, storage: SQLStorage) -> None:
        self.client = client
        self.storage = ProjectStorage(storage, "vision")
        spec = StudySpec("digits", (ObjectiveSpec("loss"),), space=SPACE)
        self.id = self.storage.create_study(spec).id
        reports = {0: [Report(s, {"loss": 1.0 / s}) for s in range(1, 1001)]}
        self.storage.add_trials(self.id, [_trial(n) for n in range(N)], reports)

    def get(self, name: str, **query: Any) -> Any:
        url = f"/api/v1/projects/vision/studies/{self.id}/charts/{name}"
        return self.client.get(url, params=query)

    def chart(self, name: str, **query: Any) -> dict[str, Any]:
        answer = self.get(name, **query)
        assert answer.status_code == 200, answer.text
        assert len(answer.content) <= 200_000
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    folder: Path = tmp_path_factory.mktemp("trials")
    url = f"sqlite:///{folder}/team.db"
    storage = SQLStorage(open_database(url))
    with TestClient(create_app(Service(storage, url=url))) as client:
        yield Study(client, storage)


def test_a_page_of_the_table_begins_at_its_offset_and_counts_all_trials(study: Study) -> None:
    page = study.chart("trials", sort="number", descending=False, offset=10, rows=5)
    assert [row["number"] for row in page["rows"]] == [10, 11, 12, 13, 14]
    assert (page["shown"], page["total"], page["offset"]) == (5, N, 10)
    assert page["paths"] == ["model", "model.rbf.gamma", "c"]
    assert study.chart("trials", offset=10_000)["rows"] == []


def test_trials_without_a_value_come_last_in_either_order(study: Study) -> None:
    for descending in (False, True):
        rows = study.chart("trials", sort="value", descending=descending)["rows"]
        assert [row["number"] for row in rows[-2:]] == [4, 5]
        values = [row["value"] for row in rows[:-2]]
        assert values == sorted(values, reverse=descending)


def test_a_row_has_no_param_that_is_not_active(study: Study) -> None:
    rows = study.chart("trials", sort="number", descending=False, rows=2)["rows"]
    assert set(rows[0]["params"]) == {"model", "c"}
    assert set(rows[1]["params"]) == {"model", "model.rbf.gamma", "c"}


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({"branch": "model=linear"}, [n for n in range(N) if n % 3 == 0]),
        ({"state": "failed,waiting"}, [4, 5]),
        ({"low": 20.0, "high": 22.0}, [n for n in DONE if 20 <= (n * 7) % N <= 22]),
        (
            {"branch": "model=rbf", "high": 3.0},
            [n for n in DONE if n % 3 and (n * 7) % N <= 3],
        ),
        ({"branch": "model=none"}, []),
        ({"branch": "no.such=1"}, []),
    ],
)
def test_every_chart_is_about_the_trials_of_the_filter_alone(
    study: Study, query: dict[str, Any], wanted: list[int]
) -> None:
    rows = study.chart("trials", sort="number", descending=False, **query)["rows"]
    assert [row["number"] for row in rows] == wanted
    assert study.chart("history", **query)["numbers"] == wanted
    assert study.chart("parallel", **query)["numbers"] == wanted
    assert study.chart("tree", **query)["nodes"][0]["visits"] == len(wanted)
    assert study.chart("curves", **query)["total"] == len(wanted)


def test_filters_with_errors_are_refused_in_a_sentence(study: Study) -> None:
    for query, told in (
        ({"branch": "model"}, "model=svm"),
        ({"state": "done"}, "complete"),
        ({"low": "nan"}, ""),
        ({"sort": "colour"}, ""),
        ({"offset": -1}, ""),
    ):
        answer = study.get("trials", **query)
        assert answer.status_code == 422 and told in answer.text


def test_one_trial_is_shown_beside_the_defaults_and_the_best_one(study: Study) -> None:
    found = study.chart("trial", number=1)
    able = sorted(((n * 7) % N, n) for n in DONE)
    assert (found["place"], found["n_placed"]) == (able.index((7, 1)) + 1, len(able))
    assert found["best"] == able[0][1] == 0
    params = {p["path"]: (p["value"], p["default"], p["best"]) for p in found["params"]}
    default = SPACE.by_path["model.rbf.gamma"].domain.default_value()
    assert params["model"] == ("rbf", SPACE.by_path["model"].domain.default_value(), "linear")
    assert params["model.rbf.gamma"] == (0.1, default, None)  # not active in the best one
    assert found["reason"] == "because it is good"


def test_a_long_curve_is_thinned_and_keeps_both_ends(study: Study) -> None:
    (curve,) = study.chart("trial", number=0)["curves"]
    assert len(curve["steps"]) == 400
    assert (curve["steps"][0], curve["steps"][-1]) == (1, 1000)
    assert curve["values"][-1] == 0.001


def test_of_a_long_traceback_the_end_is_shown_and_the_length_told(study: Study) -> None:
    found = study.chart("trial", number=4)
    assert found["error"].endswith("ValueError: the end")
    assert len(found["error"]) == 20_000 < found["error_size"] == 1_000_019


def test_an_unknown_trial_is_told_in_a_sentence(study: Study) -> None:
    answer = study.get("trial", number=99)
    assert answer.status_code == 404 and "no trial 99" in answer.text


def test_charts_of_reports_are_computed_once_while_no_trial_runs(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []
    stops_chart = kept_studies.stops_chart

    def counted(*args: Any, **given: Any) -> Any:
        computed.append(1)
        return stops_chart(*args, **given)

    monkeypatch.setattr(kept_studies, "stops_chart", counted)
    kept = kept_studies.ChartStudy(study.storage, study.id)
    query = ChartQuery(study.id, 1, "stops")
    first = kept.chart(query)
    assert kept.chart(query) == first and len(computed) == 1
    assert study.storage.exchange(study.id, "w", claim=Claim(1, "k")).leases
    kept.chart(query)
    kept.chart(query)
    assert len(computed) == 3  # a trial runs: its reports may have come
