"""What all chart options share: the drawn chart, numbers and texts that JSON can hold.

Texts of users reach ECharts as names, categories and labels alone, which it draws as text; no
option here has a `formatter` of a tooltip, which would be HTML.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tunekit.plots.palette import Look, Shape

Option: TypeAlias = dict[str, Any]
"""An option of ECharts."""

MAX_TEXT = 60
"""Characters of a name in a chart; the table beside it shows it whole."""

_DIGITS = 7
_CROSS = "path://M2,0L5,3L8,0L10,2L7,5L10,8L8,10L5,7L2,10L0,8L3,5L0,2Z"
_STAR = "path://M5,0L6.2,3.5L10,3.6L7,5.9L8.1,9.5L5,7.4L1.9,9.5L3,5.9L0,3.6L3.8,3.5Z"
_DOWN = "path://M0,0L10,0L5,9Z"
_SYMBOLS: Mapping[Shape, str] = {
    "circle": "circle", "square": "rect", "diamond": "diamond", "triangle": "triangle",
    "triangle-down": _DOWN, "cross": _CROSS, "star": _STAR,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class EChart:
    """A chart as ECharts takes it.

    Attributes:
        option: plain JSON.
        picks: by the place of a series, what each of its data stands for: the number of a trial
            or the id of a node, `None` for what cannot be picked.
        height: of the chart, in pixels.
        note: how to read it, where that is not plain.
    """

    option: Option
    picks: tuple[tuple[int | None, ...], ...]
    height: int
    note: str = ""

    @property
    def can_pick(self) -> bool:
        """Return whether a click on some mark means something."""
        return any(place is not None for series in self.picks for place in series)

    def picked(self, selection: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
        """Return what a reader has picked.

        Args:
            selection: `selected` of the chart's state; places that the chart does not have, such
                as those of an earlier form of it, are passed over.
        """
        found: dict[int, None] = {}
        for group in selection:
            series = group.get("series_index")
            if not isinstance(series, int) or not 0 <= series < len(self.picks):
                continue
            for place in group.get("data_indices", ()):
                if isinstance(place, int) and 0 <= place < len(self.picks[series]):
                    pick = self.picks[series][place]
                    if pick is not None:
                        found[pick] = None
        return tuple(found)


def plain(value: float | None) -> float | None:
    """Return a number with seven digits, `None` for one that JSON cannot hold."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{_DIGITS}g}")


def finite(values: Iterable[float | None]) -> list[float]:
    """Return the finite numbers among values."""
    return [v for v in values if v is not None and math.isfinite(v)]


def short(text: str, most: int = MAX_TEXT) -> str:
    """Return a text on one line, cut to a length."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def symbol(look: Look) -> str:
    """Return the symbol of a look."""
    return _SYMBOLS[look.shape]


def base(title: str) -> Option:
    """Return what every chart has: no title of its own (the page has it), and no animation."""
    return {
        "animation": False,
        "aria": {"enabled": True, "label": {"enabled": True}},
        "tooltip": {"confine": True, "trigger": "item"},
        "backgroundColor": "transparent",
        "title": {"show": False, "text": short(title)},
    }
