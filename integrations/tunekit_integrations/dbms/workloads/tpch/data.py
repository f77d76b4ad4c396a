"""Generates the tables of TPC-H and loads them into PostgreSQL."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
import tempfile
from importlib.resources import files
from pathlib import Path

from tunekit.errors import MissingExtra
from tunekit_integrations.dbms.records import FailureKind, TargetFailure
from tunekit_integrations.dbms.workloads.session import as_failures, connect

TABLES = ("region", "nation", "part", "supplier", "partsupp", "customer", "orders", "lineitem")

GENERATION_TIMEOUT_S = 3600
"""For scale factors of hundreds of gigabytes the data should come from elsewhere."""


def schema_of(scale: float) -> str:
    """Return the schema that holds the tables of a scale factor, and nothing else."""
    return f"tunekit_tpch_{scale:g}".replace(".", "_").replace("-", "m").replace("+", "")


def is_loaded(url: str, scale: float) -> bool:
    """Return whether the database has all tables of a scale factor, with their indexes."""
    connection = connect(url)
    try:
        with as_failures(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s",
                (schema_of(scale),),
            )
            found = cursor.fetchone()
            return found is not None and found[0] == _mark(scale)
    finally:
        connection.close()


def load(url: str, scale: float) -> None:
    """Generate the tables and load them, in one transaction; about 10 s for each 0.1 of scale.

    Raises:
        MissingExtra: the generator is not installed.
        TargetFailure: the server refused the data, or was lost.
    """
    with tempfile.TemporaryDirectory(prefix="tunekit-tpch-") as folder:
        generate(Path(folder), scale)
        _copy(url, Path(folder), scale)


def generate(folder: Path, scale: float) -> None:
    """Write a CSV file for each table.

    Raises:
        MissingExtra: the generator is not installed.
        TargetFailure: it failed, for lack of disk for example.
    """
    command = [str(_generator()), "csv", "-s", f"{scale:g}", "-o", str(folder)]
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments, no shell
            command, capture_output=True, text=True, timeout=GENERATION_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        message = f"tpchgen-cli did not end within {GENERATION_TIMEOUT_S} s."
        raise TargetFailure(FailureKind.TIMEOUT, message) from None
    if done.returncode:
        reason = done.stderr.strip()[-500:]
        raise TargetFailure(FailureKind.INVALID, f"tpchgen-cli made no data: {reason}")


def _generator() -> Path:
    beside = shutil.which("tpchgen-cli", path=sysconfig.get_path("scripts"))
    found = beside or shutil.which("tpchgen-cli")
    if found is None:
        raise MissingExtra("knobs", "the data of TPC-H")
    return Path(found)


def _copy(url: str, folder: Path, scale: float) -> None:
    schema = schema_of(scale)
    connection = connect(url, options={"search_path": schema})
    try:
        with as_failures():
            connection.autocommit = False
            with connection.cursor() as cursor:
                # What is there is left of a load that did not end: ours, and not complete.
                cursor.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')
                cursor.execute(f'CREATE SCHEMA "{schema}"')
                cursor.execute(_script("schema.sql"))
                for table in TABLES:
                    with open(folder / f"{table}.csv", encoding="utf-8") as rows:
                        # The tables are as new as the transaction, so rows can be frozen at once.
                        cursor.copy_expert(
                            f"COPY {table} FROM STDIN WITH (FORMAT csv, HEADER, FREEZE)", rows
                        )
                cursor.execute(_script("keys.sql"))
                for table in TABLES:
                    # Statistics that change by themselves would change plans amid a study.
                    cursor.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
                cursor.execute(f"COMMENT ON SCHEMA \"{schema}\" IS '{_mark(scale)}'")
            connection.commit()
            connection.autocommit = True
            with connection.cursor() as cursor:
                for table in TABLES:
                    cursor.execute(f"VACUUM (ANALYZE) {table}")
    finally:
        connection.close()


def _mark(scale: float) -> str:
    return f"TPC-H at scale factor {scale:g}, loaded by tunekit"


def _script(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
