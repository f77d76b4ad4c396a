"""A worker on `tunekit.client`: asks, reports and tells, with the sampler in the service."""

from __future__ import annotations

import math

import pytest

import tunekit as tk
import tunekit.client
from tunekit.client import reports
from tunekit.errors import InvalidResult, LeaseLost, TrialStopped, UnknownStudy
from tunekit.records import TrialState
from tunekit.service.app import Service
from tunekit.storages.urls import open_storage
from tunekit.testing.killable import wait_for
from tunekit.testing.service import running_service

SPACE = {"x": tk.Float(0, 1), "kind": tk.Categorical(["a", "b"])}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    service = Service(open_storage(tmp_path_factory.mktemp("team") / "team.db"))
    with running_service(service) as url:
        yield f"{url}/vision"


@pytest.fixture
def storage(url):
    storage = open_storage(url)
    yield storage
    storage.close()


@pytest.fixture
def study(storage, request):
    def make(**options):
        given = {"space": SPACE, "sampler": "random", "seed": 1, **options}
        return tk.study(request.node.name, storage=storage, **given)

    return make


@pytest.fixture
def client(url, tmp_path):
    with tunekit.client.connect(url, spool=tmp_path / "spool") as client:
        yield client


def test_a_trial_is_asked_for_reported_and_told(study, client):
    made = study()
    trial = client.study(made.name).ask()
    assert set(trial.params) == {"x", "kind"} and trial.sampler == "random"
    assert trial.report(1, loss=0.5).action == "continue"
    trial.report(2, 0.25)
    trial.user_attrs["host"] = "left"
    assert trial.tell(0.125) is True
    [stored] = made.trials
    assert stored.state is TrialState.COMPLETE
    assert (stored.params, stored.metrics) == (trial.params, {"value": 0.125})
    assert stored.user_attrs == {"host": "left"}
    curve = [(r.step, dict(r.metrics)) for r in made.reports()[0]]
    assert curve == [(1, {"loss": 0.5}), (2, {"value": 0.25})]
    assert not list(client.spool.folder.glob("*")), "nothing waits"


def test_a_run_ends_trials_whatever_comes_of_them(study, client):
    made = study(objectives={"error": "minimize"})

    def objective(trial):
        if trial.number == 1:
            raise ZeroDivisionError("no batch")
        if trial.number == 2:
            return {"other": 1.0}
        return math.nan if trial.number == 3 else trial.params["x"]

    assert client.study(made.name).run(objective, n_trials=5) == 5
    states = [t.state for t in made.trials]
    assert states == ["complete", "failed", "failed", "diverged", "complete"]
    assert "no batch" in made.trials[1].end_reason
    assert "objective(trial)" in made.trials[1].error, "with its traceback"


def test_reports_travel_in_batches(study, client, monkeypatch):
    monkeypatch.setattr(reports, "EVERY_S", math.inf)
    made, sent, request = study(), [], client.http.request
    monkeypatch.setattr(
        client.http, "request", lambda *a, **k: (sent.append(a[1]), request(*a, **k))[1]
    )
    trial = client.study(made.name).ask()
    for step in range(105):
        trial.report(step, loss=1.0 / (step + 1))
    assert sum(path.endswith(":report") for path in sent) == 2
    trial.flush()
    assert sum(path.endswith(":report") for path in sent) == 3
    assert [r.step for r in made.reports()[0]] == list(range(105))
    trial.report(105, loss=0.0)
    trial.tell(1.0)
    assert made.reports()[0][-1].step == 105, "a result takes the last reports with it"


def test_the_stopper_of_the_study_ends_a_trial(study, client):
    made = study(stopper="threshold", stopper_options={"bound": 10.0})

    def objective(trial):
        trial.report(1, 100.0)
        trial.flush()
        raise AssertionError("it was to stop")

    client.study(made.name).run(objective, n_trials=1)
    [trial] = made.trials
    assert trial.state is TrialState.STOPPED and trial.end_reason
    asked = client.study(made.name).ask()
    with pytest.raises(TrialStopped):
        asked.report(1, 100.0)
        asked.flush()
    asked.tell(state="stopped")
    assert made.refresh().counts() == {TrialState.STOPPED: 2}


def test_a_trial_that_went_to_another_worker_changes_nothing_any_more(study, client, url):
    made = study()
    first = client.study(made.name).ask()
    made.storage.expire(made.id, [(0, 1)])
    with tunekit.client.connect(url) as other:
        second = other.study(made.name).ask()
        assert (second.number, second.params) == (first.number, first.params)
        first.report(1, loss=9.0)
        with pytest.raises(LeaseLost):
            first.flush()
        with pytest.raises(LeaseLost):
            first.tell(9.0)
        second.tell(1.0)
    [stored] = made.trials
    assert stored.metrics == {"value": 1.0} and not made.reports().get(0)


def test_the_heartbeat_notices_that_a_trial_is_lost(study, url, tmp_path):
    made = study()
    with tunekit.client.connect(url, spool=tmp_path, lease_s=0.6) as client:
        trial = client.study(made.name).ask()
        assert made.storage.cancel_trial(made.id, trial.number, "by hand")
        wait_for(lambda: trial.lost is not None, "for the heartbeat")
        with pytest.raises(type(trial.lost)):
            trial.report(1, loss=1.0)


def test_the_heartbeat_keeps_a_trial_for_longer_than_its_lease(study, url, tmp_path):
    made = study()
    with tunekit.client.connect(url, spool=tmp_path, lease_s=1.5) as client:
        trial = client.study(made.name).ask()
        ends = set()

        def are_four():
            ends.add(made.storage.changes(made.id).trials[0].lease_until)
            return len(ends) > 4

        wait_for(are_four, "for four renewals, one in each third of a lease")
        trial.tell(1.0)
    assert made.trials[0].epoch == 1


def test_a_released_trial_goes_to_another_worker(study, client):
    made = study()
    mine = client.study(made.name)
    first = mine.ask()
    first.release("its machine is needed")
    second = mine.ask()
    assert (second.number, second.params) == (first.number, first.params)
    second.fail("no GPU")
    assert made.trials[0].end_reason == "no GPU"


def test_a_study_that_is_stopped_gives_no_trial_and_ends_the_run(study, client):
    made = study()
    made.stop()
    mine = client.study(made.name)
    assert mine.run(lambda trial: 1.0) == 0
    assert mine.state == "stopped" and "stopped" in mine.reason


def test_a_value_needs_one_objective_and_a_study_has_to_exist(study, client):
    made = study(objectives={"error": "minimize", "size": "minimize"})
    trial = client.study(made.name).ask()
    with pytest.raises(InvalidResult, match="error, size"):
        trial.report(1, 1.0)
    with pytest.raises(InvalidResult, match="got no metric"):
        trial.report(1)
    trial.tell({"error": 1.0, "size": 2.0})
    with pytest.raises(UnknownStudy):
        client.study("nowhere")
