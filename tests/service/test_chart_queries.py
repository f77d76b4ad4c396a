"""What charts are told beside the trials: the metric of a bound, and the name of the study."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tunekit.records import ObjectiveSpec, Report, StudySpec, TrialRecord, TrialState
from tunekit.service.app import Service, create_app
from tunekit.spaces import Float, Params, Space
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_database

PRESSED = "vision/deep/digits"
N = 30

Charts = Callable[..., dict[str, Any]]


def _trial(n: int) -> TrialRecord:
    """Return a trial whose size is the smaller, the larger its loss is."""
    return TrialRecord(
        n, TrialState.COMPLETE, params=Params({"x": n / N}), worker="host-a",
        metrics={"loss": float(n), "size": 1000.0 - n}, started=1.0 + n, finished=2.0 + n,
    )  # fmt: skip


def _pressing(n: int) -> TrialRecord:
    """Return a trial of a study whose best value of `x` is its lower bound."""
    x = 10.0 ** (-4 * n / 60)
    return TrialRecord(n, TrialState.COMPLETE, params=Params({"x": x}), metrics={"loss": x})


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Charts]:
    """Charts of a study in a service for a file, whose one project shows all studies."""
    url = f"sqlite:///{tmp_path_factory.mktemp('queries')}/all.db"
    storage = SQLStorage(open_database(url))
    goals = (ObjectiveSpec("loss"), ObjectiveSpec("size"))
    study = storage.create_study(StudySpec("two goals", goals, space=Space(x=Float(0.0, 1.0))))
    pressed = StudySpec(PRESSED, goals[:1], space=Space(x=Float(1e-4, 1.0, log=True)))
    other = storage.create_study(pressed)
    storage.add_trials(other.id, [_pressing(n) for n in range(60)], {})
    reports = {n: [Report(1, {"loss": float(n), "size": 1000.0 - n})] for n in range(N)}
    storage.add_trials(study.id, [_trial(n) for n in range(N)], reports)
    with TestClient(create_app(Service(storage, url=url, shows_all=True))) as client:

        def ask(name: str, study_id: int = study.id, **query: Any) -> dict[str, Any]:
            path = f"/api/v1/projects/default/studies/{study_id}/charts/{name}"
            answer = client.get(path, params=query)
            assert answer.status_code == 200, answer.text
            found: dict[str, Any] = answer.json()
            return found

        yield ask


@pytest.mark.parametrize("name", ["front", "importance", "stops", "timeline", "workers"])
def test_a_bound_is_of_the_shown_metric_in_charts_of_all_metrics(chart: Charts, name: str) -> None:
    found = chart(name, metric="size", low=990.0)
    n_trials = {
        "stops": lambda: found["audit"]["n_reports"],
        "workers": lambda: found["workers"][0]["n_trials"],
    }.get(name, lambda: found["total"])
    assert n_trials() == 11


def test_advised_commands_name_the_study_as_its_project_does(chart: Charts) -> None:
    commands = [f["command"] for f in chart("health", study_id=2)["findings"] if f.get("command")]
    assert commands and all(f" {PRESSED} " in f"{c} " for c in commands)
