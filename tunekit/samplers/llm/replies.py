"""Reads a model's reply: text -> JSON -> values -> points that the study may run.

Everything in a reply is data from outside. A value is taken as it stands or refused with a
sentence, which the model gets to see once; nothing is clamped, and nothing is guessed but the
defaults of parameters that the reply leaves out, which the evidence names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from tunekit.checks import shown
from tunekit.errors import TunekitError
from tunekit.noise.replicates import Key, key_of
from tunekit.samplers.llm.ranges import Ranges, read_ranges
from tunekit.samplers.llm.values import flat_values, json_objects, read_value
from tunekit.spaces import Params, Scalar, Space

MAX_POINTS = 50
"""Points of a reply that are read."""

MAX_RATIONALE = 1000
"""Characters of a rationale that are kept."""

MAX_REFUSALS = 20


@dataclass(frozen=True, slots=True)
class ReadPoint:
    """A point of a reply that the study may run.

    Attributes:
        filled: paths of active parameters that the reply left out and that have their defaults.
    """

    params: Params
    filled: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadReply:
    """What a reply was worth.

    Attributes:
        points: that may run, in the order of the reply.
        rationale: the model's reason; text from outside.
        refused: sentences on what was wrong; empty if nothing was.
        ranges: where it expects good values of single parameters.
    """

    points: tuple[ReadPoint, ...]
    rationale: str
    refused: tuple[str, ...]
    ranges: Ranges = field(default_factory=dict)


def read_reply(
    text: str,
    space: Space,
    *,
    taken: Collection[Key] = (),
    fixed: Mapping[str, Scalar] | None = None,
) -> ReadReply:
    """Return the points of a reply that belong to the space and are new; never raises.

    Args:
        text: the reply; JSON as `reply_schema` describes it, alone or within other text.
        space: of the study.
        taken: keys of the points that have been tried or run now.
        fixed: values that every point has to keep.
    """
    document = reply_document(text)
    if document is None:
        return ReadReply((), "", ("the reply holds no JSON object with a list `points`.",))
    rationale = document.get("rationale")
    points: list[ReadPoint] = []
    refused: list[str] = []
    known = set(taken)
    for i, given in enumerate(document["points"][:MAX_POINTS]):
        try:
            point = _point(given, space, fixed or {})
        except TunekitError as error:
            refused.append(f"points[{i}]: {error.message}")
            continue
        key = key_of(point.params)
        if key in known:
            refused.append(f"points[{i}]: it has been tried or stands in the list already.")
            continue
        known.add(key)
        points.append(point)
    if not document["points"]:
        refused.append("the list `points` is empty.")
    ranges, wrong = read_ranges(document.get("ranges"), space)
    refused += wrong
    said = rationale[:MAX_RATIONALE] if isinstance(rationale, str) else ""
    return ReadReply(tuple(points), said, tuple(refused[:MAX_REFUSALS]), ranges)


def reply_document(text: str) -> dict[str, Any] | None:
    """Return the first JSON object of a text that has a list of points."""
    for found in json_objects(text):
        if isinstance(found.get("points"), list):
            return found
    return None


def _point(given: object, space: Space, fixed: Mapping[str, Scalar]) -> ReadPoint:
    """Return one point of a reply.

    Raises:
        TunekitError: it is not a point of the space; the message says why.
    """
    if not isinstance(given, Mapping):
        raise TunekitError(f"got {shown(given)}, expected an object path -> value.")
    values: dict[str, object] = dict(space.target)
    for name, value in flat_values(given, space):
        path = space.resolve(name)
        values[path] = read_value(value, space, path)
    values |= fixed
    active = _active(space, values)
    kept = {path: values[path] for path in active if path in values}
    point = space.validate({**active, **kept})
    filled = tuple(path for path in point if path not in values)
    return ReadPoint(point, filled)


def _active(space: Space, values: Mapping[str, object]) -> dict[str, Scalar]:
    """Return the default of each parameter that the given values make active, by path."""
    chosen: dict[str, Any] = {}
    found: dict[str, Scalar] = {}
    for parameter in space:  # parents precede their children
        if parameter.is_active(chosen):
            default = parameter.domain.default_value()
            found[parameter.path] = default
            given = values.get(parameter.path, default)
            chosen[parameter.path] = parameter.domain.validate(given, parameter.path)
    return found
