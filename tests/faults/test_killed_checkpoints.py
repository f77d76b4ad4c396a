"""Kills and a full disk amid checkpoints and pauses: nothing lost, doubled, stuck or torn."""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

import tunekit as tk
from tunekit.records import TrialState
from tunekit.testing.killable import wait_beside

DRIVER = Path(__file__).with_name("checkpointing.py")
ROUNDS = int(os.environ.get("TUNEKIT_FAULT_ROUNDS", "1"))
N_TRIALS = 14

pytestmark = pytest.mark.faults


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/c.db"
    return request.getfixturevalue("postgres_url")


class Run:
    """One study and the driver that works on it."""

    def __init__(self, url, name, root):
        self.url, self.name, self.root = url, name, root
        self.process = None

    def start(self):
        command = [sys.executable, str(DRIVER), self.url, self.name, str(self.root)]
        self.process = subprocess.Popen(
            [*command, str(N_TRIALS)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def wait_for_saves(self, n):
        """Return when so many checkpoints were noted, or the driver has ended."""

        def are_noted():
            try:
                study = tk.load_study(self.name, storage=self.url)
            except tk.TunekitError:
                return False  # the driver has not made the study yet
            return sum(e.kind == "checkpoint" for e in study.storage.events(study.id)) >= n

        wait_beside(self.process, are_noted)

    def finish(self):
        _, err = self.process.communicate(timeout=180)
        assert self.process.returncode == 0, err.decode()
        return tk.load_study(self.name, storage=self.url, checkpoints=self.root)

    def leftovers(self):
        """Return what is in the place and no checkpoint."""
        entries = [p for p in Path(self.root).glob("*/*/*")]
        return [p.name for p in entries if p.name.startswith((".", "work-"))]


@pytest.fixture
def run(url, tmp_path):
    made = []

    def make(name):
        made.append(Run(url, name, tmp_path / name))
        return made[-1]

    yield make
    for r in made:
        if r.process is not None and r.process.poll() is None:
            r.kill()


def check(study, *, failed=0):
    """Every trial ended or paused as its x says, told once, with whole curves."""
    trials = study.trials
    assert [t.number for t in trials] == list(range(N_TRIALS))
    told, after = Counter(), 0
    while page := study.storage.events(study.id, after):
        told.update(e.number for e in page if e.kind == "told")
        after = page[-1].seq
    reports = study.reports()
    n_failed = 0
    for t in trials:
        steps = [r.step for r in reports.get(t.number, ())]
        if t.state is TrialState.FAILED:
            assert "SIGKILL" in t.end_reason, (t.end_reason, t.error)
            n_failed += 1
        elif t.params["x"] < 0.5:
            assert (t.state, told[t.number], steps) == (TrialState.COMPLETE, 1, list(range(6)))
        else:
            assert (t.state, told[t.number]) == (TrialState.PAUSED, 0)
            assert 3 <= len(steps) < 6 and steps == list(range(len(steps)))
    assert n_failed <= failed
    return n_failed


def test_killed_drivers_lose_no_paused_and_no_promoted_trial(run):
    rng = random.Random(5)
    kills = 0
    for turn in range(ROUNDS):
        r = run(f"driver-{turn}")
        for _ in range(3):
            r.start()
            r.wait_for_saves(rng.randrange(N_TRIALS))
            kills += r.process.poll() is None
            r.kill()
        r.start()
        check(r.finish())
        assert not [x for x in r.leftovers() if x.startswith("work-")]
    assert kills
    print(f"{ROUNDS} studies, {kills} drivers killed: 0 lost, 0 doubled, 0 stuck, 0 torn")


def test_workers_killed_amid_a_checkpoint_leave_whole_ones_only(run):
    rng = random.Random(6)
    kills = failed = 0
    for turn in range(ROUNDS):
        r = run(f"worker-{turn}")
        r.start()
        for i in range(4):
            r.wait_for_saves(rng.randrange(4 * i, 4 * i + 4))
            until = time.monotonic() + 20
            while r.process.poll() is None and time.monotonic() < until:
                # A partial folder: somebody writes a checkpoint at this moment.
                if any(p.name.startswith(".") for p in Path(r.root).glob("*/*/.*-*")):
                    break
            try:
                children = psutil.Process(r.process.pid).children()
                workers = [c for c in children if "process.worker" in " ".join(c.cmdline())]
                os.kill(rng.choice(workers).pid, signal.SIGKILL)
                kills += 1
            except (psutil.NoSuchProcess, ProcessLookupError, IndexError):
                pass  # it was done before
        failed += check(r.finish(), failed=4)
        assert r.leftovers() == []
    assert kills
    print(f"{ROUNDS} studies, {kills} workers killed: {failed} trials failed, 0 torn, 0 stuck")


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 1 MiB, where this user may mount one."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this user may not mount a tmpfs")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def growing(trial):
    """Write 300 kB more at each step: the third checkpoint is too large for the disk."""
    for step in range(4):
        source = Path(trial.user_attrs["source"])
        (source / f"part-{step}").write_bytes(b"x" * 300_000)
        trial.report(float(-step), step, checkpoint=source)
    return 1.0


def test_a_full_disk_fails_the_trial_with_a_reason_and_keeps_what_was_whole(tiny_disk, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    study = tk.study(
        space=tk.Space(x=tk.Float(0, 1)), sampler="random", seed=1, checkpoints=tiny_disk / "c"
    )
    study.enqueue_trial({}, user_attrs={"source": str(source)})
    study.optimize(growing, n_trials=1)
    (t,) = study.trials
    assert t.state is TrialState.FAILED
    assert "No space left on device" in t.end_reason
    assert "CheckpointError" in t.end_reason
    (last,) = t.checkpoints
    (folder,) = (tiny_disk / "c").glob("*/0")
    assert [p.name for p in folder.iterdir()] == [f"{last.step}-1"]
    assert len(list((folder / f"{last.step}-1").iterdir())) == last.step + 1


def test_a_file_that_grows_beyond_the_limit_leaves_no_half_checkpoint(tmp_path):
    def objective(trial):
        (trial.checkpoint_dir / "small").write_bytes(b"x" * 1000)
        trial.save_checkpoint(0)
        big = Path(trial.user_attrs["source"])
        big.write_bytes(b"x" * 2_000_000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
        try:
            trial.save_checkpoint(1, big)
        finally:
            resource.setrlimit(
                resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            )

    study = tk.study(
        space=tk.Space(x=tk.Float(0, 1)), sampler="random", seed=1, checkpoints=tmp_path / "c"
    )
    study.enqueue_trial({}, user_attrs={"source": str(tmp_path / "big")})
    study.optimize(objective, n_trials=1, executor="process")
    (t,) = study.trials
    assert "File too large" in t.end_reason
    assert [c.step for c in t.checkpoints] == [0]
    (folder,) = (tmp_path / "c").glob("*/0")
    assert [p.name for p in folder.iterdir()] == ["0-1"]
