"""Keeps the content of artifacts: in a folder, or at a URI of an object store.

Each content has a random name of its own and is complete or absent; the table says which
artifact it belongs to.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Protocol

from tunekit.checkpoints.disk import sync
from tunekit.errors import StorageError

PART = ".part"


class Upload(Protocol):
    """A content that is being written."""

    def write(self, data: bytes) -> None:
        """Append bytes."""
        ...

    def finish(self) -> None:
        """Make the content complete and durable."""
        ...

    def abandon(self) -> None:
        """Leave nothing behind; harmless after `finish`."""
        ...


class Files(Protocol):
    """Where contents are kept."""

    def create(self, name: str) -> Upload:
        """Begin a content."""
        ...

    def open(self, name: str) -> IO[bytes] | None:
        """Return a content to read, `None` if there is none."""
        ...

    def delete(self, name: str) -> None:
        """Delete a content, if there is one."""
        ...

    def older_than(self, age_s: float) -> list[str]:
        """Return the names of contents that are older than this."""
        ...


class FolderFiles:
    """A folder that all replicas of the service see.

    Args:
        root: made when the first content is written.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def create(self, name: str) -> Upload:
        """Begin a content in a file beside its place."""
        with _explained(self._root):
            self._root.mkdir(parents=True, exist_ok=True)
            return _FileUpload(self._root / name)

    def open(self, name: str) -> IO[bytes] | None:
        """Return a content to read, `None` if there is none."""
        with _explained(self._root):
            try:
                return (self._root / name).open("rb")
            except FileNotFoundError:
                return None

    def delete(self, name: str) -> None:
        """Delete a content, if there is one."""
        with _explained(self._root):
            (self._root / name).unlink(missing_ok=True)

    def older_than(self, age_s: float) -> list[str]:
        """Return the names of old contents; broken-off ones are deleted."""
        found = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self._root) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    if not entry.is_file() or entry.stat().st_mtime > time.time() - age_s:
                        continue
                    if entry.name.endswith(PART):
                        os.unlink(entry.path)
                    else:
                        found.append(entry.name)
        return found


class _FileUpload:
    def __init__(self, target: Path) -> None:
        self._target = target
        self._part = target.with_name(target.name + PART)
        self._file = self._part.open("xb")

    def write(self, data: bytes) -> None:
        with _explained(self._part):
            self._file.write(data)

    def finish(self) -> None:
        with _explained(self._part):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            os.replace(self._part, self._target)
            sync(self._target.parent)

    def abandon(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        self._part.unlink(missing_ok=True)


class RemoteFiles:
    """A prefix in an object store, which shows a content once it is written whole.

    Args:
        uri: for example `s3://bucket/artifacts`.

    Raises:
        InvalidArgument: no file system supports the URI.
        MissingExtra: pyarrow is not installed.
    """

    def __init__(self, uri: str) -> None:
        from tunekit.checkpoints.remote import file_system  # needs pyarrow

        self._uri = uri
        self._fs, self._root = file_system(uri, "artifacts")

    def create(self, name: str) -> Upload:
        """Begin a content."""
        with _explained(self._uri):
            return _RemoteUpload(self._fs, f"{self._root}/{name}", self._uri)

    def open(self, name: str) -> IO[bytes] | None:
        """Return a content to read, `None` if there is none."""
        with _explained(self._uri):
            try:
                found: IO[bytes] = self._fs.open_input_stream(f"{self._root}/{name}")
            except FileNotFoundError:
                return None
            return found

    def delete(self, name: str) -> None:
        """Delete a content, if there is one."""
        with _explained(self._uri), contextlib.suppress(FileNotFoundError):
            self._fs.delete_file(f"{self._root}/{name}")

    def older_than(self, age_s: float) -> list[str]:
        """Return the names of old contents."""
        from pyarrow.fs import FileSelector

        with _explained(self._uri):
            entries = self._fs.get_file_info(FileSelector(self._root, allow_not_found=True))
        until = time.time() - age_s
        return [e.base_name for e in entries if e.is_file and (e.mtime_ns or 0) < until * 1e9]


class _RemoteUpload:
    def __init__(self, fs: Any, path: str, uri: str) -> None:
        self._fs, self._path, self._uri = fs, path, uri
        self._is_whole = False
        fs.create_dir(path.rpartition("/")[0])
        self._stream = fs.open_output_stream(path)

    def write(self, data: bytes) -> None:
        with _explained(self._uri):
            self._stream.write(data)

    def finish(self) -> None:
        with _explained(self._uri):
            self._stream.close()
        self._is_whole = True

    def abandon(self) -> None:
        if not self._is_whole:
            with contextlib.suppress(OSError):
                self._stream.close()
            with contextlib.suppress(OSError):
                self._fs.delete_file(self._path)


def open_files(place: str) -> Files:
    """Return the files at a folder or a URI."""
    return RemoteFiles(place) if "://" in place else FolderFiles(Path(place).expanduser())


@contextlib.contextmanager
def _explained(place: Path | str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"artifacts cannot be read or written ({error.strerror or error}); check the folder, "
            "its permissions and the free space of the disk."
        ) from error
