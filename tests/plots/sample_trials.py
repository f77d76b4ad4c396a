"""Trials for tests of figures, over a space with branches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tunekit.history import History
from tunekit.records import ObjectiveSpec, Report, TrialRecord, TrialState
from tunekit.spaces import Categorical, Float, Space

SPACE = Space(
    {
        "model": Categorical(
            {"rbf": Space({"gamma": Float(1e-4, 1.0, log=True)}), "linear": Space({})}
        ),
        "c": Float(0.1, 10.0),
    }
)
LOSS = ObjectiveSpec("loss")


def point(n: int, c: float, gamma: float = 0.01) -> Mapping[str, Any]:
    """Return the params of trial n: every third one is linear."""
    if n % 3 == 0:
        return SPACE.complete({"model": "linear", "c": c})
    return SPACE.complete({"model": "rbf", "model.rbf.gamma": gamma, "c": c})


def trials(n: int, seed: int = 5) -> list[TrialRecord]:
    """Return complete trials whose loss has its minimum, 1, at c = 3 on the branch rbf."""
    random = np.random.default_rng(seed)
    made = []
    for i in range(n):
        c = float(random.uniform(0.1, 10.0))
        params = point(i, c, float(10 ** random.uniform(-4, 0)))
        loss = (c - 3.0) ** 2 + (0.0 if i % 3 else 5.0) + 1.0
        times = {"created": 1.0, "started": 1000.0 + 10 * i, "finished": 1008.0 + 10 * i}
        made.append(
            TrialRecord(i, TrialState.COMPLETE, i + 1, params=params, metrics={"loss": loss},
                        worker=f"host/{i % 2}", **times)  # type: ignore[arg-type]
        )  # fmt: skip
    return made


def history(
    of: Sequence[TrialRecord], objectives: Sequence[ObjectiveSpec] = (LOSS,), **options: Any
) -> History:
    """Return a history with some trials."""
    found = History(objectives, **options)
    found.update(of, len(of))
    return found


def curve(loss: float, n: int = 40) -> list[Report]:
    """Return reports that fall towards a loss."""
    return [Report(s, {"loss": loss + 8.0 / s}) for s in range(1, n + 1)]
