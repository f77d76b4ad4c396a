"""Values in force where one knob caps another, which no server shows when they are read back."""

from __future__ import annotations

from collections.abc import Mapping

from tunekit_integrations.dbms.catalogue import UNITS, Catalogue
from tunekit_integrations.dbms.records import Value


def capped(values: Mapping[str, Value], catalogue: Catalogue) -> dict[str, Value]:
    """Return the values that have an effect.

    `io_combine_limit` is shown as set, but reads are never larger than `io_max_combine_limit`;
    caps can be capped in turn.

    Args:
        values: as a server shows them, in the units of the catalogue; caps among them.
        catalogue: that says what is capped by what.
    """
    return {name: _capped(name, values, catalogue, frozenset()) for name in values}


def _capped(
    name: str, values: Mapping[str, Value], catalogue: Catalogue, seen: frozenset[str]
) -> Value:
    value, knob = values[name], catalogue.knobs.get(name)
    cap = knob.capped_by if knob else ""
    if not knob or cap not in values or cap in seen or isinstance(value, bool | str):
        return value
    limit = _capped(cap, values, catalogue, seen | {name})
    if isinstance(limit, bool | str):
        return value
    scale = UNITS[catalogue.knobs[cap].unit] / UNITS[knob.unit] if cap in catalogue.knobs else 1
    most = limit * scale
    return value if value <= most else type(value)(most)
