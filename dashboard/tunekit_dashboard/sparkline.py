"""Draws a small line of the best results so far, for a row of a list."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

WIDTH, HEIGHT = 120, 28


def sparkline(values: Sequence[float], alt: str) -> None:
    """Draw a line through numbers in their order; nothing for fewer than two.

    Args:
        values: finite or not; those that are not are left out.
        alt: what it shows.
    """
    finite = [v for v in values if abs(v) < float("inf")]
    if len(finite) < 2:
        st.caption("no trend yet")
        return
    low, high = min(finite), max(finite)
    span = (high - low) or 1.0
    step = (WIDTH - 4) / (len(finite) - 1)
    points = " ".join(
        f"{2 + i * step:.1f},{HEIGHT - 3 - (v / span - low / span) * (HEIGHT - 6):.1f}"
        for i, v in enumerate(finite)
    )
    st.image(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}"><polyline points="{points}" fill="none" '
        'stroke="#3b82c4" stroke-width="2"/></svg>',
        width=WIDTH,
        alt=alt,
    )
