"""Counts what an agent has used up, from the studies themselves, so that no restart resets it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tunekit.errors import QuotaReached
from tunekit.records import StudyRecord, TrialRecord
from tunekit.shown import counted

AGENT = "agent"
"""Attribute of the studies that an agent has created, and of the trials that it was given."""

EPOCH = "agent_epoch"
"""Attribute of a trial: the lease under which the agent was given it."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a person allows an agent.

    Attributes:
        agent: name under which it is counted.
        max_trials: most trials that it is given, in all studies together.
        max_studies: most studies that it creates.
    """

    agent: str
    max_trials: int
    max_studies: int

    def created(self, record: StudyRecord) -> bool:
        """Return whether the agent created a study."""
        return bool(record.spec.attrs.get(AGENT) == self.agent)

    def was_given(self, trial: TrialRecord) -> bool:
        """Return whether the agent was given a trial."""
        return bool(trial.user_attrs.get(AGENT) == self.agent)

    def holds(self, trial: TrialRecord) -> bool:
        """Return whether the agent was given a trial and nobody else has taken it since."""
        return self.was_given(trial) and trial.user_attrs.get(EPOCH) == trial.epoch

    def mark(self, epoch: int) -> dict[str, object]:
        """Return the attributes of a trial that the agent is given under a lease."""
        return {AGENT: self.agent, EPOCH: epoch}

    def n_given(self, histories: Iterable[Iterable[TrialRecord]]) -> int:
        """Return the number of trials that the agent was given."""
        return sum(self.was_given(trial) for trials in histories for trial in trials)

    def check_trials(self, n: int) -> None:
        """Check that the agent may have `n` trials.

        Raises:
            QuotaReached: that is more than it may have.
        """
        _check(
            n,
            self.max_trials,
            counted(self.max_trials, "trial"),
            "Report the best result",
            option="--max-trials",
        )

    def check_studies(self, n: int) -> None:
        """Check that the agent may have created `n` studies.

        Raises:
            QuotaReached: that is more than it may create.
        """
        _check(
            n,
            self.max_studies,
            f"{counted(self.max_studies, 'study')} to create",
            "Continue in a study that list_studies shows",
            option="--max-studies",
        )


def _check(n: int, most: int, what: str, advice: str, *, option: str) -> None:
    if n > most:
        raise QuotaReached(
            f"the budget of {what} is used up. {advice}; only the person who started this server "
            f"can raise {option}."
        )
