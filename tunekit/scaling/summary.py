"""Summarises a law as plain JSON for programs: what was found, and on what it rests."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tunekit.scaling.words import power_text
from tunekit_surrogates.scaling import CellOptimum, LossLaw
from tunekit_surrogates.scaling.regression import PowerLaw

if TYPE_CHECKING:
    from tunekit.scaling.law import Law


def summary_of(law: Law) -> dict[str, Any]:
    """Return the exponents with their deviations, the optimum of each cell and the warnings."""
    fitted = law.fitted
    return {
        "runs": len(law.runs),
        "diverged": int(law.runs.diverged.sum()),
        "N": list(fitted.n_range),
        "D": list(fitted.d_range),
        "counting": fitted.counting,
        "roles": law.roles.to_dict(),
        "method": fitted.method,
        "factors": list(fitted.factors),
        "lr": _power(fitted.lr),
        "bs": _power(fitted.bs),
        "tau": None if fitted.tau is None else _power(fitted.tau),
        "loss": None if fitted.loss is None else _loss(fitted.loss),
        "cells": [_cell(optimum) for optimum in law.optima],
        "warnings": [asdict(caution) for caution in law.warnings],
    }


def _power(law: PowerLaw) -> dict[str, Any]:
    found = {name: {"mean": mean, "sd": sd} for name, (mean, sd) in law.coefficients.items()}
    found.pop("1")
    return {"law": power_text(law), "exponents": found, "scatter": law.scatter}


def _loss(law: LossLaw) -> dict[str, Any]:
    terms = zip(law.axes, law.log_a.tolist(), law.exponents.tolist(), strict=True)
    return {
        "irreducible": law.e,
        "terms": [
            {"axis": axis.upper(), "coefficient": math.exp(a), "exponent": k}
            for axis, a, k in terms
        ],
        "noise": law.noise,
    }


def _cell(optimum: CellOptimum) -> dict[str, Any]:
    found = asdict(optimum)
    return {"N": found.pop("n"), "D": found.pop("d"), **found, "edges": list(optimum.edges)}
