"""The storages that an agent may be let into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.agent.sessions import team_service


@pytest.fixture(autouse=True)
def protocol() -> None:
    pytest.importorskip("mcp")


@pytest.fixture(params=["sqlite", "service", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The URL of a storage of each kind, with the environment that opens it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/agent.db", {}
    elif request.param == "postgres":
        yield str(request.getfixturevalue("postgres_url")), {}
    else:
        with team_service(tmp_path) as (team, url):
            team.project("p")
            yield f"{url}/p", {"TUNEKIT_TOKEN": team.machine("p", "editor")}
