import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tunekit_integrations.dbms.owned_process import (
    OwnedProcess,
    scratch_folder,
    unprivileged_user,
)
from tunekit_integrations.dbms.records import FailureKind, TargetFailure

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]

OWNER = """
import sys, threading
from pathlib import Path
from tunekit_integrations.dbms.owned_process import OwnedProcess

def start():
    process = OwnedProcess(["/bin/sleep", "600"], log=Path(sys.argv[1]))
    print(process.pid, flush=True)

thread = threading.Thread(target=start)  # whose end must not end the server
thread.start()
thread.join()
sys.stdin.read()
"""


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


def test_a_server_ends_with_its_owner_who_was_killed_and_not_with_a_thread(log):
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", OWNER, str(log)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as owner:
        server = psutil.Process(int(owner.stdout.readline()))
        assert server.is_running() and server.status() != psutil.STATUS_ZOMBIE
        owner.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs([server], timeout=30)
    assert not alive


def test_a_frozen_server_that_ignores_the_signal_is_killed(log):
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); "
    process = OwnedProcess([sys.executable, "-c", f"{stubborn} time.sleep(600)"], log=log)
    while "up" not in log.read_text():
        os.sched_yield()
    process.send(signal.SIGSTOP)
    process.stop(signal.SIGTERM, timeout_s=0.1)
    assert process.has_ended()
    process.kill()
    process.stop(signal.SIGTERM, timeout_s=0.1)


def test_the_log_excerpt_is_of_the_last_start_only(log):
    for word in ("first", "second"):
        process = OwnedProcess([sys.executable, "-c", f"print({word!r})"], log=log)
        process._child.wait()
    assert process.log_excerpt() == "second"


def test_a_program_that_is_not_there_is_a_failure_with_a_kind(log):
    with pytest.raises(TargetFailure) as caught:
        OwnedProcess(["/no/such/program"], log=log)
    assert caught.value.kind is FailureKind.NO_START


@pytest.mark.skipif(os.getuid() != 0, reason="only root can run a program as another user")
def test_root_runs_a_server_as_another_user_who_may_enter_its_folder(log):
    user = unprivileged_user("no-such-user", "nobody")
    assert user == "nobody"
    folder = scratch_folder("test", user=user)
    command = ["/bin/sh", "-c", f"cd {folder} && touch x && id -u && id -G"]
    log.touch()
    process = OwnedProcess(command, log=log, user=user)
    process._child.wait()
    there = folder.stat()
    assert process.log_excerpt().splitlines() == [str(there.st_uid), str(there.st_gid)]
    (folder / "x").unlink()
    folder.rmdir()


def test_folders_of_owners_that_are_gone_are_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    old, other = tmp_path / f"tunekit-x-{gone.pid}-a", tmp_path / f"tunekit-y-{gone.pid}-a"
    old.mkdir()
    other.mkdir()
    mine = scratch_folder("x", user=None)
    again = scratch_folder("x", user=None)
    assert mine.exists() and again.exists() and other.exists()
    assert not old.exists()
    assert mine.parent == Path(tmp_path)
