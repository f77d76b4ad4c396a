"""Converts between values of a catalogue and what PostgreSQL says and takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tunekit_integrations.dbms.catalogue import UNITS, Knob
from tunekit_integrations.dbms.records import ApplyMode, InForce, Value

MODES: Mapping[str, ApplyMode] = {
    "postmaster": ApplyMode.RESTART,
    "sighup": ApplyMode.RELOAD,
    "superuser-backend": ApplyMode.RELOAD,
    "backend": ApplyMode.RELOAD,
    "superuser": ApplyMode.SESSION,
    "user": ApplyMode.SESSION,
}
"""Context of a setting -> what a change takes; a context that is not here never changes."""

SYNONYMS = {("wal_compression", "on"): "pglz", ("synchronous_commit", "true"): "on"}
"""Choices of an enumeration that mean another one."""

_UNSET = ("default", "override")
"""Sources of a value that no user gave. Where the default is a word such as -1 for "choose", what
the server chose is shown in its place, as the default of some versions, overridden in others."""

COLUMNS = (
    "name, setting, unit, vartype, context, min_val, max_val, enumvals, boot_val, source,"
    " pending_restart"
)


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A row of `pg_settings`, with the columns of `COLUMNS`."""

    name: str
    setting: str
    unit: str | None
    vartype: str
    context: str
    min_val: str | None
    max_val: str | None
    enumvals: list[str] | None
    boot_val: str | None
    source: str
    pending_restart: bool

    @property
    def is_auto(self) -> bool:
        """Return whether the server chose the value itself."""
        return self.source in _UNSET and _is_word(self.boot_val)

    def in_force(self, knob: Knob) -> InForce:
        """Return it as the contract has it, in the unit of its knob."""
        shown = self.boot_val if self.is_auto else self.setting
        is_number = self.vartype in ("integer", "real")
        return InForce(
            value=self.value(knob, shown),
            default=self.value(knob, self.boot_val),
            mode=MODES[self.context],
            lo=self._number(knob, self.min_val) if is_number else None,
            hi=self._number(knob, self.max_val) if is_number else None,
            choices=self._choices(knob),
            chosen=self.value(knob, self.setting) if self.is_auto else None,
            is_set=self.source not in _UNSET,
            step=_step(knob) or (float(self._factor(knob)) if self.vartype == "integer" else 0.0),
        )

    def value(self, knob: Knob, text: str | None) -> Value:
        """Return a value of the server in the unit of its knob."""
        if self.vartype == "bool" and knob.kind == "bool":
            return text == "on"
        if self.vartype in ("integer", "real"):
            return self._number(knob, text)
        return SYNONYMS.get((self.name, str(text)), str(text))

    def _number(self, knob: Knob, text: str | None) -> int | float:
        number = Fraction(text or "0")
        if number > 0:  # 0 and -1 are words rather than amounts
            number *= self._factor(knob)
        is_whole = number.denominator == 1 and knob.kind == "int"
        return int(number) if is_whole else float(number)

    def _factor(self, knob: Knob) -> Fraction:
        """Return how many units of the knob one unit of the server is."""
        digits = (self.unit or "").rstrip("kMGTBumsindh")
        unit = (self.unit or "")[len(digits) :]
        own = Fraction(str(UNITS[unit])) / Fraction(str(UNITS[knob.unit]))
        return Fraction(digits or 1) * (own if self.unit and knob.unit else 1)

    def _choices(self, knob: Knob) -> tuple[str, ...]:
        if self.vartype == "bool":
            return ("off", "on") if knob.kind == "enum" else ()
        return tuple(v for v in self.enumvals or () if (self.name, v) not in SYNONYMS)


def _is_word(boot_val: str | None) -> bool:
    try:
        return float(boot_val or "1") <= 0
    except ValueError:
        return False


def text_of(knob: Knob, value: Value) -> str:
    """Return a value as `ALTER SYSTEM` and configuration files take it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return value
    if value <= 0:
        return repr(value)  # "-1kB" would be rounded to 0
    step = _step(knob)
    if step:
        value = max(round(value / step), 1) * int(step)
    return f"{value!r}{knob.unit}"


def _step(knob: Knob) -> float:
    """Return the step of a knob in its unit, 0 where it has none."""
    match = re.fullmatch(r"(\d+) *(\w*)", knob.step)
    return float(match[1]) * UNITS[match[2]] / UNITS[knob.unit] if match else 0.0


def as_setting(row: tuple[Any, ...]) -> SettingRow:
    """Return a row of `COLUMNS` as a record."""
    return SettingRow(*row)
