"""Killed drivers of several studies that share slots: nothing lost, nothing doubled."""

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import tunekit as tk
from tunekit.records import TrialState
from tunekit.testing.killable import wait_beside

DRIVER = Path(__file__).with_name("sharing.py")
ROUNDS = int(os.environ.get("TUNEKIT_FAULT_ROUNDS", "1"))

pytestmark = pytest.mark.faults


def kinds(study, kind):
    out, after = Counter(), 0
    while page := study.storage.events(study.id, after):
        out.update(e.number for e in page if e.kind == kind)
        after = page[-1].seq
    return out


def check(url, name, n):
    """Every trial is complete, told once, with a whole curve; return the study."""
    study = tk.load_study(name, storage=url)
    assert study.refresh().counts() == {TrialState.COMPLETE: n}
    assert kinds(study, "told") == dict.fromkeys(range(n), 1)
    reports = study.reports()
    assert all([r.step for r in reports[i]] == [0, 1, 2, 3, 4] for i in range(n))
    return study


def test_a_killed_driver_of_several_studies_loses_and_doubles_nothing(tmp_path):
    rng = random.Random(3)
    kills = gave_way = 0
    for turn in range(ROUNDS):
        url, root = f"sqlite:///{tmp_path}/{turn}.db", str(tmp_path / f"c{turn}")
        for _ in range(3):
            process = subprocess.Popen([sys.executable, str(DRIVER), url, root])
            wait_for_saves(process, url, rng.randrange(5, 25))
            kills += process.poll() is None
            process.kill()
            process.wait()
        subprocess.run([sys.executable, str(DRIVER), url, root], check=True, timeout=120)
        gave_way += sum(kinds(check(url, "calm", 8), "preempted").values())
        check(url, "urgent", 4)
    assert kills
    print(f"{ROUNDS} runs, {kills} drivers killed, {gave_way} pre-emptions: 0 lost, 0 doubled")


def wait_for_saves(process, url, more):
    """Return when so many checkpoints more were noted, or the driver has ended."""
    start = saves(url)
    wait_beside(process, lambda: saves(url) >= start + more)


def saves(url):
    try:
        return sum(
            sum(kinds(tk.load_study(name, storage=url), "checkpoint").values())
            for name in ("calm", "urgent")
        )
    except tk.TunekitError:
        return 0  # the driver has not made the studies yet
