"""Who lives: known of processes that can be seen, by what no clock moves, and of no others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import tunekit as tk
from tunekit.driver import worker_id
from tunekit.driver.worker_id import is_known_alive, is_known_dead, worker_name
from tunekit.records import TrialState

NAMING = "from tunekit.driver.worker_id import worker_name; print(worker_name())"
on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")


def _named_by_another(*prefix: str) -> str:
    command = [*prefix, sys.executable, "-c", NAMING]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _can_unshare() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "--pid", "--mount-proc", "--fork", "true"]).returncode == 0


in_containers = pytest.mark.skipif(
    not _can_unshare(), reason="PID namespaces need root and unshare of util-linux"
)


def test_a_process_that_runs_is_alive_and_one_that_ended_is_dead() -> None:
    assert is_known_alive(worker_name())
    assert not is_known_dead(worker_name())
    gone = _named_by_another()
    assert is_known_dead(gone)
    assert not is_known_alive(gone)


def test_each_name_is_new_and_short_enough_to_be_stored() -> None:
    names = {worker_name() for _ in range(100)}
    assert len(names) == 100
    assert max(map(len, names)) <= 200


def test_a_pid_that_was_given_again_belongs_to_another_worker() -> None:
    host, kernel, pid, start, token = worker_name().split("/")
    assert is_known_dead(f"{host}/{kernel}/{pid}/{int(start) - 1}/{token}")


@pytest.mark.parametrize("place", [0, 1])
def test_of_another_host_boot_or_namespace_nothing_is_known(place: int) -> None:
    parts = _named_by_another().split("/")
    parts[place] += "x"
    name = "/".join(parts)
    assert not is_known_dead(name)
    assert not is_known_alive(name)


@pytest.mark.parametrize("name", ["", "w", "a/b/c", "h/12/34/ab", f"{os.uname().nodename}/1/2"])
def test_of_a_name_of_another_form_nothing_is_known(name: str) -> None:
    assert not is_known_dead(name)
    assert not is_known_alive(name)


@on_linux
def test_a_step_of_the_wall_clock_makes_nobody_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    name = worker_name()
    real = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: real(self) + 3600.0)
    monkeypatch.setattr(psutil, "boot_time", lambda: time.time() - 1.0)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    worker_id._process_name.cache_clear()
    assert worker_name().split("/")[:4] == name.split("/")[:4]
    assert is_known_alive(name)


@on_linux
def test_a_process_that_ended_and_was_not_waited_for_is_dead() -> None:
    with subprocess.Popen([sys.executable, "-c", NAMING], stdout=subprocess.PIPE, text=True) as p:
        assert p.stdout is not None
        name = p.stdout.readline().strip()
        os.waitid(os.P_PID, p.pid, os.WEXITED | os.WNOWAIT)  # it has ended; its entry stays
        assert psutil.Process(p.pid).status() == psutil.STATUS_ZOMBIE
        assert is_known_dead(name)


@on_linux
def test_where_proc_shows_another_namespace_a_living_pid_is_not_judged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = worker_name()
    (tmp_path / "self").symlink_to("1")  # as `unshare --pid` without `--mount-proc` leaves it
    monkeypatch.setattr(worker_id, "PROC", tmp_path)
    assert not is_known_dead(name)
    assert not is_known_alive(name)


@in_containers
def test_a_container_of_the_same_hostname_judges_no_worker_of_another() -> None:
    container = ("unshare", "--pid", "--mount-proc", "--fork")
    inside = _named_by_another(*container)
    assert inside.split("/")[0] == worker_name().split("/")[0]
    assert not is_known_dead(inside)
    judge = f"from tunekit.driver.worker_id import is_known_dead as d; print(d({worker_name()!r}))"
    command = [*container, sys.executable, "-c", judge]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert found.strip() == "False"


@in_containers
def test_two_containers_of_one_hostname_share_a_study_without_a_loss(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shared.db"
    study = tk.study("s", storage=url, sampler="random", seed=1, objectives="value")
    driver = Path(__file__).with_name("shared_by_containers.py")
    command = ["unshare", "--pid", "--mount-proc", "--fork", sys.executable, str(driver), url]
    drivers = [
        subprocess.Popen([*command, name, str(tmp_path)], stderr=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    said = [p.communicate(timeout=300)[1] for p in drivers]
    assert [p.returncode for p in drivers] == [0, 0], said
    starts = (tmp_path / "starts").read_text().splitlines()
    assert sorted(map(int, starts)) == list(range(12))
    trials = study.trials
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 12
    assert len({t.worker.split("/")[1] for t in trials}) == 2
    study.storage.close()
