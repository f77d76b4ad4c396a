"""The entries of a study's log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

EventKind: TypeAlias = Literal[
    "enqueued",
    "added",
    "claimed",
    "started",
    "checkpoint",
    "released",
    "preempted",
    "paused",
    "promoted",
    "told",
    "lost",
    "study",
    "space",
    "attrs",
]


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a study's append-only log."""

    seq: int
    kind: EventKind
    number: int | None
    at: float
    data: Mapping[str, Any] = field(default_factory=dict)
