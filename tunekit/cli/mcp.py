"""`tunekit mcp`: tools for a coding agent, within a budget."""

from __future__ import annotations

from typing import Annotated

import typer

from tunekit.cli.command import terminal


def mcp(
    max_trials: Annotated[
        int,
        typer.Option(
            "--max-trials", min=0, help="Most trials that the agent is given, in all studies."
        ),
    ],
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            metavar="URL",
            help="File, database, or http://host:port/project of a service. Default: "
            "$TUNEKIT_URL.",
        ),
    ] = None,
    max_studies: Annotated[
        int, typer.Option("--max-studies", min=0, help="Most studies that it creates.")
    ] = 1,
    study: Annotated[
        list[str] | None,
        typer.Option(
            "--study",
            metavar="NAME",
            help="A study of yours in which it may run trials as well; repeat for more.",
        ),
    ] = None,
    agent: Annotated[
        str,
        typer.Option(
            "--agent",
            metavar="NAME",
            help="Name under which its studies and trials are marked and counted.",
        ),
    ] = "agent",
) -> None:
    """Give a coding agent tools to tune with, over the Model Context Protocol on stdin and stdout.

    The agent can list and describe studies, create them, ask for trials, report what they reach,
    tell results, and read the best trial and the health checks. It runs trials only of its own
    studies and of those named with --study. It deletes nothing, and cannot exceed the budget,
    which is counted in the storage under the agent's name: a restart does not reset it.

    With a service, the token is $TUNEKIT_TOKEN or that of `tunekit login`; one of role worker
    works in the studies that exist, creating them needs the role editor.
    """
    from tunekit.cli.stores import url_of
    from tunekit.errors import InvalidArgument, MissingExtra
    from tunekit.shown import counted
    from tunekit.storages.urls import open_storage

    try:
        from tunekit.cli.agent.server import serve
    except ModuleNotFoundError:
        raise MissingExtra("mcp", "tunekit mcp") from None
    from tunekit.cli.agent.budget import Budget
    from tunekit.cli.agent.studies import AgentStudies

    if not agent.isprintable() or not 0 < len(agent.strip()) <= 100:
        raise InvalidArgument(
            f"--agent {agent[:100]!r}: expected a name of 1 to 100 printable characters."
        )
    opened = open_storage(url_of(storage))
    try:
        studies = AgentStudies(opened, Budget(agent, max_trials, max_studies), study or ())
        left = counted(studies.n_trials_left(), "trial")
        terminal.print_line(f"serving {agent} on stdin and stdout; {left} left in {opened.url}.")
        serve(studies)
    finally:
        opened.close()
