"""Says in a sentence what an event of a study was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.storages.events import Event, EventKind

_OF_TRIAL: Mapping[EventKind, str] = {
    "enqueued": "was put into the queue",
    "added": "was added with its result",
    "claimed": "was taken by a worker",
    "started": "began to run",
    "checkpoint": "saved a checkpoint",
    "released": "was given back by its worker and waits",
    "preempted": "made room for another study",
    "paused": "rests until it is promoted",
    "promoted": "was promoted and goes on",
    "lost": "was lost with its worker",
    "attrs": "got attributes",
}
_ENDS: Mapping[str, str] = {
    "complete": "is complete",
    "stopped": "was stopped early",
    "diverged": "diverged",
    "failed": "failed",
    "lost": "was lost: its workers vanished too often",
    "cancelled": "was cancelled",
}
_STATES: Mapping[str, str] = {
    "active": "The study is active: workers start trials.",
    "paused": "The study was paused: no trial starts.",
    "stopped": "The study was stopped: running trials finish.",
    "cancelled": "The study was cancelled: running trials end at once.",
}


def event_sentence(event: Event) -> str:
    """Return what happened in a sentence, without texts that users typed."""
    data = event.data
    if event.number is not None:
        return f"Trial {event.number} {_of_trial(event.kind, data)}."
    if event.kind == "study":
        return _STATES.get(str(data.get("state")), "The goal of the study was changed.")
    if event.kind == "space":
        version = data.get("version")
        return f"The space got version {version}." if version else "The space was changed."
    if event.kind == "attrs":
        return "Attributes of the study were changed."
    return "The study was changed."


def _of_trial(kind: EventKind, data: Mapping[str, Any]) -> str:
    if kind == "told":
        return _ENDS.get(str(data.get("state")), "has ended")
    return _OF_TRIAL.get(kind, "was changed")
