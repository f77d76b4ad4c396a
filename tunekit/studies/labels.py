"""What people put on a study to find it again: tags, and whether it is archived.

Both are attributes of the study, so that every storage keeps them.
"""

from __future__ import annotations

from collections.abc import Sequence

from tunekit.checks import check_text, several
from tunekit.errors import InvalidArgument
from tunekit.records import StudySpec, StudyState
from tunekit.storages.base import Storage

TAGS = "tags"
ARCHIVED = "archived"
"""Names of the attributes."""

MAX_TAGS = 20
MAX_TAG = 40
"""Characters of a tag."""


def tags_of(spec: StudySpec) -> tuple[str, ...]:
    """Return the tags of a study, sorted."""
    found = spec.attrs.get(TAGS)
    return tuple(sorted(t for t in found if isinstance(t, str))) if isinstance(found, list) else ()


def is_archived(spec: StudySpec) -> bool:
    """Return whether a study is archived: stopped, and left out of lists."""
    return spec.attrs.get(ARCHIVED) is True


def checked_tags(given: object) -> list[str]:
    """Return tags without repeats, sorted.

    Raises:
        InvalidArgument: not up to 20 texts of 1 to 40 printable characters.
    """
    tags = several(given, is_one=isinstance(given, str))
    for tag in tags:
        check_text(tag, "tag")
        if len(tag) > MAX_TAG or tag != tag.strip():
            raise InvalidArgument(
                f"tag {tag[:60]!r}: expected up to {MAX_TAG} characters, none of them a "
                "space at an end."
            )
    if len(set(tags)) > MAX_TAGS:
        raise InvalidArgument(f"{len(set(tags))} tags, expected at most {MAX_TAGS}; remove some.")
    return sorted(set(tags))


def set_tags(storage: Storage, study_id: int, tags: Sequence[str]) -> None:
    """Replace the tags of a study; see `checked_tags` for what it raises."""
    storage.set_attrs(study_id, {TAGS: checked_tags(tags)})


def archive(storage: Storage, study_id: int) -> None:
    """Stop a study and leave it out of lists; nothing is deleted."""
    storage.set_attrs(study_id, {ARCHIVED: True})
    if storage.record(study_id).state is not StudyState.CANCELLED:
        storage.set_state(study_id, StudyState.STOPPED)


def restore(storage: Storage, study_id: int) -> None:
    """Show an archived study in lists again; it stays stopped until it is resumed."""
    storage.set_attrs(study_id, {ARCHIVED: False})


def check_runs(spec: StudySpec) -> None:
    """Check that a study may run.

    Raises:
        InvalidArgument: it is archived.
    """
    if is_archived(spec):
        raise InvalidArgument(
            f'study "{spec.name}" is archived and runs no trials; restore it first, with '
            f"study.restore() or `tunekit studies restore {spec.name}`."
        )
