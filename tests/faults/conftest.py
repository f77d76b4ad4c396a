"""Fixtures of the fault tests."""

import pytest


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def new_database(request, tmp_path):
    """Give the URL of an empty database for each round."""
    if request.param == "sqlite":
        yield lambda turn: f"sqlite:///{tmp_path}/{turn}.db"
        return
    yield request.getfixturevalue("new_postgres")


@pytest.fixture
def new_postgres(postgres_server):
    """Give the URL of an empty database on PostgreSQL for each round."""
    made = []

    def new(_):
        made.append(postgres_server.new_database())
        return made[-1]

    yield new
    for url in made:
        postgres_server.drop_database(url)
