"""PostgreSQL servers of several versions, one of each for all tests."""

from __future__ import annotations

import pytest

from tests.dbms.postgresql.versions import VERSIONS, programs_of
from tunekit_integrations.dbms.postgresql.cluster import PrivateCluster


@pytest.fixture(scope="session")
def servers():
    """Gives the running server of a version; it writes every statement to its log."""
    made = {}

    def server_of(version):
        if version not in made:
            made[version] = PrivateCluster(
                programs_of(version), configuration={"log_statement": "all"}
            )
            made[version].start()
        return made[version]

    yield server_of
    for server in made.values():
        server.close()


@pytest.fixture(scope="module", params=VERSIONS)
def server(request, servers):
    """A server of each version in turn."""
    return servers(request.param)
