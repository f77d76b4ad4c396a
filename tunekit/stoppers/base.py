"""The stopper contract: decides whether a running trial continues, with reason and evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tunekit.errors import InvalidArgument
from tunekit.history import History
from tunekit.records import Decision, ObjectiveSpec, Report


@dataclass(frozen=True, slots=True)
class CurveView:
    """Everything a stopper may read: the study's trials and all their reports so far.

    Attributes:
        history: finished and running trials.
        reports: trial number -> its reports in order of step.
    """

    objectives: tuple[ObjectiveSpec, ...]
    history: History
    reports: Mapping[int, Sequence[Report]]


class Stopper(Protocol):
    """Decides on running trials, as a pure function of the view."""

    name: str

    def decide(self, number: int, view: CurveView) -> Decision:
        """Return the decision on trial `number` after its latest report."""
        ...


class Promoter(Stopper, Protocol):
    """A stopper that pauses trials and later resumes some of them."""

    def promote(self, view: CurveView) -> Mapping[int, str]:
        """Return the paused trials to resume now, with the reason for each.

        A pure function of the view, called when a slot is free, before a new trial is created.
        """
        ...


def check_works(stopper: Stopper | None, objectives: tuple[ObjectiveSpec, ...]) -> None:
    """Check that a stopper of ours accepts a study, by asking it about an empty one.

    If it refuses that (a metric that is not an objective, several objectives where it handles
    one), it would refuse every trial. A third-party stopper may not expect the question.

    Raises:
        InvalidArgument: as its `decide` does.
    """
    if type(stopper).__module__.partition(".")[0] == "tunekit" and stopper is not None:
        stopper.decide(0, CurveView(objectives, History(objectives), {}))


def checked_decision(decision: object, name: str) -> Decision:
    """Return the decision of the named stopper.

    Raises:
        InvalidArgument: it is not a `Decision`.
    """
    if isinstance(decision, Decision):
        return decision
    raise InvalidArgument(
        f'the stopper "{name}" returned {decision!r}, expected a Decision; return '
        "tunekit.records.CONTINUE to let a trial continue."
    )
