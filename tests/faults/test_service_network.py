"""Answers lost, requests doubled and delayed, and clients whose clocks are a day off."""

import os

import pytest

from tunekit.testing.faulty_proxy import Faults, faulty_proxy
from tunekit.testing.killable import Processes, ServiceProcess
from tunekit.testing.service_worker import N_TRIALS
from tunekit.testing.service_workers import ServiceWorkers

ROUNDS = int(os.environ.get("TUNEKIT_FAULT_ROUNDS", "1"))
DAY_S = 86400.0

pytestmark = pytest.mark.faults


def test_lost_doubled_and_late_answers_lose_and_double_no_result(tmp_path):
    counts = {"requests": 0, "dropped": 0, "doubled": 0, "delayed": 0}
    acknowledged = 0
    for turn in range(ROUNDS):
        url = f"sqlite:///{tmp_path}/{turn}.db"
        with Processes(tmp_path) as processes:
            service = ServiceProcess(processes, url)
            faults = Faults(dropped=0.2, doubled=0.05, delayed=0.1)
            with faulty_proxy([service.port], faults, seed=turn) as proxy:
                at = f"http://127.0.0.1:{proxy.port}/"
                workers = ServiceWorkers(processes, at, tmp_path / f"t{turn}", url)
                workers.add("full", "thin")
                workers.wait_for_results(N_TRIALS)
                acknowledged += workers.finish()
                counts = {name: n + proxy.counts[name] for name, n in counts.items()}
            service.stop()
    assert all(counts.values())
    print(
        f"{ROUNDS} rounds, {counts}, {ROUNDS * N_TRIALS} trials, {acknowledged} acknowledged: "
        "0 lost, 0 doubled, 0 stuck"
    )


def test_clients_whose_clocks_are_a_day_off_take_no_trial_from_each_other(tmp_path):
    for turn in range(ROUNDS):
        url = f"sqlite:///{tmp_path}/{turn}.db"
        with Processes(tmp_path) as processes:
            service = ServiceProcess(processes, url)
            at = f"{service.url}/"
            workers = ServiceWorkers(processes, at, tmp_path / f"t{turn}", url)
            for kind, off_s in (("full", DAY_S), ("full", -DAY_S), ("thin", DAY_S)):
                workers.add(kind, off_s=off_s, lease_s=3600.0)
            workers.wait_for_results(N_TRIALS)
            assert workers.stored.events("claimed") == dict.fromkeys(range(N_TRIALS), 1)
            assert workers.finish() == N_TRIALS
            service.stop()
    print(f"{ROUNDS} rounds with clocks a day off: 0 lost, 0 doubled, 0 stuck")
