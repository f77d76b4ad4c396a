"""Stores the next version of a study's space, and reports its effect on existing trials."""

from __future__ import annotations

from collections.abc import Mapping

from tunekit.driver.study_reader import StudyReader
from tunekit.errors import InvalidArgument
from tunekit.spaces import Space
from tunekit.spaces.versions import SpaceEdit, diff, fitted


def edit_space(
    reader: StudyReader, space: Space | Mapping[str, object], *, dry_run: bool
) -> SpaceEdit:
    """Give a study the next version of its space; see `Study.edit_space`."""
    if reader.is_open:
        raise InvalidArgument(
            f"study {reader.record.spec.name!r} discovers its space from the program; edit the "
            "program."
        )
    new = space if isinstance(space, Space) else Space(space)
    reader.refresh()
    reader.refresh_space()
    changes = tuple(str(change) for change in diff(reader.space, new))
    params = [t.params for t in reader.history if t.params is not None]
    n_valid = sum(fitted(p, new) is not None for p in params)
    version = reader.space_version
    if changes and not dry_run:
        storage, study_id = reader.storage, reader.record.id
        version = storage.set_space(study_id, new, expected_version=version)
        reader.use_space(version)
    return SpaceEdit(version, changes, n_valid, len(params) - n_valid)
