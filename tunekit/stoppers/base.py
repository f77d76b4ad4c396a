"""The stopper contract: decides, with a reason and evidence, whether a running trial goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tunekit.errors import InvalidArgument
from tunekit.history import History
from tunekit.records import Decision, Objective, Report


@dataclass(frozen=True, slots=True)
class CurveView:
    """What a stopper may know: the study's trials and the reports of all of them so far.

    Attributes:
        history: finished and running trials.
        reports: trial number -> its reports in order of step.
    """

    objectives: tuple[Objective, ...]
    history: History
    reports: Mapping[int, Sequence[Report]]


class Stopper(Protocol):
    """Decides on running trials; a pure function of what it is shown."""

    name: str

    def decide(self, number: int, view: CurveView) -> Decision:
        """Return what becomes of trial `number` after its latest report."""
        ...


class Promoter(Stopper, Protocol):
    """A stopper that pauses trials and later lets some of them go on."""

    def promote(self, view: CurveView) -> Mapping[int, str]:
        """Return the paused trials that go on now, with the reason for each.

        A pure function of the view, asked for when a slot is free and before a new trial is made.
        """
        ...


def check_works(stopper: Stopper | None, objectives: tuple[Objective, ...]) -> None:
    """Ask a stopper about a study in which nothing has happened yet.

    What it refuses of that (a metric that is no objective, several objectives where it follows
    one) it would refuse of each trial.

    Raises:
        InvalidArgument: as its `decide` does.
    """
    if stopper is None:
        return
    try:
        stopper.decide(0, CurveView(objectives, History(objectives), {}))
    except InvalidArgument:
        raise
    except Exception:  # noqa: S110 - one of somebody else's may count on a report
        pass


def checked_decision(decision: object, name: str) -> Decision:
    """Return the decision of a stopper of this name.

    Raises:
        InvalidArgument: it is something else.
    """
    if isinstance(decision, Decision):
        return decision
    raise InvalidArgument(
        f'the stopper "{name}" returned {decision!r}, expected a Decision; return '
        "tunekit.records.CONTINUE where a trial goes on."
    )
