"""Names the cookies and headers that pages in a browser and the service agree on."""

from __future__ import annotations

SESSION_COOKIE = "tunekit_session"
"""Cookie of a login; no script can read it."""

CSRF_HEADER = "X-CSRF-Token"
"""Header of requests with that cookie that change something."""

SHARE_HEADER = "X-Share-Link"
"""Header with the secret of a share link."""


BROWSER_HEADER = "Tunekit-Browser"
"""Header of the dashboard's requests with its key and the address of the browser."""

DASHBOARD_KEY = "TUNEKIT_DASHBOARD_KEY"
"""Environment variable of the dashboard's process with what proves its requests to its service."""

DASHBOARD_SERVICE = "TUNEKIT_DASHBOARD_SERVICE"
"""Environment variable of the dashboard's process with the URL of the service."""

DASHBOARD_TOKEN = "TUNEKIT_DASHBOARD_TOKEN"  # noqa: S105 - the name of a variable
"""The same with a token, where the pages belong to one person's terminal."""

DASHBOARD_CERTIFICATE = "TUNEKIT_DASHBOARD_CERTIFICATE"
"""The same with the file of the service's own certificate."""

SHARE_PREFIX = "tunekit_share_"
"""Begins the names of cookies with the secret of a share link that a browser has opened."""


def share_cookie(name: str) -> str:
    """Return the cookie of a share link.

    Args:
        name: short name of the link, which stands in the address of its pages.
    """
    return SHARE_PREFIX + name
