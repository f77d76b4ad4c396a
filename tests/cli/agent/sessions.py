"""Sessions of a real client of the protocol with `tunekit mcp`, over stdin and stdout."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from argon2 import PasswordHasher

from tunekit.cli.agent.studies import AgentStudies
from tunekit.service.access.accounts import Accounts
from tunekit.service.access.passwords import Passwords
from tunekit.service.app import Service
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_database
from tunekit.testing.service import running_service
from tunekit.testing.team import Team

if TYPE_CHECKING:
    from mcp import Client

SPACE = {
    "parameters": {
        "lr": {"type": "float", "lo": 1e-4, "hi": 1.0, "log": True},
        "optimizer": {
            "type": "categorical",
            "choices": [
                "adam",
                {"value": "sgd", "space": {"parameters": {"momentum": {
                    "type": "float", "lo": 0.0, "hi": 0.99}}}},
            ],
        },
    }
}  # fmt: skip


class Agent:
    """A client in a session; `call` returns an answer, `refused` the sentence of a refusal."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def call(self, tool: str, **arguments: Any) -> Any:
        answer = await self.client.call_tool(tool, arguments)
        assert not answer.is_error, answer.content[0].text
        return answer.structured_content

    async def refused(self, tool: str, **arguments: Any) -> str:
        answer = await self.client.call_tool(tool, arguments)
        assert answer.is_error, answer.structured_content
        return str(answer.content[0].text)

    async def create(self, name: str = "mine", **changed: Any) -> Any:
        settings = {"name": name, "space": SPACE, "objectives": {"loss": "minimize"}, "seed": 1}
        return await self.call("create_study", **{**settings, "sampler": "random", **changed})


def run_session(url: str, *flags: str, script: Callable[[Agent], Any], **env: str) -> Any:
    """Start the server as an agent's host does, run a script as its client, and end it."""
    from mcp import Client, StdioServerParameters  # the tests skip themselves without the package

    words = ["-m", "tunekit", "mcp", "--storage", url, *flags]
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "PYTHONPATH", "XDG_CONFIG_HOME")}
    server = StdioServerParameters(command=sys.executable, args=words, env={**kept, **env})

    async def run() -> Any:
        async with Client(server) as client:
            return await script(Agent(client))

    return asyncio.run(run())


def run_inside(studies: AgentStudies, script: Callable[[Agent], Any]) -> Any:
    """Run a script as the client of a server in this process."""
    from mcp import Client

    from tunekit.cli.agent.server import server_of

    async def run() -> Any:
        async with Client(server_of(studies)) as client:
            return await script(Agent(client))

    return asyncio.run(run())


class team_service:
    """A running service with accounts whose hashes are cheap."""

    def __init__(self, folder: Path) -> None:
        storage = SQLStorage(open_database(f"sqlite:///{folder}/team.db"))
        cheap = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        accounts = Accounts(storage.database, cheap)
        self._team = Team(accounts)
        self._running = running_service(Service(storage, accounts=accounts))

    def __enter__(self) -> tuple[Team, str]:
        return self._team, self._running.__enter__()

    def __exit__(self, *raised: Any) -> None:
        self._running.__exit__(*raised)
