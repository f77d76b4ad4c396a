"""Defines the bodies of requests and answers that client and service share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tunekit.records import Branch, Report, StudyRecord, StudyState, TrialRecord
from tunekit.storages.base import Exchange
from tunekit.storages.events import Event

MAX_ANSWER_BYTES = 200_000
"""Longest answer of the service; a reader continues with the cursor of the last one."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, and what the service offers.

    Attributes:
        user: name of the account or machine token; empty where the service has no accounts.
        project: project of a storage URL that names none.
        version: version of the service.
        kind: whether the token is a person's, a machine's, or none is needed.
        is_operator: whether the caller may manage users here.
        csrf: value of the header `X-CSRF-Token`, where the caller is known by a cookie.
    """

    user: str
    project: str
    version: str
    kind: Literal["user", "machine", "open"] = "open"
    is_operator: bool = False
    csrf: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class StudyPatch:
    """A change of a study: a new state, attributes to merge, or both."""

    state: StudyState | None = None
    attrs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StudyName:
    """Another name of a study."""

    name: str


@dataclass(frozen=True, slots=True)
class StudyRecordPage:
    """Studies in order of name; `after` continues the list, `None` at its end."""

    studies: tuple[StudyRecord, ...]
    after: str | None = None


@dataclass(frozen=True, slots=True)
class SpaceVersion:
    """One version of a study's search space."""

    version: int
    space: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SpacePage:
    """Versions of a space from the first; `more` says whether there are later ones."""

    versions: tuple[SpaceVersion, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class ChangePage:
    """Changed trials by `seq`; `more` says whether `cursor` is not yet the last change."""

    trials: tuple[TrialRecord, ...]
    cursor: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class TrialCursor:
    """A trial whose reports are asked for, from the step after `after_step`, or all."""

    number: int
    after_step: int | None = None


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """Asks for reports in order of number and step.

    Attributes:
        trials: trials to read.
        every: whether to read all trials; `trials` then only says what is known of some.
        first: with `every`, number of the first trial to read.
        limit: maximum number of reports.
    """

    trials: tuple[TrialCursor, ...] = ()
    every: bool = False
    first: int = 0
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class TrialReports:
    """The reports of one trial in order of step."""

    number: int
    reports: tuple[Report, ...]


@dataclass(frozen=True, slots=True)
class ReportPage:
    """Reports in order of number and step; `more` says whether the last trial goes on."""

    trials: tuple[TrialReports, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events in order; `more` says whether later ones were left out."""

    events: tuple[Event, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class Enqueue:
    """Appends waiting trials with the given, maybe partial, params."""

    points: tuple[Mapping[str, Any], ...]
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    branch: Branch | None = None


@dataclass(frozen=True, slots=True)
class AddTrials:
    """Appends trials that ran elsewhere, with their reports."""

    trials: tuple[TrialRecord, ...]
    reports: tuple[TrialReports, ...] = ()


@dataclass(frozen=True, slots=True)
class TrialReason:
    """A trial and a reason for what is to happen to it."""

    number: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Promote:
    """Queues paused trials again."""

    trials: tuple[TrialReason, ...]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ends an unfinished trial."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class HeldLease:
    """A lease by its number and epoch."""

    number: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Expire:
    """Ends the leases of workers that are known to be dead."""

    leases: tuple[HeldLease, ...]


@dataclass(frozen=True, slots=True)
class TrialAttrs:
    """User attributes to merge into a trial's."""

    attrs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RetryTrial:
    """Runs an ended trial again; from its last checkpoint, if it has one and that is wanted."""

    from_checkpoint: bool = False


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of a study, which replace those it has."""

    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers of trials that a request created or changed."""

    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """Whether a request changed anything."""

    changed: bool


@dataclass(frozen=True, slots=True)
class ExchangeAnswer:
    """The answer of an exchange; `more` says whether changes were left out at its end."""

    exchange: Exchange
    more: bool = False


def by_number(pages: Sequence[TrialReports]) -> dict[int, tuple[Report, ...]]:
    """Return reports by the number of their trial."""
    return {t.number: t.reports for t in pages}
