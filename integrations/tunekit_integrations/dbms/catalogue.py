"""Reads knob catalogues: which knobs a system has, in which ranges they are worth a try.

A catalogue states ranges relative to the machine ("0.4 ram"), as `pg_settings` alone offers values
that no server survives. `space.py` makes a search space from it for one server.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, TypeAlias

from tunekit.errors import InvalidSpace
from tunekit.spaces.catalogue import catalogue_root, read_document
from tunekit_integrations.dbms.records import ApplyMode, Machine, Value

FORMAT = "tunekit.knobs/1"

Kind: TypeAlias = Literal["int", "float", "bool", "enum"]

UNITS: Mapping[str, float] = {
    "": 1,
    "B": 1, "kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40,
    "us": 1e-6, "ms": 1e-3, "s": 1, "min": 60,
}  # fmt: skip
"""Unit -> bytes or seconds."""

_AMOUNT = re.compile(r"\s*([0-9.]+(?:e[+-]?[0-9]+)?)\s*([A-Za-z]*)(?:\s+(per client))?\s*")


@dataclass(frozen=True, slots=True)
class Knob:
    """One entry of a catalogue.

    Attributes:
        name: as the server calls it.
        kind: of its values.
        unit: in which a value counts, a key of `UNITS`; sent to the server with the number.
        lo, hi: the smallest of these amounts bounds the range: "128 MB", "0.4 ram", "2 cpus",
            "0.25 disk", "0.1 ram per client".
        log: whether the range is searched on a log scale.
        step: the server takes multiples of this amount only; values between are rounded to one.
        special: values outside of the range with a meaning of their own, such as -1.
        choices: of an enumeration.
        mode: what a change takes; where the server says otherwise, the server is right.
        tier: 1 is tried first.
        since, until: first and first unsupported version.
        needs: knob -> values under which this one has any effect.
        capped_by: knob that limits the value in force.
        feature: of the server's build without which this one has no effect, such as "jit".
        loss: what can be lost where this durability knob is opened; "" for all others.
        why: what it does, for the report.
    """

    name: str
    kind: Kind
    unit: str = ""
    lo: tuple[str, ...] = ()
    hi: tuple[str, ...] = ()
    log: bool = False
    step: str = ""
    special: tuple[float, ...] = ()
    choices: tuple[str, ...] = ()
    mode: ApplyMode = ApplyMode.RELOAD
    tier: int = 1
    since: tuple[int, ...] = ()
    until: tuple[int, ...] = ()
    needs: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    capped_by: str = ""
    feature: str = ""
    loss: str = ""
    why: str = ""

    def is_known_to(self, version: tuple[int, ...]) -> bool:
        """Return whether a version of the server has the knob."""
        return version >= self.since and not (self.until and version >= self.until)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The knobs of one system.

    Attributes:
        system: such as "postgresql".
        knobs: name -> entry, in the order of the file.
        constraints: between knobs; `{ram}`, `{cpus}`, `{disk}`, `{clients}` stand for amounts of
            the machine, and values count in bytes, seconds or as they are.
        closed: patterns of names that nothing opens.
    """

    system: str
    knobs: Mapping[str, Knob]
    constraints: tuple[str, ...]
    closed: tuple[str, ...]

    def is_closed(self, name: str) -> bool:
        """Return whether a knob is never tuned, whatever a user asks for."""
        return any(fnmatchcase(name, pattern) for pattern in self.closed)


def amount(text: str, machine: Machine, clients: int) -> float:
    """Return an amount of a catalogue in bytes, seconds or as a plain number.

    Raises:
        InvalidSpace: it is not an amount.
    """
    match = _AMOUNT.fullmatch(text)
    relative = {"ram": machine.ram_bytes, "cpus": machine.cpus, "disk": machine.disk_bytes}
    scales = {**UNITS, **relative}
    if match is None or match[2] not in scales:
        raise InvalidSpace(
            f'"{text}" is not an amount; give a number with a unit ({", ".join(scales)}), '
            'such as "128 MB" or "0.4 ram".'
        )
    return float(match[1]) * scales[match[2]] / (max(clients, 1) if match[3] else 1)


def load_catalogue(path_or_name: str | os.PathLike[str]) -> Catalogue:
    """Return a catalogue from a file, or a bundled one by the name of its system.

    Raises:
        InvalidSpace: there is none, or an entry is faulty; the message says where.
    """
    given = os.fspath(path_or_name)
    is_name = not given.endswith((".yaml", ".yml", ".json"))
    file = catalogue_root() / f"{given}.yaml" if is_name else Path(given)
    if is_name and not file.is_file():
        raise InvalidSpace(f'no knob catalogue "{given}"; give a .yaml file or a known system.')
    data = read_document(file, given)
    try:
        return _catalogue(data)
    except InvalidSpace as error:
        raise InvalidSpace(f"{given}: {error.message}") from None


def _catalogue(data: Any) -> Catalogue:
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise InvalidSpace(f'it is not a knob catalogue; expected "format: {FORMAT}".')
    entries = {**_entries(data, "knobs"), **_entries(data, "durability")}
    knobs = {name: _knob(name, entry) for name, entry in entries.items()}
    for name in data.get("durability", {}):
        if not knobs[name].loss:
            raise InvalidSpace(f"durability.{name}: say in `loss` what can be lost.")
    return Catalogue(
        str(data["system"]),
        knobs,
        tuple(data.get("constraints", ())),
        tuple(data.get("closed", ())),
    )


def _entries(data: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    found = data.get(part, {})
    if not isinstance(found, Mapping):
        raise InvalidSpace(f"{part}: expected a mapping from knobs to their entries.")
    return found


def _knob(name: str, entry: Any) -> Knob:
    fields = set(Knob.__dataclass_fields__) - {"name"}
    if not isinstance(entry, Mapping) or not set(entry) <= fields or "kind" not in entry:
        raise InvalidSpace(
            f"{name}: expected a mapping with kind and {', '.join(sorted(fields))}."
        )
    own = dict(entry)
    for bound in ("lo", "hi"):
        own[bound] = tuple(str(text) for text in _listed(own.get(bound)))
    for key in ("special", "choices"):
        own[key] = tuple(_listed(own.get(key)))
    for key in ("since", "until"):
        own[key] = tuple(int(n) for n in str(own[key]).split(".")) if key in own else ()
    own["needs"] = {k: tuple(_listed(v)) for k, v in (own.get("needs") or {}).items()}
    own["mode"] = ApplyMode(own.get("mode", "reload"))
    if own["kind"] in ("int", "float") and not (own["lo"] and own["hi"]):
        raise InvalidSpace(f"{name}: a number needs lo and hi.")
    if own["kind"] == "enum" and not own["choices"]:
        raise InvalidSpace(f"{name}: an enum needs choices.")
    if own.get("unit", "") not in UNITS:
        raise InvalidSpace(f'{name}: unit "{own["unit"]}", expected one of {", ".join(UNITS)}.')
    return Knob(name, **own)


def _listed(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    return value if isinstance(value, list) else [value]
