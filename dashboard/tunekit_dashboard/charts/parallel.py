"""Draws parallel coordinates with a lane for parameters that are not active."""

from __future__ import annotations

from tunekit.plots.figure import ParallelAxis, ParallelFigure, Role
from tunekit.plots.palette import LOOKS
from tunekit_dashboard.charts.options import EChart, Option, base, finite, plain, short

NOT_ACTIVE = "not active"
_LANE = 0.14
"""Distance of the lane below the range, as a share of the range."""
_N_TICKS = 4
_INK = 60.0
"""Lines of a role that may lie over each other before they get fainter."""
_BEHIND: tuple[Role, ...] = ("other", "queued", "failed", "diverged", "stopped", "complete")
"""Roles in drawing order: what comes later lies on top."""


def draw_parallel(figure: ParallelFigure) -> EChart:
    """Return one line a trial; a parameter that is not active has its own lane at the bottom.

    ECharts would draw a line straight through a missing value, as if it were one.
    """
    scales = [_Scale(axis) for axis in figure.axes]
    roles = sorted(set(figure.roles), key=lambda r: _BEHIND.index(r) if r in _BEHIND else 99)
    series, picks = [], []
    for role in roles:
        places = [i for i, r in enumerate(figure.roles) if r == role]
        series.append(_lines(role, [[s.at(i) for s in scales] for i in places]))
        picks.append(tuple(figure.numbers[i] for i in places))
    has_lane = any(s.has_lane for s in scales)
    option = base(figure.title) | {
        "legend": {"top": 0, "data": [LOOKS[role].name for role in roles]},
        "parallel": {
            "left": 70, "right": 70, "top": 70, "bottom": 46, "axisExpandable": False,
            "parallelAxisDefault": {"nameLocation": "end", "nameGap": 14},
        },
        "parallelAxis": [s.option(i) for i, s in enumerate(scales)],
        "series": series,
    }  # fmt: skip
    note = f"The lowest place of an axis is for trials in which it is {NOT_ACTIVE}."
    return EChart(option, tuple(picks), 460, note if has_lane else "")


class _Scale:
    """Places of an axis' values, with its lane."""

    def __init__(self, axis: ParallelAxis) -> None:
        self.axis = axis.axis
        self.values = axis.values
        known = finite(axis.values)
        if self.axis.is_log:
            known = [v for v in known if v > 0]
        self.has_lane = len(known) < len(axis.values)
        self.low, self.high = (min(known), max(known)) if known else (0.0, 1.0)
        if self.axis.low is not None and self.axis.high is not None:
            self.low, self.high = self.axis.low, self.axis.high
        if self.low == self.high:
            self.low, self.high = self._around(self.low)

    @property
    def lane(self) -> float:
        """Return the place of the lane."""
        if self.axis.is_log:
            return float(self.low * (self.low / self.high) ** _LANE)
        return self.low - _LANE * (self.high - self.low)

    def at(self, i: int) -> float | None:
        """Return the place of a value on the axis."""
        value = plain(self.values[i])
        if self.axis.categories:
            return 0 if value is None else int(value) + int(self.has_lane)
        if value is None or (self.axis.is_log and value <= 0):
            return plain(self.lane)
        return min(max(value, self.low), self.high)  # what is beyond the axis ends at its end

    def option(self, dim: int) -> Option:
        """Return the axis."""
        common = {"dim": dim, "name": short(self.axis.title, 24),
                  "nameTextStyle": {"width": 110, "overflow": "truncate"}}  # fmt: skip
        if self.axis.categories:
            lane = [NOT_ACTIVE] if self.has_lane else []
            texts = [short(c, 18) for c in self.axis.categories]
            return common | {
                "type": "category",
                "data": lane + texts,
                "boundaryGap": len(lane + texts) == 1,
            }
        ticks = self._ticks()
        return common | {
            "type": "log" if self.axis.is_log else "value",
            "min": min(self.lane if self.has_lane else self.low, *ticks),
            "max": max(self.high, *ticks),
            "axisLabel": {"customValues": ticks},
            "axisTick": {"customValues": ticks},
        }

    def _ticks(self) -> list[float]:
        """Return evenly spaced, rounded places over the range of the values."""
        shares = [i / (_N_TICKS - 1) for i in range(_N_TICKS)]
        if self.axis.is_log:
            found = [self.low * (self.high / self.low) ** s for s in shares]
        else:
            found = [self.low + (self.high - self.low) * s for s in shares]
        return [float(f"{v:.3g}") for v in found]

    def _around(self, value: float) -> tuple[float, float]:
        if self.axis.is_log:
            return value / 2, value * 2
        return value - (abs(value) or 1.0) / 2, value + (abs(value) or 1.0) / 2


def _lines(role: Role, rows: list[list[float | None]]) -> Option:
    look = LOOKS[role]
    is_front = role not in ("other", "stopped", "failed", "diverged", "complete")
    return {
        "type": "parallel", "name": look.name, "data": rows, "selectedMode": "multiple",
        "lineStyle": {"color": look.color, "width": 1.4 if is_front else 1.0,
                      "opacity": min(0.75 if is_front else 0.3, max(0.08, _INK / len(rows)))},
        "itemStyle": {"color": look.color}, "color": look.color,
        "inactiveOpacity": 0.05, "progressive": 0,
        "select": {"lineStyle": {"width": 3, "opacity": 1}},
    }  # fmt: skip
