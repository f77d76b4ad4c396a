"""Reads system variables by the server's own word: value, bounds, choices, mode of a change.

MariaDB tells all in `information_schema.SYSTEM_VARIABLES`; MySQL tells bounds and origin in
`performance_schema.variables_info`, and neither choices nor what can be set while it runs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tunekit_integrations.dbms.capped import capped
from tunekit_integrations.dbms.catalogue import UNITS, Catalogue, Knob
from tunekit_integrations.dbms.mariadb.connection import AutocommitConnection
from tunekit_integrations.dbms.records import ApplyMode, InForce, Value

SWITCH = "optimizer_switch"
POOL, POOL_CAP = "innodb_buffer_pool_size", "innodb_buffer_pool_size_max"

_OF_MEMORY = ("kB", "MB", "GB", "TB")
_UNTOUCHED = ("COMPILE-TIME", "AUTO", "COMPILED")
_NUMBERS = ("INT", "BIGINT", "DOUBLE")
_TRUE = ("ON", "1", "TRUE", "YES")

_OF_MARIADB = """
SELECT VARIABLE_NAME, GLOBAL_VALUE, GLOBAL_VALUE_ORIGIN, DEFAULT_VALUE, VARIABLE_SCOPE,
       VARIABLE_TYPE, NUMERIC_MIN_VALUE, NUMERIC_MAX_VALUE, NUMERIC_BLOCK_SIZE, ENUM_VALUE_LIST,
       READ_ONLY
FROM information_schema.SYSTEM_VARIABLES WHERE GLOBAL_VALUE IS NOT NULL
"""
_OF_MYSQL = """
SELECT v.VARIABLE_NAME, v.VARIABLE_VALUE, i.VARIABLE_SOURCE, NULL, NULL, NULL, i.MIN_VALUE,
       i.MAX_VALUE, NULL, NULL, NULL
FROM performance_schema.global_variables v
JOIN performance_schema.variables_info i ON i.VARIABLE_NAME = v.VARIABLE_NAME
"""


@dataclass(frozen=True, slots=True)
class Variable:
    """A global system variable.

    Attributes:
        name: in lower case.
        text: its value.
        is_set: whether a file, the command line or a statement set it.
        default: text of the compiled default, `None` where the server does not say.
        is_number: whether a statement gives its value without quotes.
        lo, hi: bounds of a number, in its own unit.
        block: to whose multiples the server cuts a number, 0 where it does not say.
        choices: of an enumeration, () where the server does not say.
        mode: what a change takes, `None` where the server does not say.
    """

    name: str
    text: str
    is_set: bool
    default: str | None
    is_number: bool
    lo: float | None
    hi: float | None
    block: float
    choices: tuple[str, ...]
    mode: ApplyMode | None


def read_variables(connection: AutocommitConnection, *, is_mysql: bool) -> dict[str, Variable]:
    """Return name -> variable; each flag of `optimizer_switch` is one of its own."""
    found = {}
    for row in connection.rows(_OF_MYSQL if is_mysql else _OF_MARIADB):
        variable = _variable(*row)
        found[variable.name] = variable
    for flag in _flags(found.get(SWITCH)):
        found[flag.name] = flag
    return found


def _variable(
    name: str,
    text: str | None,
    origin: str,
    default: str | None,
    scope: str | None,
    kind: str | None,
    lo: str | None,
    hi: str | None,
    block: str | None,
    choices: str | None,
    read_only: str | None,
) -> Variable:
    value = text or ""
    bounds = (_number(lo), _number(hi))
    is_number = (kind or "").startswith(_NUMBERS) if kind else _number(value) is not None
    if bounds == (0, 0) or not is_number:  # MySQL's word for no bounds
        bounds = (None, None)
    mode = None
    if read_only is not None:
        dynamic = ApplyMode.SESSION if (scope or "").startswith("SESSION") else ApplyMode.RELOAD
        mode = ApplyMode.RESTART if read_only == "YES" else dynamic
    own = tuple(choices.split(",")) if choices and kind == "ENUM" else ()
    if default is not None and is_number and _number(default) == bounds[1]:
        default = None  # stands for "computed at start"
    is_set = origin not in _UNTOUCHED
    blocks = _number(block) or 0.0
    return Variable(name.lower(), value, is_set, default, is_number, *bounds, blocks, own, mode)


def _flags(switch: Variable | None) -> list[Variable]:
    """Return the flags of `optimizer_switch` as variables."""
    if switch is None:
        return []
    now, first = _parsed(switch.text), _parsed(switch.default or switch.text)
    return [
        replace(
            switch,
            name=f"{SWITCH}_{flag}",
            text=text,
            default=first.get(flag),
            is_set=text != first.get(flag),
        )
        for flag, text in now.items()
    ]


def _parsed(switch: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in switch.split(",") if "=" in part)


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def value_of(knob: Knob, text: str) -> Value:
    """Return the text of a variable as a value in the unit of its knob."""
    if knob.kind == "bool":
        return text.upper() in _TRUE
    if knob.kind == "enum":
        return next((c for c in knob.choices if c.lower() == text.lower()), text)
    number = float(text)
    if number not in knob.special:
        number /= _factor(knob)
    return math.floor(number) if knob.kind == "int" else number


def text_of(knob: Knob, value: Value) -> str:
    """Return a value in the unit of its knob as the text of the variable."""
    if knob.kind == "bool":
        return "ON" if value else "OFF"
    if knob.kind == "enum":
        return str(value)
    number = float(value)
    if number not in knob.special:
        number *= _factor(knob)
    return str(round(number)) if knob.kind == "int" else repr(number)


def _factor(knob: Knob) -> float:
    """Return the factor from a knob's unit to the variable's: variables of memory count bytes."""
    return UNITS[knob.unit] if knob.unit in _OF_MEMORY else 1


def knobs_in_force(
    catalogue: Catalogue,
    variables: Mapping[str, Variable],
    *,
    version: tuple[int, ...],
    defaults: Mapping[str, str],
    may_restart: bool,
) -> dict[str, InForce]:
    """Return the knobs that a server has; a value that another one caps is the cap.

    Args:
        catalogue: of the system.
        variables: of the server.
        version: of the server.
        defaults: name -> text, for those whose default the server does not say.
        may_restart: else a pool cannot grow beyond its cap, which is set at the start.
    """
    there = {
        name: variables[name]
        for name, knob in catalogue.knobs.items()
        if name in variables and knob.is_known_to(version) and not catalogue.is_closed(name)
    }
    shown = {n: value_of(catalogue.knobs[n], v.text) for n, v in there.items()}
    caps = dict(shown)
    if POOL in shown and POOL_CAP in variables:
        caps[POOL_CAP] = value_of(catalogue.knobs[POOL], variables[POOL_CAP].text)
    effective = capped(caps, catalogue)
    found = {n: _in_force(catalogue.knobs[n], v, effective[n], defaults) for n, v in there.items()}
    if POOL_CAP in caps and not may_restart:
        found[POOL] = replace(found[POOL], hi=float(caps[POOL_CAP]))
    return found


def _in_force(
    knob: Knob, variable: Variable, value: Value, defaults: Mapping[str, str]
) -> InForce:
    factor = _factor(knob)
    default = defaults.get(variable.name, variable.default)
    served = [choice.lower() for choice in variable.choices]
    # A default below the variable's own bounds ("computed at start") comes back at a start only.
    is_beyond = default is not None and not _is_within(variable, default)
    return InForce(
        value,
        value if default is None else value_of(knob, default),
        ApplyMode.RESTART if is_beyond else variable.mode or knob.mode,
        lo=None if variable.lo is None else math.ceil(variable.lo / factor),
        hi=None if variable.hi is None else variable.hi / factor,
        choices=tuple(c for c in knob.choices if not served or c.lower() in served),
        is_set=variable.is_set,
        step=variable.block / factor if variable.block > factor else 0.0,
        rounds_down=True,
    )


def _is_within(variable: Variable, text: str) -> bool:
    number = _number(text) if variable.is_number else None
    if number is None:
        return True
    return (variable.lo is None or number >= variable.lo) and (
        variable.hi is None or number <= variable.hi
    )


def defaults_of(variables: Mapping[str, Variable]) -> dict[str, str]:
    """Return name -> text of what a server has where nothing sets it, as far as it tells."""
    told = {n: v.default if v.is_set else v.text for n, v in variables.items()}
    return {name: text for name, text in told.items() if text is not None}


def parse_version(text: str) -> tuple[int, ...]:
    """Return the version in "10.11.19-MariaDB-0+deb12u1" as (10, 11, 19)."""
    match = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(n) for n in match.groups() if n) if match else (0,)
