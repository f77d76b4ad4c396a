"""Stores checkpoints at a URI: object stores and remote file systems, by pyarrow or fsspec.

An object store cannot rename a folder. A checkpoint there is complete while its marker exists,
which is written last and deleted first.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from tunekit.checkpoints.base import epoch_of
from tunekit.errors import CheckpointError, InvalidArgument, MissingExtra, UnknownCheckpoint

MARKER = ".complete"


class RemotePlace:
    """A prefix in an object store or a remote file system.

    Raises:
        InvalidArgument: no file system supports the URI.
        MissingExtra: pyarrow is not installed.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._fs, self._root = file_system(uri, "checkpoints")

    def work_folder(self, number: int, epoch: int) -> Path:
        """Return a new, empty temporary folder on this machine."""
        return Path(tempfile.mkdtemp(prefix=f"tunekit-{number}-{epoch}-"))

    def discard(self, folder: Path) -> None:
        """Delete a working folder."""
        shutil.rmtree(folder, ignore_errors=True)

    def save(self, name: str, source: Path) -> None:
        """Upload a folder, then its marker."""
        with self._explained("the checkpoint cannot be written", name):
            self._remove(name)
            self._copy(str(source), self._path(name), local="source")
            self._mark(name)

    def load(self, name: str, target: Path) -> None:
        """Download a checkpoint into an empty folder, or raise `UnknownCheckpoint`."""
        self._check(name)
        with self._explained("the checkpoint cannot be read", name):
            self._copy(self._path(name), str(target), local="target")
            (target / MARKER).unlink()

    def has(self, name: str) -> bool:
        """Return whether a complete checkpoint of this name exists."""
        with self._explained("the checkpoints cannot be listed", name):
            return bool(self._fs.get_file_info(f"{self._path(name)}/{MARKER}").is_file)

    def copy(self, name: str, to: str) -> None:
        """Copy a checkpoint to another name, unless the copy already exists."""
        if self.has(to):
            return
        with tempfile.TemporaryDirectory(prefix="tunekit-") as folder:
            # Through this machine, because a copy within the store could create the marker first.
            self.load(name, Path(folder))
            self._check(name)  # deleted during the download, which may be incomplete
            self.save(to, Path(folder))

    def delete(self, name: str) -> None:
        """Delete a checkpoint, if it exists."""
        with self._explained("the checkpoint cannot be deleted", name):
            self._remove(name)

    def keep_only(self, number: int, epoch: int, keep: Collection[str]) -> None:
        """Delete the leftovers of a trial's leases before `epoch`, except the names in `keep`."""
        from pyarrow.fs import FileSelector

        with self._explained("old checkpoints cannot be deleted", str(number)):
            folder = FileSelector(self._path(str(number)), allow_not_found=True)
            for entry in self._fs.get_file_info(folder):
                saved, name = epoch_of(entry.base_name), f"{number}/{entry.base_name}"
                if saved is not None and saved < epoch and name not in keep:
                    self._remove(name)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _copy(self, source: str, target: str, *, local: str) -> None:
        from pyarrow.fs import LocalFileSystem, copy_files

        here = LocalFileSystem()
        from_fs, to_fs = (here, self._fs) if local == "source" else (self._fs, here)
        copy_files(source, target, source_filesystem=from_fs, destination_filesystem=to_fs)

    def _mark(self, name: str) -> None:
        with self._fs.open_output_stream(f"{self._path(name)}/{MARKER}") as stream:
            stream.write(b"complete\n")

    def _remove(self, name: str) -> None:
        path = self._path(name)
        if self._fs.get_file_info(f"{path}/{MARKER}").is_file:
            self._fs.delete_file(f"{path}/{MARKER}")
        with contextlib.suppress(FileNotFoundError):
            self._fs.delete_dir(path)

    def _check(self, name: str) -> None:
        if not self.has(name):
            raise UnknownCheckpoint(
                f"no checkpoint {name} in {self.uri}: it was not kept, or was removed; give the "
                "current location of the study's checkpoints."
            )

    @contextlib.contextmanager
    def _explained(self, what: str, name: str) -> Iterator[None]:
        """Convert file system errors to `CheckpointError`."""
        try:
            yield
        except OSError as error:
            raise CheckpointError(
                f"{what} ({self.uri}/{name}): {error}; check the location and its permissions."
            ) from error


def file_system(uri: str, what: str) -> tuple[Any, str]:
    """Return the file system of a URI and the path within it.

    Args:
        uri: of an object store or remote file system.
        what: what is kept there, a plural noun.

    Raises:
        InvalidArgument: no file system supports the URI.
        MissingExtra: pyarrow is not installed.
    """
    try:
        from pyarrow.fs import FileSystem, FSSpecHandler, PyFileSystem
    except ImportError:
        raise MissingExtra("checkpoints", f"A URI for {what}") from None
    try:
        system, path = FileSystem.from_uri(uri)
        return system, path.rstrip("/")
    except (OSError, ValueError) as error:  # a scheme unknown to pyarrow
        said = str(error)
    try:
        import fsspec

        found, path = fsspec.core.url_to_fs(uri)
    except (ImportError, OSError, ValueError) as error:
        raise InvalidArgument(
            f"{what}={uri!r}: neither pyarrow ({said}) nor fsspec ({error}) can open it; "
            f"give a folder, or a URI, for example s3://bucket/{what}."
        ) from None
    return PyFileSystem(FSSpecHandler(found)), path.rstrip("/")
