"""Keeps settings of MySQL beyond a restart by SET PERSIST, the counterpart of ALTER SYSTEM."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tunekit_integrations.dbms.mariadb.connection import AutocommitConnection
from tunekit_integrations.dbms.mariadb.variables import SWITCH

PREFIX = "persisted:"
"""Before the names of persisted variables in a snapshot."""

_FLAG = f"{SWITCH}_"


def read_persisted(
    connection: AutocommitConnection, knobs: Collection[str]
) -> dict[str, str | None]:
    """Return prefixed variable -> its persisted text, `None` where nothing is persisted."""
    rows = connection.rows(
        "SELECT VARIABLE_NAME, VARIABLE_VALUE FROM performance_schema.persisted_variables"
    )
    there = {str(name): str(text) for name, text in rows}
    return {f"{PREFIX}{name}": there.get(name) for name in sorted({_variable(k) for k in knobs})}


def persist(
    connection: AutocommitConnection, base: Mapping[str, str | None], texts: Mapping[str, str]
) -> None:
    """Persist settings, and what the snapshot has for all others.

    This sets the running values, too; those of the snapshot have to be set after it.

    Args:
        connection: of a user with SYSTEM_VARIABLES_ADMIN.
        base: values of a snapshot, persisted ones among them.
        texts: knob -> text.

    Raises:
        TargetFailure: the server refuses it.
    """
    wanted = {n.removeprefix(PREFIX): t for n, t in base.items() if n.startswith(PREFIX)}
    now = read_persisted(connection, list(wanted))
    wanted.update({name: text for name, text in texts.items() if not name.startswith(_FLAG)})
    flags = [
        f"{n.removeprefix(_FLAG)}={t.lower()}" for n, t in texts.items() if n.startswith(_FLAG)
    ]
    if flags:
        wanted[SWITCH] = ",".join(flags)
    for name, text in wanted.items():
        if now.get(f"{PREFIX}{name}") == text:
            continue
        if text is None:
            connection.rows(f"RESET PERSIST IF EXISTS {name}")
        else:
            connection.rows(f"SET PERSIST {name} = %s", [_literal(text)])


def _variable(knob: str) -> str:
    return SWITCH if knob.startswith(_FLAG) else knob


def _literal(text: str) -> str | int | float:
    """Return a number as one: a number in quotes is refused."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
