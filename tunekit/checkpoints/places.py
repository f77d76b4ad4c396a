"""Open the place that a folder or a URI names."""

from __future__ import annotations

from functools import lru_cache

from tunekit.checkpoints.base import Place
from tunekit.checkpoints.local import LocalPlace


@lru_cache(maxsize=16)
def open_place(uri: str) -> Place:
    """Return the place of a folder or a URI; the same object for the same one.

    Raises:
        InvalidArgument: no file system for the URI.
        MissingExtra: a URI, and pyarrow is not installed.
    """
    if "://" not in uri:
        return LocalPlace(uri)
    from tunekit.checkpoints.remote import RemotePlace  # needs pyarrow

    return RemotePlace(uri)
