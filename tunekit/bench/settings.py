"""Measures how strongly a sampler's result depends on its settings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunekit.bench.contenders import Contender
from tunekit.bench.standings import Row


def spreads(rows: Sequence[Row], contenders: Sequence[Contender]) -> list[Row]:
    """Return one row per family and sampler, for samplers compared with several settings.

    Args:
        rows: standings, one row per family and contender.
        contenders: all contenders of the comparison.
    """
    names = {c.label: c.name for c in contenders}
    groups: dict[tuple[str, str, int], list[Row]] = {}
    for row in rows:
        key = (row["family"], names[row["settings"]], row["workers"])
        groups.setdefault(key, []).append(row)
    return [
        {"family": family, "sampler": name, "workers": workers, **_spread(group)}
        for (family, name, workers), group in groups.items()
        if len(group) > 1
    ]


def _spread(rows: Sequence[Row]) -> Row:
    found: Row = {"settings": len(rows)}
    for measure in ("auc", "final"):
        values = np.array([row[measure] for row in rows])
        found[f"{measure}_best"] = float(values.min())
        found[f"{measure}_median"] = float(np.median(values))
        found[f"{measure}_worst"] = float(values.max())
    found["best"] = min(rows, key=lambda row: float(row["auc"]))["contender"]
    return found
