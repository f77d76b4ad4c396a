"""What a wind tunnel has found so far, rung by rung."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tunekit.samplers.coordinate.certificate import Certificate
from tunekit.scaling.drift import Drift
from tunekit.scaling.rungs import Rung
from tunekit.spaces import Scalar
from tunekit.studies.study import Study


@dataclass(frozen=True, slots=True)
class RungRow:
    """One rung.

    Attributes:
        index: from 0.
        sizes: size -> value.
        state: "not begun", "running", or "done" once its certificate holds or its trials are used.
        n_trials: how many it has.
        is_certified: whether no change of one parameter is better than its best point.
        value: objective of its best point, NaN without one.
        params: its best point without the sizes.
    """

    index: int
    sizes: Mapping[str, float]
    state: Literal["not begun", "running", "done"]
    n_trials: int
    is_certified: bool
    value: float
    params: Mapping[str, Scalar]

    @classmethod
    def of(
        cls, rung: Rung, found: Certificate | None, study: Study | None, budget: int | None
    ) -> RungRow:
        """Return the row of a rung; before it begins it has no study and no certificate."""
        if study is None or found is None:
            return cls(rung.index, rung.sizes, "not begun", 0, False, math.nan, {})
        history = study.refresh()
        is_used = budget is not None and history.n_finished >= budget
        params = {p: v for p, v in dict(found.params or {}).items() if p not in rung.sizes}
        return cls(
            rung.index,
            rung.sizes,
            "done" if found or is_used else "running",
            len(history),
            bool(found),
            found.value,
            params,
        )


@dataclass(frozen=True, slots=True)
class TunnelReport:
    """All rungs of a wind tunnel, and the drift between them."""

    name: str
    rungs: tuple[RungRow, ...]
    drift: tuple[Drift, ...]

    def __str__(self) -> str:
        lines = [f"wind tunnel {self.name}"]
        for r in self.rungs:
            sizes = " ".join(f"{n}={v:g}" for n, v in r.sizes.items())
            certified = ", certified" if r.is_certified else ""
            value = "" if math.isnan(r.value) else f", best {r.value:.6g}{certified}"
            lines.append(f"rung {r.index} ({sizes}): {r.state}, {r.n_trials} trials{value}")
            lines += [f"  {d}" for d in self.drift if d.rung == r.index]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        rungs = [asdict(r) for r in self.rungs]
        for row in rungs:
            row["value"] = None if math.isnan(row["value"]) else row["value"]
        return {
            "name": self.name,
            "rungs": rungs,
            "drift": [d.to_dict() for d in self.drift],
        }
