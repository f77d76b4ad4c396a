"""The rollback journal, and what brings a server back however a tuning run ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dbms.simulated import Queries, SimulatedTarget
from tunekit.errors import InvalidArgument, NotReverted, StorageError
from tunekit_integrations.dbms.guard import own_configuration_kept, restore_files, rolled_back
from tunekit_integrations.dbms.journal import Journals
from tunekit_integrations.dbms.protocol_options import ProtocolOptions
from tunekit_integrations.dbms.records import FailureKind, Snapshot, TargetFailure
from tunekit_integrations.dbms.tuning import tune_knobs

OWN = {"work": 8}


@pytest.fixture
def journals(tmp_path: Path) -> Journals:
    return Journals(tmp_path / "journals")


@pytest.fixture
def server(tmp_path: Path) -> SimulatedTarget:
    found = SimulatedTarget(tmp_path / "server", is_private=False)
    found.configure(OWN)
    return found


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """No signal is ignored, as some are in a process started in the background."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {n: signal.signal(n, signal.default_int_handler) for n in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def said(_: str) -> None:
    pass


def test_the_journal_is_there_before_the_first_change_and_gone_after_the_last(
    server: SimulatedTarget, journals: Journals
) -> None:
    with own_configuration_kept(server, "simulated", journals, said):
        assert len(journals.all()) == 1
        server.apply({"work": 64, "turbo": True})
    assert server.configured == server.running == OWN
    assert journals.all() == []


def test_an_error_brings_the_configuration_back(
    server: SimulatedTarget, journals: Journals
) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        own_configuration_kept(server, "simulated", journals, said),
    ):
        server.apply({"work": 64})
        raise ZeroDivisionError
    assert server.running == OWN


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_brings_the_configuration_back(
    server: SimulatedTarget, journals: Journals, number: signal.Signals
) -> None:
    before = signal.getsignal(number)
    with (
        pytest.raises(KeyboardInterrupt, match="its own configuration back"),
        own_configuration_kept(server, "simulated", journals, said),
    ):
        server.apply({"work": 64})
        os.kill(os.getpid(), number)
    assert server.running == OWN
    assert journals.all() == []
    assert signal.getsignal(number) is before


def test_a_signal_that_the_process_was_told_to_ignore_stays_ignored(
    server: SimulatedTarget, journals: Journals
) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with own_configuration_kept(server, "simulated", journals, said):
        server.apply({"work": 64})
        os.kill(os.getpid(), signal.SIGHUP)
        server.apply({"work": 32})
    assert server.running == OWN


def test_signals_wait_while_the_configuration_is_brought_back(
    server: SimulatedTarget, journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    revert, told = server.revert, []

    def interrupted(snapshot: Snapshot) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        revert(snapshot)

    monkeypatch.setattr(server, "revert", interrupted)
    with own_configuration_kept(server, "simulated", journals, told.append):
        server.apply({"work": 64})
    assert server.running == OWN
    assert told == ["wait: the server gets its configuration back"] * 2


def test_a_server_that_does_not_answer_keeps_its_journal(
    server: SimulatedTarget, journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: Snapshot) -> None:
        raise TargetFailure(FailureKind.LOST_CONNECTION, "it is gone.")

    revert = server.revert
    monkeypatch.setattr(server, "revert", gone)
    with (
        pytest.raises(NotReverted, match="it is gone"),
        own_configuration_kept(server, "simulated", journals, said, patience_s=0.0),
    ):
        server.apply({"work": 64})
    monkeypatch.setattr(server, "revert", revert)
    (left,) = journals.all()
    rolled_back(server, left, journals)
    assert server.running == OWN
    assert journals.all() == []


def test_a_revert_that_reads_otherwise_keeps_its_journal(
    server: SimulatedTarget, journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "revert", lambda _: None)
    with (
        pytest.raises(NotReverted, match="work read otherwise"),
        own_configuration_kept(server, "simulated", journals, said),
    ):
        server.apply({"work": 64})
    assert len(journals.all()) == 1


def test_a_journal_is_never_restored_to_another_server(
    server: SimulatedTarget, journals: Journals, tmp_path: Path
) -> None:
    journal = journals.write("simulated", server.url, server.snapshot())
    other = SimulatedTarget(tmp_path / "other", is_private=False)
    other.configure({"work": 16})
    with pytest.raises(InvalidArgument, match="the journal is of the server"):
        rolled_back(other, journal, journals)
    assert other.running == {"work": 16}
    assert len(journals.all()) == 1


def test_a_second_run_never_takes_a_half_tuned_configuration_for_the_servers_own(
    server: SimulatedTarget, journals: Journals
) -> None:
    journals.write("simulated", server.url, server.snapshot())
    server.apply({"work": 64})  # and now the run is killed
    with pytest.raises(InvalidArgument, match="rollback"):
        journals.write("simulated", server.url, server.snapshot())
    with own_configuration_kept(server, "simulated", journals, said) as snapshot:
        assert snapshot.set_values["work"] == "8"
        assert server.running == OWN
    assert server.running == OWN


def test_one_process_at_a_time_tunes_a_server(server: SimulatedTarget, journals: Journals) -> None:
    with (
        own_configuration_kept(server, "simulated", journals, said),
        pytest.raises(InvalidArgument, match="another process tunes this server"),
        own_configuration_kept(server, "simulated", journals, said),
    ):
        pass


def test_without_a_journal_no_server_is_changed(server: SimulatedTarget, tmp_path: Path) -> None:
    journals = Journals(tmp_path / "journals")
    journals.folder.mkdir()
    path = journals.path(server.snapshot().identity)
    path.with_name(f".{path.name}.{os.getpid()}").mkdir()  # in the way of the new file
    with (
        pytest.raises(StorageError, match="without it no server is changed"),
        own_configuration_kept(server, "simulated", journals, said),
    ):
        pytest.fail("the block must not run")
    assert "apply" not in server.log


def test_a_damaged_journal_is_told_by_its_path(journals: Journals) -> None:
    journals.folder.mkdir()
    (journals.folder / "a.json").write_text('{"format": "x"}')
    with pytest.raises(StorageError, match=r"a\.json: it is not a rollback journal"):
        journals.all()


def test_files_of_a_server_that_does_not_start_are_written_back(
    journals: Journals, tmp_path: Path
) -> None:
    file = tmp_path / "auto.conf"
    file.write_text("shared_buffers = '1000GB'\n")
    file.chmod(0o640)
    kept = Snapshot("simulated", {"folder": "x"}, {}, {str(file): "shared_buffers = '128MB'\n"})
    journal = journals.write("simulated", "simulated://x", kept)
    assert restore_files(journal) == [file]
    assert file.read_text() == "shared_buffers = '128MB'\n"
    assert file.stat().st_mode & 0o777 == 0o640
    assert journals.read(kept.identity) is not None


def test_a_password_is_not_written(journals: Journals, server: SimulatedTarget) -> None:
    journal = journals.write("postgresql", "postgresql://me:secret@db/x", server.snapshot())
    assert "secret" not in journals.path(journal.snapshot.identity).read_text()
    assert journals.path(journal.snapshot.identity).stat().st_mode & 0o777 == 0o600


# Killed at every step

OPTIONS = ProtocolOptions(
    n_blocks=1, round_blocks=1, aa_rounds=2, n_finalists=1, max_rounds=3, patience_s=0.0
)


class Steps:
    """Counts what reaches the server or the disk, and kills the process at one of these steps.

    Before a step nothing of it has happened, after it all has.
    """

    def __init__(self, kill_at: int) -> None:
        self.n, self.kill_at = 0, kill_at

    def count(self) -> None:
        self.n += 1
        if self.n == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, owner: Any, name: str) -> None:
        function = getattr(owner, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            self.count()
            result = function(*args, **kwargs)
            self.count()
            return result

        setattr(owner, name, watched)


def tune(folder: Path, kill_at: int) -> int:
    """Tune in a child process that is killed at a step; return its exit status."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 1
    try:
        server = SimulatedTarget(
            folder, lambda s: 0.8 if s.get("turbo") else 1.0, is_private=False
        )
        steps = Steps(kill_at)
        for name in ("snapshot", "apply", "restart", "measure", "revert"):
            steps.watch(server, name)
        for name in ("replace", "fsync", "unlink", "open"):
            steps.watch(os, name)
        tune_knobs(
            server, Queries(), n_trials=4, sampler="random", only=["turbo", "buffers"],
            options=OPTIONS, journals=Journals(folder.parent / "journals"), progress=False,
        )  # fmt: skip
        status = 42 if steps.n else 2
    finally:
        os._exit(status)


@pytest.mark.faults
def test_killed_at_any_step_the_server_gets_its_own_configuration_back(tmp_path: Path) -> None:
    """Every step where TUNEKIT_FAULT_ROUNDS is set, else every 7th."""
    stride = 1 if os.environ.get("TUNEKIT_FAULT_ROUNDS") else 7
    kill_at, n_half_tuned = 1, 0
    while True:
        folder = tmp_path / str(kill_at) / "server"
        SimulatedTarget(folder, is_private=False).configure(OWN)
        status = tune(folder, kill_at)
        server = SimulatedTarget(folder, is_private=False)
        n_half_tuned += server.configured != OWN
        journals = Journals(folder.parent / "journals")
        for left in journals.all():
            rolled_back(server, left, journals)
        server.restart()
        assert server.configured == server.running == OWN, f"killed at step {kill_at}"
        assert journals.all() == []
        if status == 42:
            break
        assert status == -signal.SIGKILL
        kill_at += stride
    assert kill_at > 100  # it was a walk, and some of its steps left the server half-tuned
    assert n_half_tuned > 3
