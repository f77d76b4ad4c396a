"""Checks the names of accounts and projects."""

from __future__ import annotations

import re

from tunekit.checks import shown
from tunekit.errors import InvalidArgument
from tunekit.storages.project import check_project

_USER = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")


def check_user_name(name: str) -> None:
    """Check that no two names can look alike: lower-case ASCII letters, digits and `._@+-`.

    Raises:
        InvalidArgument: it is not such a name of 1 to 64 characters.
    """
    if not _USER.fullmatch(name):  # not quoted: it may be a password in the wrong field
        raise InvalidArgument(
            f"user name of {len(name)} characters: expected 1 to 64 of a-z, 0-9 and . _ @ + -, "
            "beginning with a letter or digit."
        )


def check_project_name(name: str) -> None:
    """Check that a project's name can stand in the path of a URL.

    Raises:
        InvalidArgument: it cannot.
    """
    check_project(name)
    if name.strip(". ") != name or not name:
        raise InvalidArgument(
            f"project {name!r}: a name may not begin or end with a dot or space; choose another."
        )


def check_label(label: str) -> None:
    """Check the label of a token.

    Raises:
        InvalidArgument: it is not 1 to 100 printable characters.
    """
    if not 1 <= len(label) <= 100 or not label.isprintable():
        raise InvalidArgument(
            f"label {shown(label, 80)}: expected 1 to 100 printable characters that say what the "
            "token is for."
        )
