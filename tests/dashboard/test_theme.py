"""Texts on a page hold a contrast of 4.5:1 in both themes."""

from __future__ import annotations

import pytest

from tunekit_dashboard import theme
from tunekit_dashboard.launch import SETTINGS

WHITE, DARK_PAGE = "#ffffff", "#1b2026"
"""Text of a button of the theme's colour; lightest ground of a text on a dark page."""


def _luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("is_dark", [False, True])
def test_the_colour_of_the_theme_is_behind_white_text_only_where_that_can_be_read(
    is_dark: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(theme, "is_dark", lambda: is_dark)
    color = str(SETTINGS[f"theme.{'dark' if is_dark else 'light'}.primaryColor"])
    assert _contrast(color, DARK_PAGE if is_dark else WHITE) >= 4.5  # as a text of its own
    if theme.main_kind() == "primary":
        assert _contrast(WHITE, color) >= 4.5
