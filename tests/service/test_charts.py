import math
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from tunekit.analysis.audit import stop_audit
from tunekit.analysis.health import CHECKS, study_health
from tunekit.analysis.importance import importance
from tunekit.records import (
    MetricConstraint,
    ObjectiveSpec,
    Proposal,
    Report,
    StudySpec,
    TrialRecord,
    TrialState,
)
from tunekit.service.app import Service, create_app
from tunekit.service.charts import charts, process
from tunekit.spaces import Categorical, Float, Params, Space
from tunekit.storages.base import Claim, Reports, Start
from tunekit.storages.project import ProjectStorage
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_database
from tunekit.studies.histories import read_history

SPACE = Space(
    {
        "model": Categorical(
            {"rbf": Space({"gamma": Float(1e-4, 1.0, log=True)}), "linear": Space({})}
        ),
        "c": Float(0.1, 10.0),
    }
)
SPEC = StudySpec("digits", (ObjectiveSpec("loss"),), space=SPACE)
N = 300


def _trials() -> Iterator[tuple[TrialRecord, list[Report]]]:
    random = np.random.default_rng(5)
    for n in range(N):
        point: dict[str, Any] = {"c": float(random.uniform(0.1, 10.0))}
        if n % 3:
            point = {
                "model": "rbf",
                "model.rbf.gamma": float(10 ** random.uniform(-4, 0)),
                **point,
            }
        else:
            point = {"model": "linear", **point}
        loss = (point["c"] - 3.0) ** 2 + (0.0 if n % 3 else 5.0) + 1.0
        params = SPACE.complete(point)
        curve = [Report(s, {"loss": loss + 8.0 / s}) for s in range(1, 41)]
        trial = TrialRecord(n, TrialState.COMPLETE, params=params, metrics={"loss": loss})
        if n % 10 == 7:
            trial = replace(
                trial, state=TrialState.STOPPED, metrics={}, end_reason="too slow",
                stop_evidence={"stopper": "curve", "predicted": loss, "step": 10},
            )  # fmt: skip
            curve = curve[:10]
        if n % 50 == 9:
            trial = replace(trial, state=TrialState.FAILED, metrics={}, error="Traceback")
        if n % 60 == 11:
            verdict = {"predicted": loss}
            evidence = {"audit": {"stopper": "curve", "step": 10, "evidence": verdict}}
            trial = replace(trial, stop_evidence=evidence)
        yield trial, curve


class Study:
    def __init__(self, client: TestClient, storage: SQLStorage, spec: StudySpec) -> None:
        self.client = client
        self.storage = ProjectStorage(storage, "vision")
        self.id = self.storage.create_study(spec).id

    def fill(self, more: Any = None) -> None:
        pairs = list(_trials())
        trials = [t for t, _ in pairs]
        self.storage.add_trials(self.id, trials, {t.number: curve for t, curve in pairs})

    def chart(self, name: str, **query: Any) -> dict[str, Any]:
        answer = self.get(name, **query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def get(self, name: str, known: str = "", **query: Any) -> Any:
        headers = {"If-None-Match": known} if known else {}
        url = f"/api/v1/projects/vision/studies/{self.id}/charts/{name}"
        return self.client.get(url, params=query, headers=headers)


def _opened(url: str, spec: StudySpec) -> Iterator[Study]:
    storage = SQLStorage(open_database(url))
    service = Service(storage, url=url)
    with TestClient(create_app(service)) as client:
        yield Study(client, storage, spec)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    folder = tmp_path_factory.mktemp("charts")
    for study in _opened(f"sqlite:///{folder}/team.db", SPEC):
        study.fill()
        yield study


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Study]:
    yield from _opened(f"sqlite:///{tmp_path}/team.db", SPEC)


def _complete(study: Study) -> list[TrialRecord]:
    return read_history(study.storage, study.storage.get_study("digits")).complete()


def test_the_history_keeps_every_improvement_and_some_of_each_state(study: Study) -> None:
    best, improvements = math.inf, []
    for t in _complete(study):
        if t.metrics["loss"] < best:
            best = t.metrics["loss"]
            improvements.append(t.number)
    chart = study.chart("history", points=40)
    assert chart["improvements"] == improvements
    assert (chart["shown"], chart["total"], len(chart["numbers"])) == (40, N, 40)
    assert chart["numbers"] == sorted(chart["numbers"])
    assert set(chart["states"]) == {"complete", "stopped", "failed"}
    for n, state, value, predicted in zip(
        chart["numbers"], chart["states"], chart["values"], chart["predicted"], strict=True
    ):
        assert (value is not None) == (state == "complete"), n
        assert (predicted is not None) == (state == "stopped" or n % 60 == 11), n


def test_bands_are_the_quantiles_of_the_curves_that_got_so_far(study: Study) -> None:
    chart = study.chart("curves", number=[7])
    assert chart["steps"][0] == 1 and chart["steps"][-1] == 40
    assert len(chart["steps"]) <= 64
    whole = {t.number: t for t in _complete(study)}
    curves = study.storage.reports(study.id, list(whole))
    band = next(b for b in chart["bands"] if b["state"] == "complete")
    for i, step in enumerate(chart["steps"]):
        values = [c[step - 1].metrics["loss"] for c in curves.values()]
        expected = np.percentile(values, [5, 25, 50, 75, 95])
        assert [q[i] for q in band["quantiles"]] == pytest.approx(list(expected))
        assert band["n"][i] == len(whole)
    stopped = next(b for b in chart["bands"] if b["state"] == "stopped")
    assert [n > 0 for n in stopped["n"]] == [s <= 10 for s in chart["steps"]]
    assert chart["lines"][0]["number"] == 7 and len(chart["lines"]) == 20
    assert chart["lines"][0]["steps"][-1] == 10
    assert chart["lines"][0]["predicted"] is not None


def test_importance_is_that_of_the_analysis_and_of_each_branch(study: Study) -> None:
    chart = study.chart("importance")
    history = read_history(study.storage, study.storage.get_study("digits"))
    whole = chart["branches"][0]
    shares = {p["path"]: p["share"] for p in whole["parameters"]}
    assert whole.get("branch") == {} and shares == pytest.approx(importance(history, SPACE))
    branches = {b["branch"]["model"]: b for b in chart["branches"][1:]}
    n_linear = sum(
        t.params is not None and t.params["model"] == "linear" for t in history.complete()
    )
    assert branches["linear"]["n"] == n_linear
    assert branches["rbf"]["n"] == len(history.complete()) - n_linear
    gamma = {p["path"]: p for p in branches["linear"]["parameters"]}["model.rbf.gamma"]
    assert (gamma["n_active"], gamma["n_good"]) == (0, 0)
    top = branches["rbf"]["parameters"][0]
    assert (top["path"], top["n_good"]) == ("c", branches["rbf"]["n_good"])


def test_too_few_trials_for_an_importance_are_a_reason_not_an_error(empty: Study) -> None:
    [whole] = empty.chart("importance")["branches"]
    assert "needs 10 complete, feasible trials" in whole["reason"]


def test_the_tree_counts_trials_by_branch_in_pre_order(study: Study) -> None:
    chart = study.chart("tree")
    root, rbf, linear = chart["nodes"]
    assert [n["id"] for n in chart["nodes"]] == [0, 1, 2]
    assert (root["parent"], rbf["parent"], linear["parent"]) == (None, 0, 0)
    assert (rbf["value"], linear["value"]) == ("rbf", "linear")
    assert (root["visits"], rbf["visits"], linear["visits"]) == (N, 200, 100)
    complete = _complete(study)
    best = min(complete, key=lambda t: t.metrics["loss"])
    assert (root["best"], root["best_number"]) == (best.metrics["loss"], best.number)
    of_linear = [t.metrics["loss"] for t in complete if t.params and t.params["model"] == "linear"]
    assert linear["n_complete"] == len(of_linear)
    assert linear["mean"] == pytest.approx(np.mean(of_linear))
    assert linear["sd"] == pytest.approx(np.std(of_linear, ddof=1))
    assert root["n_stopped"] == rbf["n_stopped"] + linear["n_stopped"] == 30


def test_nodes_beyond_the_bound_are_folded_into_the_node_above(study: Study) -> None:
    chart = study.chart("tree", nodes=2)
    root, rbf = chart["nodes"]
    assert (chart["shown"], chart["total"]) == (2, 3)
    assert (root["n_folded"], root["folded_visits"]) == (1, 100)
    assert rbf["value"] == "rbf"


def test_the_stop_audit_is_that_of_the_analysis(study: Study) -> None:
    chart = study.chart("stops", verdicts=10)
    history = read_history(study.storage, study.storage.get_study("digits"))
    expected = stop_audit(history, study.storage.reports(study.id))
    assert chart["audit"]["n_stopped"] == expected.n_stopped == 30
    assert chart["audit"]["n_audited"] == expected.n_audited > 0
    assert chart["audit"]["n_saved"] == pytest.approx(expected.n_saved)
    assert chart["audit"]["interval"] == pytest.approx(list(expected.interval))
    assert (chart["shown"], chart["total"]) == (10, 35)
    assert chart["verdicts"][0]["number"] == 297
    assert chart["verdicts"][0]["reason"] == "too slow"


def test_parallel_lines_hold_all_good_trials_and_null_where_a_parameter_is_not_active(
    study: Study,
) -> None:
    chart = study.chart("parallel", lines=60)
    complete = sorted(_complete(study), key=lambda t: t.metrics["loss"])
    good = {t.number for t in complete[: math.ceil(0.1 * len(complete))]}
    assert set(chart["good"]) == good <= set(chart["numbers"])
    assert (chart["shown"], chart["total"], len(chart["numbers"])) == (60, N, 60)
    assert set(chart["states"]) == {"complete", "stopped", "failed"}
    axes = [a["path"] for a in chart["axes"]]
    assert set(axes) == {"model", "model.rbf.gamma", "c"}
    gamma, model = (chart["columns"][axes.index(p)] for p in ("model.rbf.gamma", "model"))
    choices = chart["axes"][axes.index("model")]["choices"]
    assert [g is None for g in gamma] == [choices[int(m)] == "linear" for m in model]


def test_slices_show_the_parameters_that_are_asked_for(study: Study) -> None:
    chart = study.chart("slices", path=["c"], points=N)
    trials = {t.number: t for t in study.storage.changes(study.id).trials}
    [axis] = chart["axes"]
    assert (axis["path"], axis["low"], axis["high"]) == ("c", 0.1, 10.0)
    for n, c in zip(chart["numbers"], chart["columns"][0], strict=True):
        assert c == (trials[n].params or {})["c"]


def test_a_front_holds_the_trials_that_no_other_dominates(empty: Study) -> None:
    goals = (ObjectiveSpec("loss"), ObjectiveSpec("accuracy", "maximize"))
    spec = replace(
        SPEC, name="two", objectives=goals, constraints=(MetricConstraint("loss", "<=", 4.0),)
    )
    study = Study(empty.client, empty.storage._storage, spec)
    points = [(1.0, 0.5), (2.0, 0.9), (2.5, 0.8), (3.0, 0.95), (5.0, 0.99)]
    trials = [
        TrialRecord(
            n, TrialState.COMPLETE, params=SPACE.default(),
            metrics={"loss": loss, "accuracy": accuracy},
        )
        for n, (loss, accuracy) in enumerate(points)
    ]  # fmt: skip
    study.storage.add_trials(study.id, trials, {})
    chart = study.chart("front")
    assert [(p["number"], p["values"]) for p in chart["front"]] == [
        (0, [1.0, 0.5]), (1, [2.0, 0.9]), (3, [3.0, 0.95]),
    ]  # fmt: skip
    assert [p["number"] for p in chart["others"]] == [2, 4]
    assert chart["directions"] == ["minimize", "maximize"]


@pytest.mark.parametrize(
    "name",
    [
        "history", "front", "importance", "tree", "slices", "parallel", "curves", "stops",
        "contour", "timeline", "budget", "health",
    ],
)  # fmt: skip
def test_an_unchanged_chart_is_answered_by_304_and_a_change_by_a_new_etag(
    empty: Study, name: str
) -> None:
    empty.fill()
    first = empty.get(name)
    assert first.json()["seq"] == N
    assert first.headers["etag"].startswith(f'"{N}')
    again = empty.get(name, known=first.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    empty.fill()
    new = empty.get(name, known=first.headers["etag"])
    assert (new.status_code, new.json()["seq"]) == (200, 2 * N)


def test_new_reports_of_a_running_trial_reach_the_curves_without_an_event(
    empty: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charts, "LIVE_S", 1e-9)
    storage = empty.storage
    [lease] = storage.exchange(empty.id, "w", claim=Claim(1, "k")).leases
    proposal = Proposal(SPACE.default(), "random")
    storage.exchange(empty.id, "w", [Start(lease.number, lease.epoch, proposal)])
    counts = []
    for last in (3, 5):
        points = [Report(s, {"loss": 1.0}) for s in range(last - 2, last + 1)]
        storage.exchange(empty.id, "w", [Reports(lease.number, lease.epoch, tuple(points))])
        counts.append(empty.chart("curves")["steps"][-1])
    assert counts == [3, 5]


def test_a_killed_process_is_replaced_at_the_next_chart(empty: Study) -> None:
    empty.fill()
    before = empty.chart("history")
    charts = empty.client.app.state.service.charts  # type: ignore[attr-defined]
    pid = charts.process.pid
    os.kill(pid, signal.SIGKILL)
    charts.process._process.join()
    busy = empty.get("tree")
    assert (busy.status_code, busy.json()["code"]) == (503, "TK605")
    assert empty.chart("tree")["nodes"][0]["visits"] == N
    assert charts.process.pid != pid
    assert empty.chart("history") == before


def test_a_chart_that_takes_too_long_ends_its_process(
    empty: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty.chart("history")
    empty.fill()
    monkeypatch.setattr(process, "DEADLINE_S", 0.0)
    assert empty.get("history").status_code == 503
    monkeypatch.undo()
    assert empty.chart("history")["total"] == N


def test_a_chart_that_takes_long_is_computed_on_and_found_by_a_later_request(
    empty: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty.fill()
    monkeypatch.setattr(charts, "WAIT_S", 0.0)
    busy = empty.get("tree")
    assert (busy.status_code, busy.json()["code"]) == (503, "TK605")
    assert busy.headers["retry-after"] == "5"
    pid = empty.client.app.state.service.charts.process.pid  # type: ignore[attr-defined]
    monkeypatch.undo()
    assert empty.chart("tree")["nodes"][0]["visits"] == N
    again = empty.client.app.state.service.charts.process.pid  # type: ignore[attr-defined]
    assert pid in (None, again)  # not killed; at first it may not have been started yet


def test_charts_of_another_project_and_of_a_deleted_study_are_not_found(empty: Study) -> None:
    empty.fill()
    assert empty.chart("tree")["nodes"]
    other = f"/api/v1/projects/other/studies/{empty.id}/charts/tree"
    assert empty.client.get(other).status_code == 404
    empty.storage.delete_study("digits")
    assert empty.get("tree").status_code == 404


def test_a_discovered_space_has_charts_too(empty: Study) -> None:
    study = Study(empty.client, empty.storage._storage, replace(SPEC, name="open", space=None))
    trials = [
        TrialRecord(
            n, TrialState.COMPLETE, params=Params({"x": n / 40}), metrics={"loss": (n - 20) / 1.0},
            domains={"x": {"type": "float", "lo": 0.0, "hi": 1.0}} if n == 0 else {},
        )
        for n in range(40)
    ]  # fmt: skip
    study.storage.add_trials(study.id, trials, {})
    assert study.chart("parallel")["shown"] == 40
    assert study.chart("tree")["nodes"][0]["visits"] == 40


def test_the_health_chart_has_one_finding_a_check_with_the_numbers_of_the_analysis(
    study: Study,
) -> None:
    chart = study.chart("health")
    record = study.storage.get_study("digits")
    steps = {n: [r.step for r in found] for n, found in study.storage.reports(study.id).items()}
    expected = study_health(read_history(study.storage, record), SPACE, record.spec, lambda: steps)
    assert [f["check"] for f in chart["findings"]] == list(CHECKS)
    assert [f["verdict"] for f in chart["findings"]] == [f.verdict for f in expected.findings]
    assert [f.get("number") for f in chart["findings"]] == [f.number for f in expected.findings]
    assert (chart["shown"], chart["total"]) == (len(expected.sick), len(CHECKS))
