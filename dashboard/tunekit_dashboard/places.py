"""Reads the study of a page from the page's address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tunekit.errors import InvalidArgument
from tunekit.storages.http.connection import quoted
from tunekit.storages.project import check_project

PROJECT, STUDY, TRIAL, SHARE = "project", "study", "trial", "share"
"""Parameters of an address."""


@dataclass(frozen=True, slots=True)
class StudyPlace:
    """A study of a project, or the study that a share link shows.

    Attributes:
        project: empty for a share link.
        study_id: 0 for a share link.
        share: short name of the share link that this browser has opened; empty for none.
    """

    project: str = ""
    study_id: int = 0
    share: str = ""

    @property
    def is_shared(self) -> bool:
        """Return whether it is seen through a share link, which permits only to read."""
        return bool(self.share)

    @property
    def path(self) -> str:
        """Return the path of its routes below `/api/v1`."""
        if self.is_shared:
            return "/shared"
        return f"/projects/{quoted(self.project)}/studies/{self.study_id}"

    @property
    def query(self) -> dict[str, str]:
        """Return its query parameters for the address of a page."""
        if self.is_shared:
            return {SHARE: self.share}
        return {PROJECT: self.project, STUDY: str(self.study_id)}


def place_in(query: Mapping[str, str]) -> StudyPlace | None:
    """Return the study that the address of a page names, `None` if it names none.

    Raises:
        InvalidArgument: the address was not written by the dashboard.
    """
    if share := query.get(SHARE, ""):
        if not (len(share) <= 40 and share.isascii() and share.isalnum()):
            raise InvalidArgument("the address names no share link; open the link again.")
        return StudyPlace(share=share)
    project, study = query.get(PROJECT, ""), query.get(STUDY, "")
    if not study:
        return None
    check_project(project or "default")
    return StudyPlace(project or "default", whole(study, "study", most=2**31 - 1))


def trial_in(query: Mapping[str, str]) -> int | None:
    """Return the number of the trial that the address of a page names.

    Raises:
        InvalidArgument: it is not the number of a trial.
    """
    text = query.get(TRIAL, "")
    return whole(text, "trial", most=2**53) if text else None


def whole(text: str, name: str, *, most: int) -> int:
    """Read a non-negative whole number from an address.

    Raises:
        InvalidArgument: it is not a whole number, or it is too large.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= most):
        raise InvalidArgument(
            f"{name} {text[:40]!r} in the address of this page: expected a number; "
            "go back to the list of studies."
        )
    return int(text)
