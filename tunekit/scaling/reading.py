"""Reads the runs of a law from tables: one number a role and run, and what was left out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tunekit.checks import shown
from tunekit.errors import InvalidArgument
from tunekit.records import TrialState
from tunekit.scaling.roles import NEEDED, OPTIONAL, Roles, Source
from tunekit.scaling.tables import Row, RunTable
from tunekit_surrogates.scaling import Caution, Runs
from tunekit_surrogates.scaling.runs import Counting


@dataclass(frozen=True, slots=True)
class Reading:
    """The runs of all tables, and the roles as they were found in the first.

    Attributes:
        target: largest N and D of the study's scale axes, where it has both.
    """

    runs: Runs
    roles: Roles
    target: tuple[float, float] | None


@dataclass(slots=True)
class _Arrays:
    """The values of the roles by run, and how many rows were left out for what reason."""

    values: dict[str, list[Any]] = field(default_factory=dict)
    n_unfinished: int = 0
    lacking: Counter[str] = field(default_factory=Counter)

    def add(self, table: RunTable, roles: Roles) -> None:
        """Add the usable rows of a table."""
        sources = {r: s for r in (*NEEDED, *OPTIONAL) if (s := getattr(roles, r)) is not None}
        for i, row in enumerate(table.rows):
            state = row.get("state")
            if state in _STATES and state not in _ENDED:
                self.n_unfinished += 1
                continue
            place = f'row {i + 1} of "{table.name}"'
            values = {r: _value(r, s, row, place) for r, s in sources.items()}
            if state == TrialState.DIVERGED:
                values["loss"] = math.nan
            missing = [sources[r] for r, v in values.items() if v is None]
            if missing:
                self.lacking.update(m if isinstance(m, str) else "a function" for m in missing)
                continue
            for role, value in values.items():
                self.values.setdefault(role, []).append(value)

    def why(self) -> str:
        """Return why rows were left out, as a part of a sentence."""
        reasons = [f"{n} of them have no {name}" for name, n in self.lacking.items()]
        if self.n_unfinished:
            reasons.append(f"{self.n_unfinished} did not run to their end")
        return f": {', '.join(reasons)}" if reasons else ""

    def cautions(self) -> list[Caution]:
        """Return what to know about the rows that were left out."""
        found = []
        if self.n_unfinished:
            found.append(
                Caution(
                    "unfinished_runs",
                    f"{self.n_unfinished} runs were stopped, failed or have not ended; they are "
                    "left out, because their losses are not those of whole runs.",
                )
            )
        if self.lacking:
            listed = ", ".join(f"{name} in {n}" for name, n in self.lacking.items())
            found.append(
                Caution(
                    "missing_values",
                    f"rows without a value of a role are left out: {listed}.",
                )
            )
        return found


_STATES = frozenset(map(str, TrialState))
_ENDED = (str(TrialState.COMPLETE), str(TrialState.DIVERGED))


def _is_missing(value: Any) -> bool:
    """Return whether a cell of a table is empty; in a DataFrame that is NaN."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _value(role: str, source: Source, row: Row, place: str) -> Any:
    """Return the value of a role in a row, `None` if it has none.

    Raises:
        InvalidArgument: it is not a number.
    """
    if callable(source):
        try:
            value: Any = source(row)
        except (KeyError, TypeError):  # a row that lacks what the function needs
            value = None
    else:
        value = row.get(source) if isinstance(source, str) else source
    if _is_missing(value):
        # A loss of NaN is that of a run that diverged.
        return value if role == "loss" and isinstance(value, float) else None
    if role == "factor":
        return str(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InvalidArgument(
            f"scaling: {role}={shown(value)} in {place}, expected a number; name another column "
            f"with {role}=... or correct the row."
        ) from None
    return None if math.isnan(number) and role != "loss" else number


def read(tables: Sequence[RunTable], roles: Roles, *, counting: Counting) -> Reading:
    """Return the runs of all tables.

    Runs that ended as diverged, or whose loss is NaN or infinite, count as diverged. Trials that
    were stopped, failed or still run are left out, and so are rows without a value of a role.

    Raises:
        InvalidArgument: a column is missing, holds no numbers or losses to be maximised, or the
            runs contradict each other.
    """
    empty = [table.name for table in tables if not table.rows]
    if empty or not tables:
        what = f'"{empty[0]}" has no runs' if empty else "there are no runs"
        raise InvalidArgument(f"scaling: {what}; give at least two cells of finished runs.")
    found = _Arrays()
    resolved = [_resolved(table, roles) for table in tables]
    decay_cautions: list[Caution] = []
    if roles.wd is None:
        decays = _decays_found(tables, resolved)
        if None in decays or 0.0 in decays:  # it was not asked for: leave it out, not the runs
            resolved = [replace(own, wd=None) for own in resolved]
        decay_cautions = _zero_decay(decays)
    for table, own in zip(tables, resolved, strict=True):
        found.add(table, own)
    if not found.values.get("lr"):
        raise InvalidArgument(
            f"scaling: no run can be used{found.why()}; expected finished runs with a value for "
            f"each of {resolved[0].shown() if resolved else 'the roles'}."
        )
    try:
        runs = Runs.checked(
            found.values["lr"],
            found.values["bs"],
            n=found.values["n"],
            d=found.values["d"],
            loss=found.values["loss"],
            wd=_varied(found.values.get("wd")),
            factor=found.values.get("factor"),
            sequence_length=roles.sequence_length,
            counting=counting,
        )
    except ValueError as error:
        raise InvalidArgument(f"scaling: {error}") from None
    runs = replace(runs, cautions=(*runs.cautions, *found.cautions(), *decay_cautions))
    return Reading(runs, resolved[0], _target(tables))


def _resolved(table: RunTable, roles: Roles) -> Roles:
    """Return the roles with this table's columns, of a study with its objective as the loss."""
    if roles.loss is None and len(table.objectives) == 1:
        roles = replace(roles, loss=table.objectives[0].metric)
    found = roles.found_in(table.columns, table.scales, f'"{table.name}"')
    for objective in table.objectives:
        is_loss = found.loss in (objective.metric, f"metrics.{objective.metric}")
        if is_loss and objective.direction == "maximize":
            raise InvalidArgument(
                f'scaling: "{objective.metric}" of "{table.name}" is maximised, but a law needs a '
                "loss, of which less is better; name one with loss=... ."
            )
    return found


def _decays_found(tables: Sequence[RunTable], roles: Sequence[Roles]) -> set[float | None]:
    """Return the weight decays of all rows, with `None` where a row has none."""
    return {
        None if own.wd is None else _value("wd", own.wd, row, f'row {i + 1} of "{table.name}"')
        for table, own in zip(tables, roles, strict=True)
        for i, row in enumerate(table.rows)
    }


def _zero_decay(decays: set[float | None]) -> list[Caution]:
    """Return a caution where runs without weight decay hide the law of the others."""
    if None in decays or 0.0 not in decays or len(decays) == 1:
        return []
    return [
        Caution(
            "missing_values",
            "some runs have a weight decay of 0, which has no time scale bs / (lr wd D); weight "
            "decay is left out of the law: drop those runs to have one.",
        )
    ]


def _varied(decays: list[float] | None) -> list[float] | None:
    """Return the weight decays, `None` where there is one value only."""
    return decays if decays and len(set(decays)) > 1 else None


def _target(tables: Sequence[RunTable]) -> tuple[float, float] | None:
    """Return the largest N and D that the studies' scale axes allow."""
    found = [(t.target["N"], t.target["D"]) for t in tables if {"N", "D"} <= t.target.keys()]
    return max(found, key=lambda cell: cell[0] * cell[1]) if found else None
