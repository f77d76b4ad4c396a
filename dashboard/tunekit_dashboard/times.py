"""Writes times with their zone, the one of the browser."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import streamlit as st


def browser_zone() -> tzinfo:
    """Return the zone of the browser, UTC where it does not say."""
    name = st.context.timezone
    try:
        return ZoneInfo(name) if name else UTC
    except (ValueError, OSError):
        return UTC


def shown_time(at: float | None, zone: tzinfo | None = None) -> str:
    """Return a time such as `26 Nov 2026, 11:03:20 CET`; `-` for none.

    Args:
        at: seconds since 1970.
        zone: to show it in; by default the browser's.
    """
    if at is None:
        return "-"
    try:
        moment = datetime.fromtimestamp(at, zone or browser_zone())
    except (ValueError, OverflowError, OSError):
        return "-"
    return f"{moment.day} {moment:%b %Y, %H:%M:%S %Z}"


def shown_span(seconds: float | None) -> str:
    """Return a duration in its two largest units, such as `2 h 10 min`; `-` for none."""
    if seconds is None or seconds != seconds or seconds < 0:
        return "-"
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    for size, unit, part_size, part in (
        (86_400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // part_size
            return f"{whole // size:,} {unit}" + (f" {rest} {part}" if rest else "")
    return f"{whole} s"


def ago(at: float, now: float) -> str:
    """Return how long ago something was, such as `3 min ago`."""
    return f"{shown_span(max(now - at, 0.0))} ago"
