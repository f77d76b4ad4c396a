"""Workers frozen beyond their leases, and woken when others have their trials."""

import os
import random
import signal
from functools import partial

import pytest

from tunekit.testing.killable import Processes, ServiceProcess, wait_for
from tunekit.testing.service_worker import N_TRIALS
from tunekit.testing.service_workers import ServiceWorkers

ROUNDS = int(os.environ.get("TUNEKIT_FAULT_ROUNDS", "1"))

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("kind", ["full", "thin"])
def test_the_late_results_of_a_frozen_worker_are_refused_without_harm(kind, tmp_path):
    rng = random.Random(4)
    refused = acknowledged = 0
    for turn in range(ROUNDS):
        url = f"sqlite:///{tmp_path}/{turn}.db"
        with Processes(tmp_path) as processes:
            service = ServiceProcess(processes, url)
            at = f"{service.url}/"
            workers = ServiceWorkers(processes, at, tmp_path / f"t{turn}", url)
            (frozen,) = workers.add(kind)
            workers.wait_for_results(4 + rng.randrange(4))
            held = freeze(frozen, workers.stored)
            workers.add("full", "thin")
            over = partial(workers.stored.are_over, held)
            wait_for(over, "for a frozen worker's trials to be taken over")
            # A result that was on its way when the worker froze counts; all else went to others.
            taken = workers.stored.retaken(held)
            assert len(taken) >= len(held) - 1
            frozen.send_signal(signal.SIGCONT)
            refused += len(taken)
            acknowledged += workers.finish()
            service.stop()
    assert refused
    print(
        f"{kind}: {ROUNDS} rounds, {refused} trials of frozen workers taken over, "
        f"{ROUNDS * N_TRIALS} trials, {acknowledged} acknowledged: 0 lost, 0 doubled, 0 stuck"
    )


def freeze(process, stored):
    """Freeze a worker that runs a trial; return the epochs of its trials by number."""
    while True:
        process.send_signal(signal.SIGSTOP)
        if held := stored.epochs():
            return held
        process.send_signal(signal.SIGCONT)
