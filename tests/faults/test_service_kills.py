"""The service, one of two replicas, its database and its workers, killed at random moments."""

import os
import random

import pytest

from tunekit.testing.faulty_proxy import faulty_proxy
from tunekit.testing.killable import Processes, ServiceProcess, kill
from tunekit.testing.service_worker import N_TRIALS
from tunekit.testing.service_workers import ServiceWorkers

ROUNDS = int(os.environ.get("TUNEKIT_FAULT_ROUNDS", "1"))
KINDS = "full", "thin"

pytestmark = pytest.mark.faults


def kill_one(rng, workers):
    """Kill a worker and start another one; return whether it still ran."""
    victim = rng.choice(workers.all)
    workers.expect_end(victim)
    ran = kill(victim)
    workers.add(rng.choice(KINDS))
    return ran


def say(what, kills, acknowledged):
    print(
        f"{what}: {ROUNDS} rounds, {kills} kills, {ROUNDS * N_TRIALS} trials, {acknowledged} "
        "acknowledged, 0 lost, 0 doubled, 0 stuck"
    )


def test_a_killed_service_and_killed_workers_lose_and_double_nothing(new_database, tmp_path):
    rng = random.Random(1)
    kills = acknowledged = 0
    for turn in range(ROUNDS):
        url = new_database(turn)
        with Processes(tmp_path) as processes:
            service = ServiceProcess(processes, url)
            workers = ServiceWorkers(processes, f"{service.url}/", tmp_path / f"t{turn}", url)
            workers.add(*KINDS)
            for n in (8, 20):
                workers.wait_for_results(n + rng.randrange(8))
                service.kill()
                service.start()
                kills += 1 + kill_one(rng, workers)
            acknowledged += workers.finish()
            service.stop()
    say("service and workers killed", kills, acknowledged)


@pytest.mark.postgres
def test_a_killed_replica_loses_and_doubles_nothing(new_postgres, tmp_path):
    rng = random.Random(2)
    kills = acknowledged = 0
    for turn in range(ROUNDS):
        url = new_postgres(turn)
        with Processes(tmp_path) as processes:
            replicas = [ServiceProcess(processes, url) for _ in range(2)]
            with faulty_proxy([r.port for r in replicas], seed=turn) as proxy:
                at = f"http://127.0.0.1:{proxy.port}/"
                workers = ServiceWorkers(processes, at, tmp_path / f"t{turn}", url)
                workers.add(*KINDS)
                for n in (6, 18):  # the other one goes on meanwhile
                    workers.wait_for_results(n)
                    victim = rng.choice(replicas)
                    victim.kill()
                    workers.wait_for_results(n + 4)
                    victim.start()
                    kills += 1
                acknowledged += workers.finish()
            for replica in replicas:
                replica.stop()
    say("one of two replicas killed", kills, acknowledged)


@pytest.mark.postgres
def test_a_killed_database_loses_and_doubles_nothing(new_postgres, postgres_server, tmp_path):
    rng = random.Random(3)
    kills = acknowledged = 0
    for turn in range(ROUNDS):
        url = new_postgres(turn)
        with Processes(tmp_path) as processes:
            service = ServiceProcess(processes, url)
            workers = ServiceWorkers(processes, f"{service.url}/", tmp_path / f"t{turn}", url)
            workers.add(*KINDS)
            for n in (8, 20):
                workers.wait_for_results(n + rng.randrange(8))
                postgres_server.restart()
                kills += 1
            acknowledged += workers.finish()
            service.stop()
    say("PostgreSQL killed", kills, acknowledged)
