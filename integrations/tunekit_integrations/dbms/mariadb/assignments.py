"""Sets global variables while the server runs, and reads back what it made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tunekit_integrations.dbms.mariadb.connection import AutocommitConnection
from tunekit_integrations.dbms.mariadb.variables import POOL, SWITCH, Variable, read_variables
from tunekit_integrations.dbms.records import FailureKind, TargetFailure
from tunekit_integrations.dbms.waiting import wait_until

RESIZE_S = 60.0
LOOK_S = 0.01

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?")

# One moves the other: a capacity above its maximum raises that, a maximum below lowers the
# capacity. Set again once all are there.
_ROUNDS = 2


def assign(
    connection: AutocommitConnection,
    wanted: Mapping[str, str],
    there: dict[str, Variable],
    *,
    is_mysql: bool,
) -> dict[str, Variable]:
    """Give variables that can change while the server runs these values.

    Args:
        connection: of a user who may set global variables.
        wanted: variable -> text; flags of `optimizer_switch` by their own names.
        there: variables as the server has them.
        is_mysql: whether it is MySQL.

    Returns:
        Variables as the server has them now, with what it rounds and clamps.

    Raises:
        TargetFailure: the server refuses a value.
    """
    tried: dict[str, str] = {}
    for _ in range(_ROUNDS):
        names = [n for n in wanted if n in there and not is_same(there[n], wanted[n])]
        # One that was clamped, and that its neighbours left alone since, stays as it is.
        names = [n for n in names if tried.get(n) != there[n].text]
        if not names:
            break
        for name in names:
            _set(connection, there[name], wanted[name])
        if POOL in names:
            _wait_for_resize(connection)
        there = read_variables(connection, is_mysql=is_mysql)
        tried |= {name: there[name].text for name in names}
    return there


def _set(connection: AutocommitConnection, variable: Variable, text: str) -> None:
    prefix = f"{SWITCH}_"
    if variable.name.startswith(prefix):
        flag = f"{variable.name.removeprefix(prefix)}={text.lower()}"
        connection.rows(f"SET GLOBAL {SWITCH} = %s", [flag])
    elif not variable.is_number:
        connection.rows(f"SET GLOBAL {variable.name} = %s", [text])
    elif _NUMBER.fullmatch(text):
        connection.rows(f"SET GLOBAL {variable.name} = {text}")
    else:
        raise TargetFailure(
            FailureKind.INVALID, f'{variable.name}: got "{text}", expected a number.'
        )


def is_same(variable: Variable, text: str) -> bool:
    """Return whether a variable has a value already, however it is written."""
    if not variable.is_number:
        return variable.text.lower() == text.lower()
    try:
        return float(variable.text) == float(text)
    except ValueError:
        return variable.text == text


def _wait_for_resize(connection: AutocommitConnection) -> None:
    """Wait until the pool has its size: old versions and MySQL change it in the background.

    Raises:
        TargetFailure: it takes too long, as pages are in use.
    """
    if not wait_until(lambda: _is_resized(connection), within_s=RESIZE_S, every_s=LOOK_S):
        raise TargetFailure(
            FailureKind.TIMEOUT,
            f"the pool was not resized within {RESIZE_S:g} s: {_resize_status(connection)}.",
        )


def _is_resized(connection: AutocommitConnection) -> bool:
    status = _resize_status(connection)
    if "ailed" in status or "cannot" in status.lower():
        raise TargetFailure(FailureKind.OUT_OF_MEMORY, f"the pool kept its size: {status}.")
    return not status or status.startswith(("Completed", "Size did not change"))


def _resize_status(connection: AutocommitConnection) -> str:
    rows = connection.rows("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_resize_status'")
    return str(rows[0][1]) if rows else ""
