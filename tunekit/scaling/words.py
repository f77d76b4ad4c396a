"""Says what a law contains, as text for people."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tunekit_surrogates.scaling.design import LABEL
from tunekit_surrogates.scaling.regression import PowerLaw

if TYPE_CHECKING:
    from tunekit.scaling.law import Law

NAMES = {"n": "N", "d": "D", "ratio": "(D/N)"}


def law_text(law: Law) -> str:
    """Return the laws with their exponents, what they rest on, and the warnings."""
    fitted = law.fitted
    lines = [
        f"{len(law.runs)} runs in {len(law.optima)} cells with an optimum, N from "
        f"{fitted.n_range[0]:.3g} to {fitted.n_range[1]:.3g}, D from {fitted.d_range[0]:.3g} to "
        f"{fitted.d_range[1]:.3g}",
        f"lr  = {power_text(fitted.lr)}",
        f"bs  = {power_text(fitted.bs)} tokens",
    ]
    if fitted.tau is not None:
        lines.append(f"tau = bs / (lr wd D) = {power_text(fitted.tau)}")
    if fitted.loss is not None:
        terms = zip(fitted.loss.axes, fitted.loss.log_a, fitted.loss.exponents, strict=True)
        loss = "".join(f" + {math.exp(a):.4g} / {axis.upper()}^{k:.3f}" for axis, a, k in terms)
        lines.append(f"L   = {fitted.loss.e:.4g}{loss}")
    return "\n".join([*lines, *(f"warning ({c.name}): {c.sentence}" for c in law.warnings)])


def power_text(law: PowerLaw) -> str:
    """Return a power law with the deviation of each exponent, by label where they differ."""
    pairs = law.coefficients
    slopes = [name for name in pairs if not name.startswith(LABEL)]
    labels = sorted({own for name in slopes if (own := name.partition("|")[2])})
    return "; ".join(f"{own}: {_one(law, own)}" for own in labels) if labels else _one(law, "")


def _one(law: PowerLaw, label: str) -> str:
    """Return the law of one label, or of all with the ratios of their intercepts."""
    text = f"{math.exp(law.log_mean(1.0, 1.0, label)):.4g}"
    for name, (mean, sd) in law.coefficients.items():
        axis, _, own = name.partition("|")
        if name.startswith(LABEL):
            text += "" if label else f" [x {math.exp(mean):.3g} for {name[len(LABEL) :]}]"
        elif axis in NAMES and own in ("", label):
            text += f" {NAMES[axis]}^({mean:.3f} +- {sd:.3f})"
    return text
