"""PostgreSQL servers of several versions, one a module."""

from __future__ import annotations

import pytest

from tests.dbms.postgresql.versions import VERSIONS, programs_of
from tunekit_integrations.dbms.postgresql.target import PostgreSQLTarget


@pytest.fixture(scope="module", params=VERSIONS)
def target(request):
    """A private cluster of each version in turn."""
    made = PostgreSQLTarget.provision(programs=programs_of(request.param), clients=2)
    yield made
    made.close()
