"""The benchmark: `python tests/benchmarks/run.py` prints all tables as Markdown.

Every figure of one table is measured in one run on one machine, tunekit beside Optuna, so that
the ratios mean something; the absolute numbers belong to the machine. `measure.py` says how
processor time is read. PostgreSQL is a server of its own, started here, with fsync off for both.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import tables

from tunekit.errors import DISTRIBUTION
from tunekit.testing.postgres import find_binaries, running_server


def main() -> None:
    """Parse the arguments and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it all run?")
    parser.add_argument("--no-postgres", action="store_true", help="SQLite only")
    parser.add_argument("--only", choices=list(TABLES), action="append", help="these tables only")
    arguments = parser.parse_args()
    # Ended from outside, it still stops its server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sizes = tables.QUICK if arguments.quick else tables.FULL
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in (DISTRIBUTION, "optuna", "SQLAlchemy", "psycopg2-binary")
    )
    print(f"Python {platform.python_version()}, {versions}; {os.cpu_count()} cores")
    with databases(postgres=not arguments.no_postgres) as found:
        for name in arguments.only or TABLES:
            TABLES[name](found, sizes)


def trials(found: list[tables.Database], sizes: tables.Sizes) -> None:
    """Print what is measured on the same cells: throughput, growth, memory, opening."""
    measured = tables.throughput(found, sizes)
    tables.growth(measured, sizes.trials[-1])
    tables.opening(found, sizes)


TABLES: dict[str, Callable[[list[tables.Database], tables.Sizes], None]] = {
    "startup": lambda found, sizes: tables.startup(sizes),
    "reports": tables.reports,
    "shared": tables.shared,
    "trials": trials,
    "reading": tables.reading,
}


@contextmanager
def databases(*, postgres: bool) -> Iterator[list[tables.Database]]:
    """Give an SQLite file and, if wanted and installed, a PostgreSQL database to each library."""
    with tempfile.TemporaryDirectory() as folder:
        files = {x: f"sqlite:///{Path(folder) / x}.db" for x in tables.LIBRARIES}
        sqlite = tables.Database("SQLite", files)
        binaries = find_binaries() if postgres else None
        if binaries is None:
            if postgres:
                print("no PostgreSQL server is installed: SQLite only", file=sys.stderr)
            yield [sqlite]
            return
        with running_server(binaries) as server:
            urls = {x: server.new_database() for x in tables.LIBRARIES}
            # SQLAlchemy 2.1 would take psycopg 3 by itself; tunekit uses psycopg2.
            urls["optuna"] = urls["optuna"].replace("postgresql://", "postgresql+psycopg2://")
            yield [sqlite, tables.Database("PostgreSQL", urls, server.pid)]


if __name__ == "__main__":
    main()
