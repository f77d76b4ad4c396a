"""Places of checkpoints: complete or not there, on a disk and behind a URI."""

import os
import uuid

import pytest

from tunekit.checkpoints.base import Checkpoints, checkpoint_name, epoch_of, retained
from tunekit.checkpoints.local import LocalPlace
from tunekit.checkpoints.places import open_place
from tunekit.checkpoints.workspace import Workspace
from tunekit.errors import CheckpointError, InvalidArgument, UnknownCheckpoint
from tunekit.records import Checkpoint


@pytest.fixture(params=["local", "uri"])
def place(request, tmp_path):
    if request.param == "local":
        return open_place(str(tmp_path / "root"))
    return open_place(f"memory://tunekit-{uuid.uuid4().hex}/root")  # through fsspec


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    (folder / "deeper" / "still").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(bytes(range(256)) * 100)
    (folder / "deeper" / "still" / "note.txt").write_text("ü")
    return folder


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def loaded(place, name, tmp_path):
    target = tmp_path / uuid.uuid4().hex
    target.mkdir()
    place.load(name, target)
    return contents(target)


def test_what_was_saved_comes_back(place, source, tmp_path):
    place.save("3/7-1", source)
    assert place.has("3/7-1")
    assert loaded(place, "3/7-1", tmp_path) == contents(source)


def test_saving_a_step_again_replaces_it(place, source, tmp_path):
    place.save("3/7-1", source)
    (source / "weights.bin").unlink()
    (source / "new.txt").write_text("new")
    place.save("3/7-1", source)
    assert loaded(place, "3/7-1", tmp_path) == contents(source)


def test_a_checkpoint_that_is_not_there_is_named(place, tmp_path):
    assert not place.has("3/7-1")
    with pytest.raises(UnknownCheckpoint, match="3/7-1"):
        place.load("3/7-1", tmp_path)
    with pytest.raises(UnknownCheckpoint, match="3/7-1"):
        place.copy("3/7-1", "4/7-0")
    place.delete("3/7-1")


def test_a_copy_is_its_own(place, source, tmp_path):
    place.save("3/7-1", source)
    place.copy("3/7-1", "4/7-0")
    place.copy("3/7-1", "4/7-0")
    place.delete("3/7-1")
    assert not place.has("3/7-1")
    assert loaded(place, "4/7-0", tmp_path) == contents(source)


def test_tidying_keeps_what_is_named_and_what_later_leases_have(place, source):
    for name in ("3/1-1", "3/2-1", "3/3-2", "3/4-3", "4/1-1"):
        place.save(name, source)
    place.keep_only(3, 3, {"3/2-1"})
    there = [n for n in ("3/1-1", "3/2-1", "3/3-2", "3/4-3", "4/1-1") if place.has(n)]
    assert there == ["3/2-1", "3/4-3", "4/1-1"]
    place.keep_only(99, 3, ())


def test_half_an_upload_is_no_checkpoint(source, tmp_path):
    place = open_place(f"memory://tunekit-{uuid.uuid4().hex}")
    place.save("3/7-1", source)
    place._fs.delete_file(f"{place._path('3/7-1')}/.complete")  # as if killed before the end
    assert not place.has("3/7-1")
    with pytest.raises(UnknownCheckpoint):
        place.load("3/7-1", tmp_path)


def test_a_local_checkpoint_shares_no_file_with_the_working_folder(source, tmp_path):
    place = LocalPlace(str(tmp_path / "root"))
    place.save("3/7-1", source)
    before = contents(source)
    with (source / "weights.bin").open("r+b") as file:  # in place, as torch.save may do
        file.write(b"torn")
    assert loaded(place, "3/7-1", tmp_path) == before


def test_a_folder_that_cannot_be_written_is_said(tmp_path, source):
    (tmp_path / "file").write_text("not a folder")
    place = LocalPlace(str(tmp_path / "file"))
    with pytest.raises(CheckpointError, match=r"cannot be written.*Not a directory"):
        place.save("3/7-1", source)


def test_the_working_folder_begins_with_its_checkpoint_and_goes_at_the_end(place, source):
    place.save("3/7-1", source)
    work = Workspace(place.uri, 3, 2, start="3/7-1", kept=("3/7-1",))
    assert contents(work.folder) == contents(source)
    (work.folder / "weights.bin").write_text("later")
    work.save(9)
    folder = work.folder
    work.close()
    assert not folder.exists()
    assert place.has("3/9-2")
    assert place.has("3/7-1")


def test_a_single_file_is_a_checkpoint_too(place, source, tmp_path):
    work = Workspace(place.uri, 3, 1, start=None, kept=())
    work.save(1, source / "weights.bin")
    assert set(loaded(place, "3/1-1", tmp_path)) == {"weights.bin"}
    with pytest.raises(InvalidArgument, match="neither a file nor a folder"):
        work.save(2, source / "missing")
    with pytest.raises(InvalidArgument, match="is empty"):
        work.save(2)
    work.close()


def test_the_best_and_the_last_are_kept():
    values = [0.5, 0.2, None, 0.2, 0.9]
    all_ = [Checkpoint(i, 1, v) for i, v in enumerate(values)]
    assert [c.step for c in retained(all_, sign=1.0, keep_best=1)] == [1, 4]
    assert [c.step for c in retained(all_, sign=1.0, keep_best=2)] == [1, 3, 4]
    assert [c.step for c in retained(all_, sign=-1.0, keep_best=1)] == [4]
    assert [c.step for c in retained(all_, sign=1.0, keep_best=0)] == [4]


def test_names_tell_their_epoch():
    assert checkpoint_name(3, 7, 2) == "3/7-2"
    assert [epoch_of(e) for e in ("7-2", ".7-2.ab12", "work-5", ".work-5.ff", "notes")] == [
        2, 2, 5, 5, None,
    ]  # fmt: skip


@pytest.mark.parametrize("root", ["", "  ", 3, None])
def test_a_root_that_is_none_is_refused(root):
    with pytest.raises(InvalidArgument, match="folder or a URI"):
        Checkpoints(root)


def test_a_bad_number_to_keep_or_an_unknown_scheme_is_refused(tmp_path):
    with pytest.raises(InvalidArgument, match="keep_best"):
        Checkpoints(tmp_path, keep_best=-1)
    with pytest.raises(InvalidArgument, match="neither pyarrow"):
        open_place("nosuch://bucket/x")


def test_a_relative_root_is_that_of_the_caller(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Checkpoints("c").root == os.path.join(str(tmp_path), "c")
    assert Checkpoints("file:///a/b").root == "/a/b"
