"""Gives each role of a mark one colour and one shape, the same in every renderer.

The colours hold a contrast of 3:1 or more against white and against the near-black of a dark page,
and differ for readers who do not tell red from green; the shapes say the same without colour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from tunekit.plots.figure import Role

Shape: TypeAlias = Literal[
    "circle", "square", "diamond", "triangle", "triangle-down", "cross", "star"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """How the marks of a role look.

    Attributes:
        name: what a legend says.
        color: "#rrggbb".
    """

    name: str
    color: str
    shape: Shape


LOOKS: Mapping[Role, Look] = MappingProxyType(
    {
        "complete": Look("complete", "#2878c8", "circle"),
        "running": Look("running", "#c07a00", "triangle"),
        "queued": Look("queued", "#8c8c8c", "square"),
        "stopped": Look("stopped early", "#9a6dd7", "diamond"),
        "failed": Look("failed", "#d64545", "cross"),
        "diverged": Look("diverged", "#d0508f", "triangle-down"),
        "best": Look("best", "#1a9e6a", "star"),
        "selected": Look("selected", "#c2571a", "square"),
        "model": Look("model", "#1b93a5", "circle"),
        "reference": Look("reference", "#7d838a", "square"),
        "other": Look("other", "#7d838a", "circle"),
    }
)

SCALE: tuple[str, ...] = ("#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39")
"""Colours from the worst to the best value, evenly spaced (viridis without its ends)."""

NO_VALUE = "#8c8c8c"
"""Where there is no value to colour by."""


def blend(place: float) -> str:
    """Return the colour at a place of the scale, from 0 (worst) to 1 (best)."""
    at = min(max(place, 0.0), 1.0) * (len(SCALE) - 1)
    i = min(int(at), len(SCALE) - 2)
    low, high = (_channels(color) for color in SCALE[i : i + 2])
    mixed = [round(a + (b - a) * (at - i)) for a, b in zip(low, high, strict=True)]
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def ink_on(color: str) -> str:
    """Return black or white, whichever is read better upon a colour."""
    linear = [(c / 255) ** 2.2 for c in _channels(color)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    # Contrast is (lighter + 0.05) / (darker + 0.05): at this luminance, both inks give the same.
    return "#000000" if luminance > 0.179 else "#ffffff"


def _channels(color: str) -> tuple[int, ...]:
    return tuple(int(color[i : i + 2], 16) for i in (1, 3, 5))
