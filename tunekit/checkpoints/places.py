"""Opens the checkpoint store at a folder or URI."""

from __future__ import annotations

from functools import lru_cache

from tunekit.checkpoints.base import Place


@lru_cache(maxsize=16)
def open_place(uri: str) -> Place:
    """Return the store at a folder or URI, the same object for the same location.

    Raises:
        InvalidArgument: no file system supports the URI.
        MissingExtra: `uri` is a URI and pyarrow is not installed.
    """
    if "://" not in uri:
        from tunekit.checkpoints.local import LocalPlace

        return LocalPlace(uri)
    from tunekit.checkpoints.remote import RemotePlace  # needs pyarrow

    return RemotePlace(uri)
