"""A worker for the fault tests: claims, starts, reports and tells until the study is full.

Usage: fault_worker.py URL STUDY N_TRIALS LEDGER. Each trial whose tell was answered with
"ok" is appended to LEDGER. Its metric is a function of its number, so that a mix-up would show.
"""

import sys
import time
from pathlib import Path
from uuid import uuid4

from tunekit.records import Outcome, Proposal, Report, TrialState
from tunekit.spaces import Params
from tunekit.storages.base import Claim, Lease, Reports, Start, Storage, Tell
from tunekit.storages.urls import open_storage

LEASE_S = 1.0


def run(storage: Storage, study: str, n_trials: int, ledger: Path) -> None:
    study_id = storage.get_study(study).id
    worker = uuid4().hex
    cursor, open_numbers = 0, set(range(n_trials))
    while open_numbers:
        claim = Claim(1, uuid4().hex, max_trials=n_trials)
        answer = storage.exchange(study_id, worker, claim=claim, lease_s=LEASE_S)
        for lease in answer.leases:
            work(storage, study_id, worker, lease, ledger)
        changes = storage.changes(study_id, cursor)
        cursor = changes.cursor
        open_numbers -= {t.number for t in changes.trials if t.state.is_finished}
        if not answer.leases:
            time.sleep(0.02)  # the rest runs elsewhere; a dead worker's lease has to run out


def work(storage: Storage, study_id: int, worker: str, lease: Lease, ledger: Path) -> None:
    held = lease.number, lease.epoch
    start = Start(*held, Proposal(Params({"x": float(lease.number)}), "random"))
    reports = Reports(*held, tuple(Report(i, {"loss": 1.0 / i}) for i in range(1, 4)))
    storage.exchange(study_id, worker, [start], lease_s=LEASE_S)
    storage.exchange(study_id, worker, [reports], lease_s=LEASE_S)
    outcome = Outcome(TrialState.COMPLETE, {"loss": float(lease.number)})
    (status,) = storage.exchange(study_id, worker, [Tell(*held, outcome, uuid4().hex)]).statuses
    if status == "ok":
        with ledger.open("a") as file:
            file.write(f"{lease.number}\n")


if __name__ == "__main__":
    url, study, n_trials, ledger = sys.argv[1:]
    run(open_storage(url), study, int(n_trials), Path(ledger))
