"""Says what a prediction contains, as text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunekit_surrogates.scaling.law import Interval, Prediction


def prediction_text(at: Prediction) -> str:
    """Return a prediction in a few lines, with its warnings."""
    far = at.extrapolation
    lines = [
        f"N={at.n:.4g}, D={at.d:.4g}"
        + ("" if far is None else f", {far:.3g} x the largest compute of the runs"),
        _line("lr", at.lr),
        _line("bs", at.bs, " tokens"),
    ]
    if at.wd is not None:
        lines.append(_line("wd", at.wd))
    if at.loss is not None:
        lines.append(_line("loss", at.loss))
    lines.append(
        f"loss excess at half the lr {at.excess_low:.2%}, at twice the lr {at.excess_high:.2%}"
    )
    return "\n".join([*lines, *(f"warning ({c.name}): {c.sentence}" for c in at.cautions)])


def _line(name: str, value: Interval, unit: str = "") -> str:
    return (
        f"{name:4} {value.median:.4g}{unit}, 50 % [{value.low50:.4g}, {value.high50:.4g}], "
        f"90 % [{value.low90:.4g}, {value.high90:.4g}]"
    )
