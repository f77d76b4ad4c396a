from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import tunekit as tk
from tests.service.asking.team import SPACE, Team
from tunekit.errors import InvalidArgument, UnknownStudy
from tunekit.records import TrialState
from tunekit.storages.http.oversight_messages import Quotas


def loss(params):
    return (params["x"] - 0.3) ** 2 + 0.01 * params["n"] + 0.1 * (params["kind"] == "b")


def local_run(sampler, n, **settings):
    study = tk.study("local", space=SPACE, objectives="loss", seed=1, sampler=sampler, **settings)
    found = []
    for _ in range(n):
        trial = study.ask()
        study.tell(trial, {"loss": loss(trial.params)})
        found.append(dict(trial.params))
    return found


@pytest.mark.parametrize(
    "sampler", ["random", "sobol", "auto", "bayesian", "mcts", "cmaes", "evolution", "smbo", "tpe"]
)
def test_the_service_proposes_what_a_local_run_proposes(team: Team, sampler: str) -> None:
    worker = team.worker(team.study(sampler=sampler))
    assert worker.run(loss, 14) == local_run(sampler, 14)


def test_a_full_grid_is_given_out_once_and_then_ends(team: Team) -> None:
    space = {"x": tk.Categorical([1, 2, 3]), "y": tk.Categorical([1, 2])}
    study = team.study(space=space, sampler="grid")
    workers = [team.worker(study, f"w{i}") for i in range(8)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda w: w.ask(2), workers))
    asked = [t for a in answers for t in a["trials"]]
    assert len({tuple(t["params"].items()) for t in asked}) == len(asked) == 6
    left = workers[0].ask()
    assert left["trials"] == [] and "grid" in left["reason"] and left["state"] == "active"
    assert not left["is_over"]  # a worker may give its trial back
    for trial in asked:
        workers[0].tell(trial, 1.0)
    # Nothing can come any more, so a waiting request is answered at once.
    assert workers[0].ask(wait_s=30)["is_over"]
    assert len(study.trials) == 6  # no number without a point


def test_a_repeated_request_gives_the_same_trials(team: Team) -> None:
    worker = team.worker(team.study())
    first = worker.ask(3, key="once")
    assert worker.ask(3, key="once") == first
    assert len(first["trials"]) == 3
    assert worker.ask(1, key="twice")["trials"][0]["number"] == 3


def test_a_request_repeated_while_it_is_served_gives_the_same_trials(team: Team) -> None:
    study = team.study()
    workers = [team.worker(study) for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda w: w.ask(2, key="once"), workers))
    assert all(a == answers[0] for a in answers)
    assert len(study.trials) == 2


def test_asks_that_wait_together_get_one_suggestion(team: Team) -> None:
    study = team.study()
    workers = [team.worker(study, f"w{i}") for i in range(12)]
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda w: w.ask(), workers))
    numbers = sorted(t["number"] for a in answers for t in a["trials"])
    assert numbers == list(range(12))
    batches = [t.batch for t in study.trials]
    assert any(len(batch) > 1 for batch in batches)
    for trial in study.trials:
        assert trial.batch == () or trial.number in trial.batch
    assert study.replay() == []


def test_a_paused_study_says_so_and_answers_when_it_goes_on(team: Team, monkeypatch) -> None:
    study = team.study()
    worker = team.worker(study)
    study.pause()
    paused = {"trials": [], "state": "paused", "reason": "the study is paused", "is_over": False}
    assert worker.ask() == paused
    waits = threading.Event()
    later_than = team.service.hub.later_than

    async def noted(*args):
        waits.set()
        return await later_than(*args)

    monkeypatch.setattr(team.service.hub, "later_than", noted)
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(worker.ask, wait_s=30)
        waits.wait()
        study.resume()
        assert len(answer.result()["trials"]) == 1


def test_a_stopped_study_answers_a_waiting_request_at_once(team: Team) -> None:
    study = team.study()
    study.stop()
    answer = team.worker(study).ask(wait_s=30)
    assert (answer["state"], answer["reason"]) == ("stopped", "the study is stopped")
    assert answer["trials"] == [] and answer["is_over"]


def test_no_trial_is_given_out_beyond_max_trials(team: Team) -> None:
    study = team.study(attrs={"max_trials": 3})
    worker = team.worker(study)
    assert len(worker.ask(5)["trials"]) == 3
    answer = worker.ask()
    assert answer["trials"] == []
    assert answer["reason"] == "max_trials reached: the study has its 3 trials"


def test_a_full_quota_is_the_reason_and_passes(team: Team) -> None:
    worker = team.worker(team.study())
    team.service.quotas.set("default", Quotas(running=0))
    try:
        answer = worker.ask()
        assert answer["trials"] == [] and not answer["is_over"]
        assert "its quota is 0" in answer["reason"]
    finally:
        team.service.quotas.set("default", Quotas())
    assert worker.ask_one()["number"] == 0


def test_an_enqueued_point_comes_first_and_is_completed(team: Team) -> None:
    study = team.study()
    study.enqueue_trial({"x": 0.25})
    trial = team.worker(study).ask_one()
    assert trial["params"]["x"] == 0.25 and set(trial["params"]) == {"x", "n", "kind"}
    assert trial["sampler"] == "user"


def test_an_enqueued_point_outside_an_edited_space_fails_its_trial_only(team: Team) -> None:
    study = team.study()
    study.enqueue_trial({"x": 0.75})
    study.edit_space(tk.Space({**SPACE, "x": tk.Float(0.0, 0.5)}))
    worker = team.worker(study)
    answers = [worker.ask(), worker.ask()]
    assert [len(a["trials"]) for a in answers] == [0, 1]
    assert study.trials[0].state is TrialState.FAILED


def test_a_released_trial_goes_on_from_its_checkpoint(team: Team) -> None:
    study = team.study()
    worker = team.worker(study)
    trial = worker.ask_one()
    assert trial["start_step"] is None
    reports = [
        {"step": 4, "metrics": {"loss": 1.0}, "checkpoint": True},
        {"step": 5, "metrics": {"loss": 0.9}},
    ]
    worker.report(trial, reports=reports)
    worker.release(trial, "preempted")
    again = worker.ask_one()
    assert again["number"] == trial["number"] and again["epoch"] == 2
    assert again["params"] == trial["params"] and again["start_step"] == 4
    assert [r.step for r in study.storage.reports(worker.study_id)[0]] == [4]


def test_a_space_edit_counts_for_the_next_proposal(team: Team) -> None:
    study = team.study(sampler="sobol")
    worker = team.worker(study)
    worker.run(loss, 4)
    study.edit_space(tk.Space({**SPACE, "x": tk.Float(2.0, 3.0)}))
    assert worker.ask_one()["params"]["x"] >= 2.0


class Mine:
    name = "mine"

    def suggest(self, view, numbers):
        raise AssertionError("the service called a sampler of a user")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"space": None}, "has no declared space"),
        ({"sampler": Mine()}, "not a sampler of tunekit's own"),
        ({"sampler": "proxy", "sampler_options": {"proxy": "math:fsum"}}, 'the module "math"'),
        ({"sampler": "optuna", "sampler_options": {"name": "optuna.samplers:RandomSampler"}},
         'the module "optuna.samplers"'),
    ],
)  # fmt: skip
def test_a_study_that_needs_code_of_users_is_refused(team: Team, settings, words) -> None:
    error = team.worker(team.study(**settings)).refusal()
    assert isinstance(error, InvalidArgument) and words in error.message


def test_a_number_out_of_its_range_is_refused(team: Team) -> None:
    worker = team.worker(team.study())
    for fields in (
        {"n": 0},
        {"n": 101},
        {"wait_s": 31},
        {"wait_s": -1},
        {"lease_s": 0},
        {"worker": ""},
    ):
        assert isinstance(worker.refusal(**fields), InvalidArgument), fields
    assert worker.ask_one()["number"] == 0  # nothing was claimed


def test_a_deleted_study_gives_out_nothing(team: Team) -> None:
    study = team.study()
    worker = team.worker(study)
    worker.ask()
    study.storage.delete_study(study.name)
    assert isinstance(worker.refusal(), UnknownStudy)
