"""Identifies the user behind a page: the browser's login, or the terminal's.

The service sets a cookie that scripts cannot read; the browser sends it with the page, and the
page hands it on with every request. The dashboard itself stores no login and has no rights.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import streamlit as st

from tunekit.storages.http.browser import (
    BROWSER_HEADER,
    DASHBOARD_KEY,
    DASHBOARD_TOKEN,
    SESSION_COOKIE,
    SHARE_HEADER,
    share_cookie,
)


@dataclass(frozen=True, slots=True)
class Identity:
    """The user on whose behalf a page sends requests.

    Attributes:
        headers: of every request.
        digest: tells identities apart without showing them.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    digest: str = ""


def identity_of(cookies: Mapping[str, str], *, share: str = "", address: str = "") -> Identity:
    """Return the identity in the cookies of a page.

    Args:
        cookies: of the browser.
        share: short name of the share link to use instead of a login.
        address: of the browser, which the service believes its own pages.
    """
    if share:
        headers = {SHARE_HEADER: cookies.get(share_cookie(share), "")}
    elif token := os.environ.get(DASHBOARD_TOKEN):
        headers = {"Authorization": f"Bearer {token}"}
    else:
        cookie = cookies.get(SESSION_COOKIE, "")
        headers = {"Cookie": f"{SESSION_COOKIE}={cookie}"} if _is_plain(cookie) else {}
    known = hashlib.sha256(repr(sorted(headers.items())).encode()).hexdigest()
    if address and (key := os.environ.get(DASHBOARD_KEY)):
        headers[BROWSER_HEADER] = f"{key} {address}"
    return Identity({k: v for k, v in headers.items() if _is_plain(v)}, known)


def browser_identity(share: str = "") -> Identity:
    """Return the identity of the browser whose page runs."""
    context = st.context
    address = str(context.headers.get("X-Forwarded-For") or "").partition(",")[0].strip()
    return identity_of(context.cookies, share=share, address=address)


def _is_plain(text: str) -> bool:
    """Return whether a text can stand in a header, where a line break would begin another."""
    return bool(text) and len(text) <= 500 and text.isascii() and text.isprintable()
