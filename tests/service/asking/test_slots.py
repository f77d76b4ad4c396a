from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

import tunekit as tk
from tests.service.asking.team import SPACE, Serve, Team
from tunekit.errors import ServiceBusy
from tunekit.records import TrialRecord, TrialState
from tunekit.service.app import Service
from tunekit.service.asking.jobs import StudyRef
from tunekit.service.asking.pool import PoolSettings
from tunekit.service.asking.rounds import CLAIM_S
from tunekit.service.asking.slot_process import KeptStudies
from tunekit.spaces import Params
from tunekit.storages.urls import open_storage
from tunekit.testing.killable import wait_for
from tunekit.testing.service import running_service

HANGING = {"sampler": "smbo", "sampler_options": {"n_candidates": 10**9, "exploration": 0.0}}
"""Proposes by drawing a billion candidates, once it has a result to learn from."""


def hanging(team: Team, **settings):
    """Return a worker of a study whose sampler does not come to an end."""
    study = team.study(**HANGING, **settings)
    point = {"x": 0.5, "n": 2, "kind": "a"}
    ended = TrialRecord(0, TrialState.COMPLETE, params=Params(point), metrics={"loss": 1.0})
    study.add_trial(ended)
    return study, team.worker(study)


def test_a_killed_process_is_replaced_and_nothing_changes(team: Team) -> None:
    study = team.study(sampler="bayesian")
    worker = team.worker(study)
    found = worker.run(lambda p: p["x"], 6)
    for pid in team.service.pool.pids:
        os.kill(pid, signal.SIGKILL)
    found += worker.run(lambda p: p["x"], 6)
    local = tk.study("local", space=SPACE, objectives="loss", seed=1, sampler="bayesian")
    for params in found:
        trial = local.ask()
        assert dict(trial.params) == params
        local.tell(trial, params["x"])


def test_a_sampler_past_its_deadline_is_replaced_by_sobol_points(serve: Serve) -> None:
    team = serve(suggestions=PoolSettings(slots=1, deadline_s=0.2))
    study, worker = hanging(team)
    trial = worker.ask_one()
    assert trial["sampler"] == "sobol"
    why = "a Sobol point, because the sampler did not answer within 0.2 s"
    assert trial["reason"].endswith(why)
    stored = study.trials[trial["number"]]
    assert stored.evidence["fallback"] == why
    assert worker.tell(trial, 0.5)["state"] == "complete"
    assert study.replay() == []
    others = team.worker(team.study())  # the process works for others again
    assert others.ask_one()["sampler"] == "random"


def test_a_full_queue_is_refused_before_anything_is_claimed(serve: Serve) -> None:
    team = serve(suggestions=PoolSettings(slots=1, deadline_s=30, queue=1))
    study, worker = hanging(team)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(worker.refusal)
        wait_for(lambda: any(t.state == "running" for t in study.trials), "for a trial to begin")
        error = team.worker(study, "late").refusal()
        assert isinstance(error, ServiceBusy) and error.retry_after == 1.0
        assert len(study.trials) == 2
        # If the service died now, others would get the trial within seconds.
        assert study.trials[1].lease_until <= time.time() + CLAIM_S
        for pid in team.service.pool.pids:  # twice: the second process tries again
            os.kill(pid, signal.SIGKILL)
        team.service.pool.close()
        assert isinstance(first.result(), ServiceBusy)
    assert study.trials[1].state == "waiting"  # given back at once


def test_a_study_with_results_does_not_wait_behind_a_hanging_one(serve: Serve) -> None:
    team = serve(suggestions=PoolSettings(slots=2, deadline_s=30))
    _, stuck = hanging(team)
    other = team.worker(team.study())
    assert (stuck.study_id - other.study_id) % 2 == 1  # in another process
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(stuck.refusal)
        assert other.ask_one()["number"] == 0
        team.service.pool.close()
        assert isinstance(first.result(), ServiceBusy)


def test_the_processes_end_with_the_service(tmp_path: Path) -> None:
    service = Service(open_storage(tmp_path / "team.db"))
    with running_service(service) as url:
        team = Team(service, url, [])
        assert service.pool.pids == []  # none is started before it is needed
        team.worker(team.study()).ask()
        pids = service.pool.pids
        assert pids and all(map(psutil.pid_exists, pids))
        team.close()
    assert not any(map(psutil.pid_exists, pids))


def test_a_process_forgets_the_studies_used_least(tmp_path: Path) -> None:
    storage = open_storage(tmp_path / "local.db")
    refs = []
    for i in range(3):
        study = tk.study(f"s{i}", space=SPACE, storage=storage, sampler="random")
        study.optimize(lambda trial: 0.0, n_trials=4)
        refs.append(StudyRef(storage.get_study(study.name).id, study.name))
    kept = KeptStudies(storage, max_trials=8)
    for ref in (refs[0], refs[1], refs[0], refs[2]):
        kept.current(ref)
    assert [ref.id in kept for ref in refs] == [True, False, True]
    storage.close()
