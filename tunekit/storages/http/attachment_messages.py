"""Defines the bodies of notes and artifacts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NoteText:
    """A new note: plain text of at most 10,000 bytes."""

    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """A note on a study, or on one of its trials.

    Attributes:
        number: of the trial, `None` for a note on the study.
        author: who wrote it; empty where the service runs without accounts.
        created: seconds since 1970.
    """

    id: int
    number: int | None
    author: str
    text: str
    created: float


@dataclass(frozen=True, slots=True)
class NotePage:
    """Notes in order of their ids; `more` says whether later ones were left out."""

    notes: tuple[Note, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file of a trial.

    Attributes:
        number: of the trial.
        size: bytes.
        sha256: digest of the content, in hexadecimal.
        media_type: as its sender named it; a download is never shown as that.
        author: who sent it.
        created: seconds since 1970.
    """

    number: int
    name: str
    size: int
    sha256: str
    media_type: str
    author: str
    created: float


@dataclass(frozen=True, slots=True)
class ArtifactPage:
    """Artifacts of a trial by name; `more` says whether later ones were left out."""

    artifacts: tuple[Artifact, ...]
    more: bool = False
