"""What a file can do to a storage: read-only, damaged, full, far away, forked."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import event

import tunekit as tk
from tunekit.errors import StorageError, StorageUnreachable
from tunekit.records import TrialState
from tunekit.storages.sql.sqlite import PAUSES_S, SQLiteDatabase, check_file, file_system
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_storage
from tunekit.testing.storages.access import Access, spec


def test_a_file_is_in_wal_mode_with_foreign_keys(tmp_path: Path) -> None:
    database = SQLiteDatabase(tmp_path / "s.db")
    storage = SQLStorage(database)

    def pragma(name: str) -> object:
        return database.read(lambda c: c.exec_driver_sql(f"PRAGMA {name}").scalar())

    assert [
        pragma(p) for p in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    ] == [
        "wal",
        1,
        1,
        0,
    ]
    storage.close()


def test_a_missing_folder_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r'folder ".*missing".*create it'):
        open_storage(tmp_path / "missing" / "s.db")
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(StorageError, match="is a folder"):
        open_storage(tmp_path / "folder.db")


@pytest.mark.parametrize(
    "content", [b"no database at all, but text " * 100, b"SQLite format 3\0" * 99]
)
def test_a_file_that_is_no_database_is_refused_and_left_alone(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "s.db"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"not an SQLite database|damaged"):
        open_storage(path)
    assert path.read_bytes() == content


def test_a_damaged_file_says_how_to_save_what_is_left(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    storage = open_storage(path)
    access = Access(storage)
    access.claim(200)
    storage.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(16) * ((size - 4096) // 16))
    with pytest.raises(StorageError, match=r"damaged.*\.recover"):
        Access(open_storage(path), name="other").trials()


def test_values_that_another_program_changed_are_named(tmp_path: Path) -> None:
    storage = open_storage(tmp_path / "s.db")
    access = Access(storage)
    access.take()
    with sqlite3.connect(tmp_path / "s.db") as other:
        other.execute("update tk_trials set params = '{'")
    other.close()
    with pytest.raises(StorageError, match="not JSON"):
        access.trials()
    storage.close()


_OPEN = """
import os, sys
from tunekit.errors import StorageError
from tunekit.storages.urls import open_storage
from tunekit.records import ObjectiveSpec, StudySpec
open_storage(sys.argv[2])  # imports all that it needs while it still may
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    storage = open_storage(sys.argv[1])
    print([s.spec.name for s in storage.list_studies()])
    storage.create_study(StudySpec("new", (ObjectiveSpec("loss"),)))
except StorageError as error:
    print(error)
"""


@pytest.mark.parametrize("exists", [True, False])
def test_a_read_only_file_or_folder_is_named(tmp_path: Path, exists: bool) -> None:
    # pytest's own temporary folder is closed to other users.
    folder = Path(f"/tmp/tunekit-read-only-{os.getpid()}")
    folder.mkdir()
    try:
        if exists:
            storage = open_storage(folder / "s.db")
            storage.create_study(spec("kept"))
            storage.close()
            (folder / "s.db").chmod(0o444)
        folder.chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", _OPEN, folder / "s.db", tmp_path / "other.db"],
            capture_output=True,
            text=True,
        )
        answer = done.stdout + done.stderr
        assert "TK404" in answer, answer
        assert "writable" in answer
        assert "Traceback" not in answer
    finally:
        folder.chmod(0o755)
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def test_a_full_disk_is_named_and_nothing_stored_is_lost(tmp_path: Path) -> None:
    database = SQLiteDatabase(tmp_path / "s.db")
    storage = SQLStorage(database)
    access = Access(storage)
    access.take()
    pages: list[int] = []

    @event.listens_for(database.engine, "connect")
    def limit(connection: sqlite3.Connection, record: object) -> None:
        (size,) = connection.execute("PRAGMA page_count").fetchone()
        pages.append(size)
        connection.execute(f"PRAGMA max_page_count = {size + 2}")

    database.engine.dispose()
    with pytest.raises(StorageUnreachable, match=r"disk is full.*no stored data are lost"):
        for _ in range(1000):
            access.take()
    assert pages
    before = access.trials()
    assert before[0].params == {"x": 0.5}
    event.remove(database.engine, "connect", limit)
    storage.close()

    again = open_storage(tmp_path / "s.db")
    assert {t.number: t for t in again.changes(access.id).trials} == before
    seqs = [e.seq for e in again.events(access.id)]
    assert seqs == list(range(1, len(seqs) + 1))
    access.storage = again
    access.take()  # it goes on
    again.close()


_FILL = """
import resource, sys
from tunekit.errors import StorageError
from tunekit.storages.urls import open_storage
from tunekit.testing.storages.access import Access
storage = open_storage(sys.argv[1])
access = Access(storage)
access.take()
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
try:
    while True:
        access.take()
except StorageError as error:
    print(len(access.trials()), error)
"""


def test_a_quota_on_the_size_of_files_is_named_and_nothing_stored_is_lost(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FILL, tmp_path / "s.db"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    number, _, message = done.stdout.partition(" ")
    assert "TK402" in message
    assert "disk" in message
    storage = open_storage(tmp_path / "s.db")
    trials = storage.changes(storage.get_study("study").id).trials
    assert len(trials) == int(number) > 1
    assert all(t.state is TrialState.RUNNING for t in trials)
    storage.close()


MOUNTS = [
    "/dev/sda1 / ext4 rw 0 0",
    "server:/home /home nfs4 rw 0 0",
    "host:/x /mnt/far\\040away fuse.sshfs rw 0 0",
    "tmpfs /home/me/fast tmpfs rw 0 0",
    "broken",
]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/data/s.db", "ext4"),
        ("/home/me/s.db", "nfs4"),
        ("/homely/s.db", "ext4"),
        ("/mnt/far away/deep/s.db", "fuse.sshfs"),
        ("/home/me/fast/s.db", "tmpfs"),
    ],
)
def test_the_file_system_of_a_path_is_that_of_the_innermost_mount(path: str, kind: str) -> None:
    assert file_system(Path(path), MOUNTS) == kind


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = [f"server:/x {os.path.realpath(tmp_path)} nfs4 rw 0 0"]
    monkeypatch.setattr("tunekit.storages.sql.sqlite._mounts", lambda: mounts)
    with pytest.raises(StorageError, match=r"network file system \(nfs4\).*PostgreSQL"):
        check_file(tmp_path / "s.db")
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_keeps_the_file_too_long_is_named(tmp_path: Path) -> None:
    database = SQLiteDatabase(tmp_path / "s.db", outage_s=0.05)
    access = Access(SQLStorage(database))
    other = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match=r"does not answer.*locked"):
        access.take()
    assert access.trials() == {}, "readers do not wait for writers"
    other.execute("ROLLBACK")
    other.close()
    access.take()
    database.close()


def test_a_waiting_writer_asks_as_often_as_those_who_have_just_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = Access(SQLStorage(SQLiteDatabase(tmp_path / "s.db")))
    other = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 50:
            other.execute("ROLLBACK")

    monkeypatch.setattr("tunekit.storages.sql.sqlite.sleep", sleep)
    assert len(access.claim()) == 1
    assert len(pauses) == 50
    assert PAUSES_S[0] <= min(pauses) <= max(pauses) <= PAUSES_S[1]
    other.close()
    access.storage.close()


def test_a_forked_child_uses_connections_of_its_own(tmp_path: Path) -> None:
    code = """
import os, sys, warnings
from tunekit.storages.urls import open_storage
from tunekit.testing.storages.access import Access
access = Access(open_storage(sys.argv[1]))
access.take()
child = os.fork()
for _ in range(50):
    access.take()
if child == 0:
    os._exit(0)
_, status = os.waitpid(child, 0)
assert status == 0
print(len(access.trials()), access.storage.get_study("study").seq)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "s.db"], capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("101 202\n", "")


def test_a_complete_trial_without_its_metric_is_refused_by_every_reader(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    study = tk.study("s", storage=url, objectives="loss", sampler="random", seed=1)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), 4, progress=False)
    study.storage.close()
    with sqlite3.connect(tmp_path / "s.db") as database:
        database.execute("update tk_trials set outcome = '{\"metrics\":{}}' where number = 2")
    database.close()
    for use in ("best_trial", "trials", "history", "user_attrs"):
        again = tk.load_study("s", storage=url)
        if use in ("history", "user_attrs"):  # they read no trials
            getattr(again, use)
        else:
            with pytest.raises(StorageError, match="trial 2 is stored as complete"):
                getattr(again, use)
        again.storage.close()
