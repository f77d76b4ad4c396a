"""Defines what a share link shows of its study.

The records hold what was chosen to be shown, and not what was left over: a new field of a trial
is hidden until somebody adds it here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tunekit.records import MetricConstraint, Metrics, ObjectiveSpec, StudyState, TrialState
from tunekit.storages.events import EventKind


@dataclass(frozen=True, slots=True)
class OpenShare:
    """Opens a share link in a browser, which then keeps its secret in a cookie."""

    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OpenedShare:
    """A share link that a browser has opened; `name` stands for it in addresses of pages."""

    name: str
    expires: float


@dataclass(frozen=True, slots=True)
class SharedStudy:
    """A study as its share links show it; `expires` is when this link does."""

    name: str
    objectives: tuple[ObjectiveSpec, ...]
    constraints: tuple[MetricConstraint, ...]
    space: Mapping[str, Any] | None
    sampler: str
    stopper: str
    state: StudyState
    seq: int
    n_trials: int
    created: float
    expires: float


@dataclass(frozen=True, slots=True)
class SharedTrial:
    """A trial as share links show it: without worker, error, attributes and checkpoints."""

    number: int
    seq: int
    state: TrialState
    params: Mapping[str, Any] | None
    metrics: Metrics
    sampler: str
    reason: str
    end_reason: str
    space_version: int
    created: float
    started: float | None
    finished: float | None


@dataclass(frozen=True, slots=True)
class SharedTrialPage:
    """Changed trials by `seq`; `more` says whether `cursor` is not yet the last change."""

    trials: tuple[SharedTrial, ...]
    cursor: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class SharedEvent:
    """An entry of the log of a study, without what it says of workers."""

    seq: int
    kind: EventKind
    number: int | None
    at: float


@dataclass(frozen=True, slots=True)
class SharedEventPage:
    """Events in order; `more` says whether later ones were left out."""

    events: tuple[SharedEvent, ...]
    more: bool = False
