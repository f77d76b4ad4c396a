"""A study that takes part in a shared run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from tunekit.checks import is_whole
from tunekit.driver.orchestrator import Orchestrator
from tunekit.errors import InvalidArgument
from tunekit.executors.trial import Trial
from tunekit.sharing.pool import Slice
from tunekit.studies.study import Study


@dataclass(slots=True)
class Member:
    """A study with what it may claim.

    Attributes:
        most: slots that it holds at most.
        served: slot-seconds that it has had.
        is_away: whether it neither runs nor waits for anything.
    """

    study: Study
    objective: Callable[[Trial], Any]
    runner: Orchestrator
    slice: Slice
    owner: str
    weight: float
    priority: int
    stack: ExitStack
    most: int | None = None
    served: float = 0.0
    is_away: bool = True

    def open(self) -> None:
        """Prepare to run its trials."""
        self.stack.enter_context(self.runner.opened(self.objective))


def check_priority(priority: object) -> None:
    """Check a priority.

    Raises:
        InvalidArgument: it is not a whole number.
    """
    if not is_whole(priority):
        raise InvalidArgument(f"priority={priority!r}, expected a whole number, for example 1.")
