"""The part of a study by which people find it again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from tunekit.records import StudyRecord
from tunekit.storages.base import Storage
from tunekit.studies import labels


class StudyLabels(ABC):
    """Name, tags and archive of `tunekit.Study`; see there for the attributes."""

    name: str
    storage: Storage

    @property
    @abstractmethod
    def id(self) -> int:
        """Return its key in the storage."""

    @abstractmethod
    def record(self) -> StudyRecord:
        """Return the current stored record of the study."""

    @property
    def tags(self) -> tuple[str, ...]:
        """Return the tags of the study, sorted."""
        return labels.tags_of(self.record().spec)

    def set_tags(self, tags: Sequence[str]) -> None:
        """Replace the tags.

        Raises:
            InvalidArgument: not up to 20 texts of 1 to 40 printable characters.
        """
        labels.set_tags(self.storage, self.id, labels.checked_tags(tags))

    def rename(self, name: str) -> None:
        """Give the study another name, which whoever runs it need not know.

        Raises:
            StudyExists: another study has the name.
            InvalidArgument: it is not a text of 1 to 200 printable characters.
        """
        self.storage.rename_study(self.id, name)
        self.name = name

    @property
    def is_archived(self) -> bool:
        """Return whether it is archived: stopped, and left out of lists."""
        return labels.is_archived(self.record().spec)

    def archive(self) -> None:
        """Stop the study and leave it out of lists; nothing is deleted, see `restore`."""
        labels.archive(self.storage, self.id)

    def restore(self) -> None:
        """Show an archived study in lists again; it stays stopped until `resume`."""
        labels.restore(self.storage, self.id)
