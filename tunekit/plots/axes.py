"""Chooses the scale and the shown range of an axis, also for results such as 1e300."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tunekit.plots.figure import Axis
from tunekit.plots.texts import label

LOG_RATIO = 100.0
"""A scale is logarithmic if the middle 90 % of its values span this factor."""
BAD_FENCE, GOOD_FENCE = 3.0, 30.0
"""Quartile ranges beyond the quartiles up to which worse and better results are shown."""
FAR_FENCE = 1000.0
"""Quartile ranges up to which a result is shown that has to be seen, such as one on a front."""
MARGIN = 0.04
LARGEST = 308.0
"""Decimal exponent of the end of an axis, below the largest number."""


@dataclass(frozen=True, slots=True)
class ResultAxis:
    """An axis of results with the number of those that lie beyond it."""

    axis: Axis
    n_beyond: int

    @property
    def note(self) -> str:
        """Return a clause on the results beyond the axis, empty without any."""
        if not self.n_beyond:
            return ""
        lie = "result lies" if self.n_beyond == 1 else "results lie"
        return f"{self.n_beyond:,} {lie} beyond the axis"


def result_axis(
    title: str,
    values: Iterable[float | None],
    direction: str,
    *,
    is_wide: bool = False,
    keep: Iterable[float | None] = (),
) -> ResultAxis:
    """Return the axis on which most results can be told apart, and the best ones are all seen.

    Args:
        title: of the axis, usually the metric.
        values: results; `None` is passed over.
        direction: in which they get better.
        is_wide: keep the worse ones as well, unless they are of another world, such as 1e300.
        keep: those of the results that are seen up to `FAR_FENCE`, whatever their side.
    """
    found = np.array([v for v in values if v is not None], dtype=np.float64)
    found = found[np.isfinite(found)]
    title = label(title)
    if found.size == 0:
        return ResultAxis(Axis(title), 0)
    is_log = _spans_orders(found)
    scaled = np.log10(found) if is_log else found
    fences = (GOOD_FENCE, GOOD_FENCE if is_wide else BAD_FENCE)
    low, high = _fences(scaled, fences if direction == "minimize" else fences[::-1])
    far_low, far_high = _fences(scaled, (FAR_FENCE, FAR_FENCE))
    kept = [math.log10(v) if is_log else v for v in keep if v is not None]
    low = min([low, *[v for v in kept if v >= far_low]])
    high = max([high, *[v for v in kept if v <= far_high]])
    inside = scaled[(scaled >= low) & (scaled <= high)]
    n_beyond = int(scaled.size - inside.size)
    if n_beyond == 0:
        return ResultAxis(Axis(title, is_log), 0)
    start, end = _widened(float(inside.min()), float(inside.max()))
    if is_log:
        start, end = 10.0 ** max(start, -LARGEST), 10.0 ** min(end, LARGEST)
    return ResultAxis(Axis(title, is_log, low=start, high=end), n_beyond)


def step_axis(steps: Sequence[float]) -> Axis:
    """Return the axis of steps of training, logarithmic over two orders of magnitude."""
    is_log = bool(steps) and steps[0] > 0 and steps[-1] / steps[0] >= LOG_RATIO
    return Axis("step", is_log)


def _spans_orders(values: np.ndarray) -> bool:
    if values.min() <= 0:
        return False
    low, high = np.percentile(np.log10(values), [5, 95])
    return bool(high - low >= math.log10(LOG_RATIO))


def _fences(values: np.ndarray, fences: tuple[float, float]) -> tuple[float, float]:
    """Return the range of the values to show: quartile ranges below and above the quartiles."""
    half = values / 2  # differences of halves cannot overflow
    first, middle, third = np.percentile(half, [25, 50, 75])
    spread = third - first
    if spread == 0.0:  # most are equal: show the others unless they are of another world
        spread = 1e5 * max(abs(middle), 1e-3)
    with np.errstate(over="ignore"):  # an infinite end is cut off below
        ends = first - fences[0] * spread, third + fences[1] * spread
    low, high = (float(np.clip(v, -8e307, 8e307)) * 2 for v in ends)
    return low, high


def _widened(low: float, high: float) -> tuple[float, float]:
    room = MARGIN * 2 * (high / 2 - low / 2) or 0.05 * abs(low) or 1.0
    return max(low - room, -(10.0**LARGEST)), min(high + room, 10.0**LARGEST)
