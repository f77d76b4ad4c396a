"""Lists the tools of an agent, and calls one with arguments that nobody has checked yet."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tunekit.cli.agent import requests as r
from tunekit.cli.agent.studies import AgentStudies
from tunekit.cli.output import plain
from tunekit.errors import InvalidArgument, did_you_mean
from tunekit.storages.codec import from_dict

MAX_ARGUMENTS = 200_000
"""Characters of the arguments of one call, as JSON."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool.

    Attributes:
        name: name for the model.
        title: name for a person.
        description: what it does, for the model.
        arguments: class of its arguments.
        call: does it.
        reads_only: whether it changes nothing.
    """

    name: str
    title: str
    description: str
    arguments: type
    call: Callable[[AgentStudies, Any], dict[str, Any]]
    reads_only: bool = False


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            "list_studies", "List studies",
            "List all studies with their progress and best value, whether you may run their "
            "trials (may_ask), and what is left of your budget.",
            r.NoArguments, AgentStudies.list_studies, reads_only=True,
        ),
        Tool(
            "describe_study", "Describe a study",
            "Show the search space, objectives, constraints, progress, what mattered, and the "
            "last trials of a study.",
            r.OneStudy, AgentStudies.describe_study, reads_only=True,
        ),
        Tool(
            "create_study", "Create a study",
            "Create a study over a search space. Then repeat: ask for a trial, run it with its "
            "params, tell the result.",
            r.CreateStudy, AgentStudies.create_study,
        ),
        Tool(
            "ask", "Ask for a trial",
            "Get the next trial to run: its number and its params, proposed from all results so "
            "far. Every trial counts against your budget, so run it and tell its result. Several "
            "may run at once.",
            r.AskArguments, AgentStudies.ask,
        ),
        Tool(
            "report", "Report a step",
            "Store what you measured of a trial that is not done yet, and learn whether it is "
            "worth going on. If the decision is stop or pause, end the trial's program and tell "
            "that state.",
            r.ReportArguments, AgentStudies.report,
        ),
        Tool(
            "tell", "Tell a result",
            "Store what you measured in a trial that ask gave you. Results are final. Tell a "
            "crash as failed: the sampler learns to avoid it.",
            r.TellArguments, AgentStudies.tell,
        ),
        Tool(
            "best", "Read the best trial",
            "Show the best trial that keeps the constraints, or the Pareto front of several "
            "objectives.",
            r.OneStudy, AgentStudies.best, reads_only=True,
        ),
        Tool(
            "health", "Check a study",
            "Show what goes wrong in a study (the best at a boundary, a metric that nothing "
            "predicts, noise, failures, a baseline that is not beaten), each with one thing to "
            "do.",
            r.OneStudy, AgentStudies.health, reads_only=True,
        ),
    )
}  # fmt: skip
"""Tools by name."""


def call_tool(studies: AgentStudies, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer of a tool as plain JSON.

    Raises:
        TunekitError: a refusal, in a sentence.
    """
    tool = TOOLS.get(name)
    if tool is None:
        raise InvalidArgument(
            f"there is no tool {name[:50]!r}{did_you_mean(name[:50], TOOLS)}; call one of "
            f"{', '.join(TOOLS)}."
        )
    try:
        size = len(json.dumps(arguments))
    except RecursionError:
        raise InvalidArgument(
            f"the arguments of {name} are nested too deeply; flatten them."
        ) from None
    if size > MAX_ARGUMENTS:
        raise InvalidArgument(
            f"the arguments of {name} have {size} characters, expected {MAX_ARGUMENTS} at most; "
            "send less."
        )
    answer: dict[str, Any] = plain(tool.call(studies, from_dict(tool.arguments, arguments)))
    return answer
