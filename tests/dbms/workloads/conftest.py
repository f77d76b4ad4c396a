"""A database with the tables of TPC-H, loaded once a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tunekit.testing.postgres import PostgresServer

SCALE = 0.01


@pytest.fixture(scope="session")
def tpch_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a database that holds TPC-H at scale factor 0.01."""
    pytest.importorskip("sqlglot")
    pytest.importorskip("psycopg2")
    from tunekit_integrations.dbms.workloads.session import connect
    from tunekit_integrations.dbms.workloads.tpch.workload import TPCH

    url = postgres_server.new_database()
    connection = connect(url)
    # Left of a load that did not end; the tables have to be loaded all the same.
    connection.cursor().execute("CREATE SCHEMA tunekit_tpch_0_01")
    connection.close()
    TPCH(scale=SCALE).prepare(url)
    yield url
    postgres_server.drop_database(url)
