"""Writes a law and its runs as plain JSON, and reads them back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from tunekit.scaling.roles import Roles
from tunekit_surrogates.scaling import Caution, Prediction, Runs

FORMAT = 1
"""Version of the JSON form; increases when a key is renamed or removed."""

COLUMNS = ("lr", "bs", "n", "d", "loss", "wd", "factor")


def runs_to_dict(runs: Runs) -> dict[str, Any]:
    """Return the runs by column; the loss of a run that diverged is `None`."""
    out: dict[str, Any] = {"counting": runs.counting}
    for name in COLUMNS:
        values = getattr(runs, name)
        if values is not None:
            out[name] = [_cell(v) for v in values.tolist()]
    out["cautions"] = [asdict(caution) for caution in runs.cautions]
    return out


def runs_from_dict(values: Mapping[str, Any]) -> Runs:
    """Return the runs that `runs_to_dict` wrote."""
    arrays = {
        name: np.array([math.inf if v is None else v for v in values[name]], dtype=np.float64)
        for name in COLUMNS
        if name != "factor" and name in values
    }
    labels = values.get("factor")
    return Runs(
        **arrays,
        factor=None if labels is None else np.asarray(labels, dtype=np.str_),
        counting=values["counting"],
        cautions=tuple(Caution(**caution) for caution in values["cautions"]),
    )


def roles_from_dict(values: Mapping[str, Any]) -> Roles:
    """Return the roles that `Roles.to_dict` wrote."""
    return Roles(**values)


def prediction_to_dict(at: Prediction) -> dict[str, Any]:
    """Return a prediction as plain JSON, with the roles named N and D."""
    found = asdict(at)
    cautions = found.pop("cautions")
    return {"N": found.pop("n"), "D": found.pop("d"), **found, "warnings": list(cautions)}


def _cell(value: Any) -> Any:
    return value if isinstance(value, str) or math.isfinite(value) else None
