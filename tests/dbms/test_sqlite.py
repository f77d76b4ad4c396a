import sqlite3

import pytest

from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.records import Clamp, FailureKind, Snapshot, TargetFailure
from tunekit_integrations.dbms.sqlite.demo import ShopWorkload
from tunekit_integrations.dbms.sqlite.target import SqliteTarget, open_sqlite

WORKLOAD = ShopWorkload(items=2000)


@pytest.fixture
def target():
    opened = open_sqlite("sqlite")
    WORKLOAD.prepare(opened.url)
    yield opened
    opened.close()


@pytest.fixture
def own_file(tmp_path):
    file = tmp_path / "own file?.db"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE t (x)")
    connection.execute("INSERT INTO t VALUES (1)")
    connection.commit()
    connection.close()
    return "sqlite:///" + str(file).replace("?", "%3F")


def measured(target):
    return target.measure(WORKLOAD, seconds=1, deadline_s=60, seed=1)


def of_the_file(file, pragma):
    connection = sqlite3.connect(file)
    try:
        return connection.execute(f"PRAGMA {pragma}").fetchone()[0]
    finally:
        connection.close()


def test_settings_reach_every_client_and_leave_results_as_they_are(target):
    before = measured(target)
    applied = target.apply(
        {
            "cache_size": 8192,
            "journal_mode": "wal",
            "page_size": "8192",
            "temp_store": "memory",
            "threads": 1,
            "cache_spill": False,
        }
    )
    assert applied.effective["cache_size"] == 8192
    assert applied.effective["page_size"] == "8192"
    assert applied.effective["cache_spill"] is False
    assert applied.clamped == ()
    after = measured(target)
    assert len(after.digests) == 6
    assert after.digests == before.digests
    assert after.cpu_seconds > 0
    assert target.health() == ""


def test_what_the_next_settings_do_not_name_is_as_in_the_snapshot(target):
    base = {name: knob.value for name, knob in target.in_force().items()}
    target.apply({"cache_size": 8192, "journal_mode": "wal", "page_size": "8192"})
    target.apply({"mmap_size": 16})
    assert {n: k.value for n, k in target.in_force().items()} == {**base, "mmap_size": 16}


def test_a_value_that_the_library_lowers_is_reported(target):
    assert target.apply({"mmap_size": 4000}).clamped == (Clamp("mmap_size", 4000, 2047),)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"synchronous": "off"}, "is closed, as a power failure can corrupt"),
        ({"locking_mode": "exclusive"}, "never tuned"),
        ({"cache_sizes": 1}, 'did you mean "cache_size"'),
        ({"threads": 99}, "from 0 to 8"),
        ({"threads": True}, "expected an integer"),
        ({"cache_spill": 1}, "true or false"),
        ({"journal_mode": "off"}, "one of delete, truncate, persist, wal"),
        ({"journal_mode": "wal; DROP TABLE items"}, "one of delete, truncate, persist, wal"),
        ({"cache_size": 2**31 - 1}, "lower its caches"),
        ({"cache_size": float("nan")}, "expected an integer"),
    ],
)
def test_what_must_not_be_applied_is_refused_and_changes_nothing(target, settings, sentence):
    before = target.in_force()
    assert sentence in " ".join(target.check(settings).errors)
    with pytest.raises(TargetFailure) as caught:
        target.apply({"cache_size": 4096, **settings})
    assert caught.value.kind is FailureKind.INVALID
    assert target.in_force() == before


def test_an_opened_durability_knob_is_applied():
    target = open_sqlite("sqlite", opened=["synchronous"])
    assert target.apply({"synchronous": "off"}).effective == {"synchronous": "off"}
    target.close()


def test_a_value_in_force_is_no_change(target):
    check = target.check({"cache_size": 2000, "page_size": "4096", "threads": 2})
    assert set(check.unchanged) == {"cache_size", "page_size"}
    assert check.needs_restart == ()
    assert target.check({"page_size": "8192"}).needs_restart == ("page_size",)


def test_a_users_file_is_not_rewritten_unless_allowed(own_file):
    with pytest.raises(TargetFailure, match="takes a restart"):
        open_sqlite(own_file).apply({"page_size": "8192"})
    open_sqlite(own_file, may_restart=True).apply({"page_size": "8192"})


def test_a_users_file_gets_its_own_settings_back_from_a_stored_snapshot(own_file, tmp_path):
    file = tmp_path / "own file?.db"
    target = open_sqlite(own_file + "?cache_size=512", may_restart=True)
    stored = target.snapshot().to_dict()
    target.apply({"journal_mode": "wal", "page_size": "16384", "cache_size": 4096})
    assert (of_the_file(file, "journal_mode"), of_the_file(file, "page_size")) == ("wal", 16384)
    target.close()

    second = open_sqlite(own_file)  # another process, after a crash
    second.revert(Snapshot.from_dict(stored))
    second.revert(Snapshot.from_dict(stored))
    assert (of_the_file(file, "journal_mode"), of_the_file(file, "page_size")) == ("delete", 4096)
    assert second.in_force()["cache_size"].value == 512
    assert file.exists()


def test_a_snapshot_of_another_file_is_refused(own_file, target):
    with pytest.raises(TargetFailure, match="the snapshot is of sqlite"):
        target.revert(open_sqlite(own_file).snapshot())


def test_a_locked_file_is_a_failure_with_a_kind(own_file, tmp_path, monkeypatch):
    from tunekit_integrations.dbms.sqlite import connection as module

    monkeypatch.setattr(module, "LOCK_TIMEOUT_S", 0.01)
    target = open_sqlite(own_file)
    other = sqlite3.connect(tmp_path / "own file?.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(TargetFailure) as caught:
        target.apply({"journal_mode": "wal"})
    assert caught.value.kind is FailureKind.TIMEOUT
    other.close()


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_killed_writer_leaves_a_sound_file(target, mode):
    target.apply({"journal_mode": mode})
    before = measured(target)
    assert target.crash() > 0
    assert target.health() == ""
    assert measured(target).digests == before.digests


def test_a_users_file_is_never_crashed(own_file):
    with pytest.raises(TargetFailure, match="not a private file"):
        open_sqlite(own_file).crash()


def test_damage_is_noticed(target):
    with open(target.url.removeprefix("sqlite:///"), "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    assert target.health() != ""


def test_a_twin_has_the_data_and_settings_of_its_own(target):
    twin = target.clone()
    twin.apply({"cache_size": 9000})
    assert measured(twin).digests == measured(target).digests
    assert target.in_force()["cache_size"].value == 2000
    folder = twin.url
    twin.close()
    twin.close()
    assert folder != target.url
    assert target.health() == ""


def test_a_slice_is_cut_off_at_its_deadline(target):
    cut = target.measure(WORKLOAD, seconds=1, deadline_s=0, seed=1)
    assert cut.is_censored
    assert cut.units < 6


def test_a_plan_has_a_signature_that_settings_of_memory_leave_alone(target):
    first = target.plan_signature(WORKLOAD.queries())
    assert set(first) == set(WORKLOAD.queries())
    target.apply({"cache_size": 9000})
    assert target.plan_signature(WORKLOAD.queries()) == first
    target.apply({"automatic_index": False})
    auto = {"join": "SELECT * FROM items a JOIN items b ON a.product = b.product"}
    assert target.plan_signature(auto) != first
    without = target.plan_signature(auto)
    target.apply({})
    assert target.plan_signature(auto) != without


def test_a_url_of_something_else_is_refused(tmp_path):
    with pytest.raises(InvalidArgument, match="expected the URL of a file"):
        open_sqlite("postgresql:///x")
    with pytest.raises(InvalidArgument, match='unknown option "cache"'):
        open_sqlite(f"sqlite:///{tmp_path}/a.db?cache=3")
    with pytest.raises(TargetFailure) as caught:
        open_sqlite(f"sqlite:///{tmp_path}/none.db")
    assert caught.value.kind is FailureKind.NO_START
    assert not (tmp_path / "none.db").exists()


def test_every_knob_of_the_catalogue_is_one_of_the_library():
    target = SqliteTarget.provision()
    assert set(target.in_force()) == set(target.catalogue.knobs)
    target.close()


def test_a_journal_can_open_the_file_again(target):
    from tunekit.shown import shown_url
    from tunekit_integrations.dbms.sqlite.connection import PRAGMAS

    target.apply({"cache_size": 8192, "journal_mode": "wal"})
    assert "cache_size=8192" in target.url and shown_url(target.url) == target.url
    every = "sqlite:////x.db?" + "&".join(f"{name}=1" for name in PRAGMAS)
    assert shown_url(every) == every


def test_the_file_of_a_killed_process_is_deleted_by_the_next(tmp_path, monkeypatch):
    import subprocess

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    (tmp_path / f"tunekit-sqlite-{gone.pid}-x").mkdir()
    target = open_sqlite("sqlite")
    assert len(list(tmp_path.iterdir())) == 1
    target.close()
    assert list(tmp_path.iterdir()) == []
