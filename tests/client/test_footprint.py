"""The memory of a thin worker that is connected and reports."""

from __future__ import annotations

import subprocess
import sys

import tunekit as tk
from tunekit.service.app import Service
from tunekit.storages.urls import open_storage
from tunekit.testing.service import running_service

WORKER = """
import sys
import tunekit.client

with tunekit.client.connect(sys.argv[1], spool=sys.argv[2]) as client:
    study = client.study("s")
    for _ in range(3):
        trial = study.ask()
        for step in range(50):
            trial.report(step, loss=1.0)
        trial.tell(1.0)
lines = open("/proc/self/status").read().splitlines()
print(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
print("numpy" in sys.modules or "sqlalchemy" in sys.modules)
"""
MAX_KIB = 60 * 1024


def test_a_worker_that_asks_reports_and_tells_needs_less_than_60_mb(tmp_path):
    with running_service(Service(open_storage(tmp_path / "team.db"))) as url:
        storage = open_storage(f"{url}/default")
        tk.study("s", space={"x": tk.Float(0, 1)}, storage=storage, sampler="random")
        storage.close()
        done = subprocess.run(
            [sys.executable, "-c", WORKER, f"{url}/default", str(tmp_path / "spool")],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    peak_kib, is_heavy = done.stdout.split()
    assert int(peak_kib) < MAX_KIB
    assert is_heavy == "False"
