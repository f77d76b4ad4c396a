"""The columns of exported tables, found by one reading of the trials."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tunekit.records import TrialRecord, TrialState

# `reports` and `step` are keys of the JSON form, which is made of the same rows.
_FIXED = frozenset(
    "number state sampler reason end_reason duration_s created started finished".split()
) | {"reports", "step", "branch_trial", "branch_step"}
_GROUPS = ("params.", "attrs.", "metrics.")


@dataclass
class ExportColumns:
    """The columns that trials need: the same for all rows, whatever a trial lacks.

    Attributes:
        metrics: names, in order.
        paths: of params, in order of appearance.
        attrs: names of user attributes, in order.
        kinds: column -> types of its values.
    """

    metrics: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    attrs: list[str] = field(default_factory=list)
    kinds: dict[str, set[type]] = field(default_factory=dict)

    @classmethod
    def of(cls, trials: Iterable[TrialRecord]) -> ExportColumns:
        """Return the columns of all trials; keeps none of them."""
        metrics: set[str] = set()
        attrs: set[str] = set()
        paths: dict[str, None] = {}
        kinds: dict[str, set[type]] = {}
        for t in trials:
            metrics.update(t.metrics)
            paths.update(dict.fromkeys(t.params or {}))
            attrs.update(t.user_attrs)
            own = cls(list(t.metrics), list(t.params or {}), list(t.user_attrs))
            for key, value in own.row(t).items():
                if value is not None:
                    kinds.setdefault(key, set()).add(kind_of(value))
        return cls(sorted(metrics), list(paths), sorted(attrs), kinds)

    @property
    def names(self) -> list[str]:
        """Return the names of the columns, in order."""
        return list(self.row(_NOTHING))

    def row(self, t: TrialRecord) -> dict[str, Any]:
        """Return the row of a trial, `None` for missing values."""
        return {
            "number": t.number,
            "state": str(t.state),
            **{metric_key(name): t.metrics.get(name) for name in self.metrics},
            **{f"params.{p}": None if t.params is None else t.params.get(p) for p in self.paths},
            **{f"attrs.{name}": t.user_attrs.get(name) for name in self.attrs},
            "sampler": t.sampler,
            "reason": t.reason,
            "end_reason": t.end_reason,
            "duration_s": t.duration_s,
            "created": t.created,
            "started": t.started,
            "finished": t.finished,
            "branch_trial": None if t.branch is None else t.branch.number,
            "branch_step": None if t.branch is None else t.branch.step,
        }


class LongInt:
    """Stands for an int that a column of floats cannot hold."""


def metric_key(name: str) -> str:
    """Return the key of a metric, such that no metric can take the place of another column."""
    return f"metrics.{name}" if name in _FIXED or name.startswith(_GROUPS) else name


def kind_of(value: object) -> type:
    """Return the type of a cell; `object` for an int or a text that no plain column can hold.

    An int that no float equals has the type `LongInt`.
    """
    if isinstance(value, int) and abs(value) > 2**53:
        return LongInt if -(2**63) <= value < 2**63 else object
    if isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
        return object
    return type(value)


_NOTHING = TrialRecord(0, TrialState.WAITING)
