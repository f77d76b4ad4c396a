"""The colours of marks can be told from the page and from each other."""

from __future__ import annotations

from typing import get_args

import pytest

from tunekit.plots.figure import Role
from tunekit.plots.palette import LOOKS, NO_VALUE, SCALE, blend, ink_on


def _luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("background", ["#ffffff", "#0e1117"])
def test_marks_of_every_role_hold_three_to_one_against_the_page(background: str) -> None:
    weak = {r: c for r, k in LOOKS.items() if (c := _contrast(k.color, background)) < 3.0}
    assert weak == {}


@pytest.mark.parametrize("color", [*SCALE, NO_VALUE, "#ffffff", "#000000"])
def test_text_upon_any_colour_holds_four_and_a_half_to_one(color: str) -> None:
    assert _contrast(ink_on(color), color) >= 4.5


def test_every_role_has_a_look() -> None:
    assert set(LOOKS) == set(get_args(Role))


def test_roles_of_trials_differ_in_colour_and_in_shape() -> None:
    trials = [LOOKS[r] for r in ("complete", "running", "queued", "stopped", "failed", "diverged")]
    assert len({k.color for k in trials}) == len({k.shape for k in trials}) == len(trials)


def test_the_scale_runs_from_its_first_to_its_last_colour() -> None:
    assert (blend(-1.0), blend(0.0), blend(0.4)) == (SCALE[0], SCALE[0], SCALE[2])
    assert (blend(1.0), blend(7.0)) == (SCALE[-1], SCALE[-1])
    assert blend(0.1) == "#3e4786"  # half-way between the first two
