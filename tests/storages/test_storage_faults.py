"""Workers are killed, servers crash, a file is fought over: nothing is lost or doubled."""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunekit.records import ObjectiveSpec, StudySpec, TrialState
from tunekit.storages.urls import open_storage

ROUNDS = int(os.environ.get("TUNEKIT_FAULT_ROUNDS", "2"))
SCRIPT = Path(__file__).with_name("fault_worker.py")
ROOT = Path(__file__).parents[2]
TIMEOUT_S = 120

pytestmark = pytest.mark.faults


class Crew:
    """Worker processes on one study, each with a ledger of its own."""

    def __init__(self, url: str, n_trials: int, folder: Path) -> None:
        self.url, self.n_trials, self.folder = url, n_trials, folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.killed = 0
        storage = open_storage(url)
        # Every kill may cost a trial a retry; none of these tests is about giving up.
        storage.create_study(StudySpec("s", (ObjectiveSpec("loss"),), max_retries=1000))
        storage.close()

    def hire(self) -> subprocess.Popen[bytes]:
        ledger = self.folder / f"ledger-{len(self.processes)}"
        ledger.touch()
        with (self.folder / f"errors-{len(self.processes)}").open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, SCRIPT, self.url, "s", str(self.n_trials), ledger],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stderr=errors,
            )
        self.processes.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            process.kill()
            process.wait()
            self.killed += 1

    def told(self) -> int:
        return sum(len(p.read_text().split()) for p in self.folder.glob("ledger-*"))

    def wait_until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + TIMEOUT_S
        while not condition():
            assert time.monotonic() < end, self.errors()
            time.sleep(0.005)

    def finish(self) -> None:
        for process in self.processes:
            process.wait(TIMEOUT_S)
            if process.returncode != -9:
                assert process.returncode == 0, self.errors()
        assert self.errors() == ""

    def errors(self) -> str:
        return "".join(p.read_text() for p in sorted(self.folder.glob("errors-*")))

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    def check(self) -> dict[str, Any]:
        """Check the study as a whole; return what happened, for a person."""
        storage = open_storage(self.url)
        study = storage.get_study("s")
        trials = storage.changes(study.id).trials
        events = []
        while page := storage.events(study.id, len(events)):
            events += page
        reports = storage.reports(study.id)
        storage.close()

        assert sorted(t.number for t in trials) == list(range(self.n_trials))
        assert {t.state for t in trials} == {TrialState.COMPLETE}
        assert all(t.metrics == {"loss": float(t.number)} for t in trials)
        assert all(t.params == {"x": float(t.number)} for t in trials)
        assert all(len(reports[t.number]) == 3 for t in trials)
        told = Counter(e.number for e in events if e.kind == "told")
        assert set(told.values()) == {1}
        assert [e.seq for e in events] == list(range(1, study.seq + 1))
        noted = Counter(
            int(n) for p in self.folder.glob("ledger-*") for n in p.read_text().split()
        )
        assert set(noted.values()) == {1}, "no tell was acknowledged twice"
        claims = sum(e.kind == "claimed" for e in events)
        assert claims == sum(t.epoch for t in trials)
        return {
            "trials": len(trials),
            "workers killed": self.killed,
            "trials run again": claims - len(trials),
            "told but killed before noting it": len(trials) - len(noted),
        }


def _killing_round(url: str, folder: Path, seed: int) -> dict[str, Any]:
    rng = random.Random(seed)
    folder.mkdir()
    crew = Crew(url, n_trials=250, folder=folder)
    try:
        workers = [crew.hire() for _ in range(3)]
        for goal in sorted(rng.sample(range(5, 200), 4)):
            crew.wait_until(lambda goal=goal: crew.told() >= goal)  # type: ignore[misc]
            time.sleep(rng.random() * 0.01)  # not to synchronise, but to hit any instant
            victim = rng.randrange(len(workers))
            crew.kill(workers[victim])
            workers[victim] = crew.hire()
        crew.finish()
        return crew.check()
    finally:
        crew.close()


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_workers_killed_on_sqlite_lose_and_double_nothing(tmp_path: Path, seed: int) -> None:
    print(_killing_round(f"sqlite:///{tmp_path}/s.db", tmp_path / "crew", seed))


@pytest.mark.postgres
@pytest.mark.parametrize("seed", range(ROUNDS))
def test_workers_killed_on_postgresql_lose_and_double_nothing(
    tmp_path: Path, postgres_url: str, seed: int
) -> None:
    print(_killing_round(postgres_url, tmp_path / "crew", seed))


@pytest.mark.postgres
@pytest.mark.parametrize("seed", range(max(1, ROUNDS // 3)))
def test_eight_workers_survive_crashes_of_postgresql(
    tmp_path: Path, postgres_server: Any, postgres_url: str, seed: int
) -> None:
    rng = random.Random(seed)
    crew = Crew(postgres_url, n_trials=400, folder=tmp_path)
    try:
        for _ in range(8):
            crew.hire()
        for goal in (40, 200):
            crew.wait_until(lambda goal=goal: crew.told() >= goal)  # type: ignore[misc]
            time.sleep(rng.random() * 0.01)
            postgres_server.restart()
        assert any(p.poll() is None for p in crew.processes), "the crash came too late to matter"
        crew.finish()
        print({"server crashes": 2, **crew.check()})
    finally:
        crew.close()


def test_eight_processes_share_one_sqlite_file(tmp_path: Path) -> None:
    crew = Crew(f"sqlite:///{tmp_path}/s.db", n_trials=400, folder=tmp_path)
    try:
        for _ in range(8):
            crew.hire()
        crew.finish()  # also checks that no worker printed an error
        # On a busy machine a lease may run out: a trial that runs again is no error.
        print({"processes": 8, "errors": 0, **crew.check()})
    finally:
        crew.close()


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_eight_processes_may_create_the_schema_at_once(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    if kind == "postgres":
        url = request.getfixturevalue("postgres_url")
    code = (
        "import sys; from tunekit.storages.urls import open_storage; sys.stdin.readline(); "
        "print(open_storage(sys.argv[1]).list_studies())"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, url],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    for process in processes:  # all have started and wait for the word
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=TIMEOUT_S) for process in processes]
    assert answers == [("[]\n", "")] * 8
