"""Defines the arguments of the tools; their JSON schemas and checks follow from these fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from tunekit.records import Direction
from tunekit.service.schemas import schema_of
from tunekit.spaces import Scalar

_SPACE = (
    'parameters by name, such as {"parameters": {"lr": {"type": "float", "lo": 1e-5, "hi": 0.1, '
    '"log": true}, "layers": {"type": "int", "lo": 1, "hi": 8}, "optimizer": {"type": '
    '"categorical", "choices": ["adam", {"value": "sgd", "space": {"parameters": {"momentum": '
    '{"type": "float", "lo": 0.0, "hi": 0.99}}}}]}}, "constraints": ["layers * 2 <= 12"]}. A '
    "choice with a space opens further parameters, named optimizer.sgd.momentum in a point."
)


def _said(text: str, **default: Any) -> Any:
    return field(**default, metadata={"description": text})


@dataclass(frozen=True, slots=True)
class NoArguments:
    """Nothing."""


@dataclass(frozen=True, slots=True)
class CreateStudy:
    """The settings of a new study."""

    name: str = _said("unique name, 1 to 200 characters")
    space: Mapping[str, Any] = _said(_SPACE)
    objectives: Mapping[str, Direction] = _said(
        'metrics to optimise with their directions, such as {"loss": "minimize"}'
    )
    constraints: Sequence[str] = _said(
        'bounds on measured metrics, such as "latency_ms <= 8"', default=()
    )
    sampler: str = _said(
        'who proposes: "auto" unless you have a reason; "random", "grid", "sobol", ...',
        default="auto",
    )
    stopper: str = _said(
        'who ends hopeless trials early, by what you report: "auto", "asha", "median", ...; empty '
        "if you report nothing",
        default="",
    )
    seed: int | None = _said("seed of every random draw", default=None)


@dataclass(frozen=True, slots=True)
class OneStudy:
    """The name of a study."""

    study: str = _said("name of the study")


@dataclass(frozen=True, slots=True)
class AskArguments:
    """A request for the next trial of a study."""

    study: str = _said("name of the study")
    params: Mapping[str, Scalar] | None = _said(
        "values that you want to try, by path; parameters left out are proposed. Omit it to let "
        "the sampler propose all.",
        default=None,
    )


@dataclass(frozen=True, slots=True)
class ReportArguments:
    """What was measured of a trial that goes on."""

    study: str = _said("name of the study")
    trial: int = _said("number of the trial, as ask gave it")
    step: int = _said("how far the trial is: epoch, batch, seconds; the same unit in all trials")
    metrics: Mapping[str, float] = _said(
        "what you measured at this step by name, above all the objective"
    )


@dataclass(frozen=True, slots=True)
class TellArguments:
    """The result of a trial."""

    study: str = _said("name of the study")
    trial: int = _said("number of the trial, as ask gave it")
    metrics: Mapping[str, float] = _said(
        "what you measured: every objective and every metric of a constraint by name; empty for a "
        "failed trial",
        default_factory=dict,
    )
    state: Literal["complete", "failed", "stopped", "paused"] = _said(
        '"failed" if the trial crashed or could not be measured; "stopped" or "paused" if report '
        "said so, without metrics: the last report counts",
        default="complete",
    )
    reason: str = _said("one sentence, above all on why it failed", default="")


def input_schema(arguments: type) -> dict[str, Any]:
    """Return the JSON schema of a tool's arguments, with what each of them means."""
    schema = schema_of(arguments)
    schema.setdefault("properties", {})
    for item in fields(arguments):
        schema["properties"][item.name].update(item.metadata)
    return schema
