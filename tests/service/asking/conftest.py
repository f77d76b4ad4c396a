from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.service.asking.team import Serve, Team
from tunekit.service.app import Service
from tunekit.storages.urls import open_storage
from tunekit.testing.service import running_service


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a service with its own settings."""
    with ExitStack() as stack:

        def start(**settings: Any) -> Team:
            service = Service(open_storage(tmp_path / "own.db"), **settings)
            team = Team(service, stack.enter_context(running_service(service)), [])
            stack.callback(team.close)
            return team

        yield start


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """One service for a module: its processes take seconds to start."""
    service = Service(open_storage(tmp_path_factory.mktemp("service") / "team.db"))
    with running_service(service) as url:
        team = Team(service, url, [])
        yield team
        team.close()
