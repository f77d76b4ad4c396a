"""Names the cookies and headers that pages in a browser and the service agree on."""

from __future__ import annotations

SESSION_COOKIE = "tunekit_session"
"""Cookie of a login; no script can read it."""

CSRF_HEADER = "X-CSRF-Token"
"""Header of requests with that cookie that change something."""

SHARE_HEADER = "X-Share-Link"
"""Header with the secret of a share link."""


def share_cookie(name: str) -> str:
    """Return the cookie with the secret of a share link that a browser has opened."""
    return f"tunekit_share_{name}"
