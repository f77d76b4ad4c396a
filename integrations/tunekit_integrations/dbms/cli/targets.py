"""Opens the servers and workloads that a command line names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import yaml

from tunekit import registry
from tunekit.cli.command import terminal
from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.catalogue import Catalogue
from tunekit_integrations.dbms.records import Value
from tunekit_integrations.dbms.target import KnobTarget, Workload

WORKLOADS = (
    "tpch[:SCALE], pgbench[:SCRIPT@WEIGHT,...], sysbench[:SCRIPT], shop, replay[:STATEMENTS] of "
    "pg_stat_statements, or .sql files"
)
_SCHEMES = {"postgres": "postgresql", "mysql": "mysql"}
_RESTARTS: Mapping[str, Any] = {
    "postgresql": lambda line: {"restart": line},
    "mariadb": lambda line: {"may_restart": True, "restart_command": line},
    "mysql": lambda line: {"may_restart": True, "restart_command": line},
}


def kind_of(where: str) -> str:
    """Return the short name of the target that a URL, a DSN or a name asks for."""
    scheme, found, _ = where.partition("://")
    if found:
        return _SCHEMES.get(scheme.partition("+")[0], scheme.partition("+")[0])
    return "postgresql" if "=" in where else where


def open_target(
    where: str,
    options: Sequence[str] | None,
    restart: str | None,
    *,
    opened: Sequence[str] = (),
    clients: int | None = None,
) -> tuple[str, KnobTarget]:
    """Return the kind of a target and the target.

    Raises:
        InvalidArgument: there is no such target, or it takes no such option.
    """
    kind = kind_of(where)
    given = pairs(options or [], "--target-option")
    if restart is not None:
        given |= _RESTARTS.get(kind, lambda line: {"restart": line})(restart)
    factory = registry.find("knob_target", kind)
    if opened:
        given["opened"] = tuple(opened)
    if clients is not None and kind != "sqlite":
        given["clients"] = clients
    try:
        return kind, cast(KnobTarget, factory(where, **given))
    except TypeError as error:
        if "unexpected keyword" not in str(error):
            raise
        raise InvalidArgument(f'the target "{kind}": {error}; leave it out.') from None


def open_workload(text: str, clients: int | None) -> Workload:
    """Return the workload that a text such as "tpch:0.1" names.

    Raises:
        InvalidArgument: nothing is registered under this name.
    """
    name, _, rest = text.partition(":")
    many = {} if clients is None else {"clients": clients}
    if name == "tpch":
        from tunekit_integrations.dbms.workloads.tpch.workload import TPCH

        return TPCH(scale=number(rest or "0.1", "--workload tpch:SCALE"), **many)
    if name == "sysbench":
        from tunekit_integrations.dbms.workloads.sysbench import Sysbench

        return Sysbench(rest or "read_write", clients=clients or 4)
    if name == "pgbench":
        from tunekit_integrations.dbms.workloads.pgbench.workload import Pgbench

        return Pgbench(_weighted(rest), clients=clients or 8)
    if name == "replay":
        from tunekit_integrations.dbms.workloads.replay.workload import StatementReplay

        top = number(rest or "20", "--workload replay:STATEMENTS")
        return StatementReplay(top=int(top), clients=clients or 1)
    if text.endswith(".sql"):
        from tunekit_integrations.dbms.workloads.sql_files import SqlFiles

        return SqlFiles(text.split(","), clients=clients or 1)
    if name == "shop":
        from tunekit_integrations.dbms.sqlite.demo import ShopWorkload

        return ShopWorkload(items=int(number(rest or "100000", "--workload shop:ITEMS")))
    raise InvalidArgument(f'--workload "{text}", expected {WORKLOADS}.')


def _weighted(text: str) -> dict[str, int]:
    """Return script -> weight of a text such as "select-only@9,mine.sql@1"."""
    out: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        script, found, weight = part.rpartition("@")
        is_weighted = bool(found) and weight.isdigit()
        out[script if is_weighted else part] = int(weight) if is_weighted else 1
    return out


def number(text: str, flag: str) -> float:
    """Parse a number.

    Raises:
        InvalidArgument: it is not a number.
    """
    try:
        return float(text)
    except ValueError:
        raise InvalidArgument(f'{flag}: got "{text}", expected a number.') from None


def pairs(texts: Sequence[str], flag: str) -> dict[str, Any]:
    """Return NAME=VALUE as a mapping, each value as YAML reads it.

    Raises:
        InvalidArgument: a text has no "=".
    """
    out: dict[str, Any] = {}
    for text in texts:
        name, found, value = text.partition("=")
        if not found or not name:
            raise InvalidArgument(f'{flag}: got "{text}", expected NAME=VALUE.')
        read = yaml.safe_load(value)
        out[name] = _number_or(value) if isinstance(read, str) else read
    return out


def settings_of(texts: Sequence[str], catalogue: Catalogue) -> dict[str, Value]:
    """Return KNOB=VALUE as settings in the units of the catalogue.

    A number with a unit is converted: "shared_buffers=2GB".

    Raises:
        InvalidArgument: a knob is unknown or closed, or a value does not have its type.
    """
    return {
        name: value_of(name, value, catalogue) for name, value in (_pair(text) for text in texts)
    }


def value_of(name: str, text: str, catalogue: Catalogue) -> Value:
    """Return the value of a knob that a person typed."""
    import re

    from tunekit_integrations.dbms.catalogue import UNITS

    if catalogue.is_closed(name) or name not in catalogue.knobs:
        raise InvalidArgument(
            f'{name}: expected a knob of the catalogue "{catalogue.system}" that is not closed.'
        )
    knob = catalogue.knobs[name]
    if knob.kind == "enum":
        return text
    if knob.kind == "bool":
        word = text.lower()
        if word not in ("on", "off", "true", "false", "1", "0"):
            raise InvalidArgument(f'{name}: got "{text}", expected on or off.')
        return word in ("on", "true", "1")
    match = re.fullmatch(r"\s*(-?[0-9.]+(?:e[+-]?[0-9]+)?)\s*([A-Za-z]*)\s*", text)
    if match is None or match[2] not in UNITS or (match[2] and not knob.unit):
        raise InvalidArgument(
            f'{name}: got "{text}", expected a number'
            + (f" of {knob.unit}, or with a unit such as 1 GB." if knob.unit else ".")
        )
    found = float(match[1])
    if match[2]:
        found *= UNITS[match[2]] / UNITS[knob.unit]
    return round(found) if knob.kind == "int" else found


def close(target: KnobTarget) -> None:
    """Let go of a target; what fails then is told and hides nothing."""
    try:
        target.close()
    except Exception as error:  # the result is known already
        terminal.print_line(f"closing the target: {error}")


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found:
        raise InvalidArgument(f'got "{text}", expected KNOB=VALUE, such as work_mem=64MB.')
    return name.strip(), value.strip()


def _number_or(text: str) -> Any:
    try:
        return float(text)  # YAML reads 4e9 as a text
    except ValueError:
        return text
