"""MariaDB servers for the tests, started by them as an unprivileged user."""

from __future__ import annotations

import os

import pytest

from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.mariadb.programs import find_programs
from tunekit_integrations.dbms.mariadb.target import open_mariadb


@pytest.fixture(scope="session")
def programs():
    """The installed programs, or a skip."""
    pytest.importorskip("pymysql")
    try:
        return find_programs("mariadb")
    except InvalidArgument as error:
        if os.environ.get("CI"):
            pytest.fail(error.message)
        pytest.skip(error.message)


@pytest.fixture(scope="session")
def target(programs):
    """A private server for all modules, each of which leaves it as it was."""
    made = open_mariadb("mariadb", clients=2)
    yield made
    made.close()
