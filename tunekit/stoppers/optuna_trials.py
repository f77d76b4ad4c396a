"""Trials in Optuna's form by number and state, as its samplers and pruners ask for them.

Importing this module imports Optuna.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container

from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState


class _Ordered:
    """Trials in order of their numbers."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.trials: list[FrozenTrial] = []

    def put(self, trial: FrozenTrial) -> None:
        number = trial.number
        i = bisect_left(self.numbers, number)
        if i < len(self.numbers) and self.numbers[i] == number:
            self.trials[i] = trial
        else:
            self.numbers.insert(i, number)
            self.trials.insert(i, trial)

    def remove(self, number: int) -> None:
        i = bisect_left(self.numbers, number)
        del self.numbers[i], self.trials[i]


class OptunaTrials:
    """Trials by number; a change costs the same however many there are.

    Its trials are never modified, only replaced, because a sampler or a pruner holds lists of
    earlier ones.
    """

    def __init__(self) -> None:
        self._by_number: dict[int, FrozenTrial] = {}
        self._all = _Ordered()
        self._of_state: dict[OptunaState, _Ordered] = {}

    def __contains__(self, number: object) -> bool:
        return number in self._by_number

    def __getitem__(self, number: int) -> FrozenTrial:
        return self._by_number[number]

    def __len__(self) -> int:
        return len(self._by_number)

    def put(self, trial: FrozenTrial) -> None:
        """Insert a trial, or replace the one of its number."""
        before = self._by_number.get(trial.number)
        if before is not None and before.state is not trial.state:
            self._of_state[before.state].remove(trial.number)
        self._by_number[trial.number] = trial
        self._all.put(trial)
        self._of_state.setdefault(trial.state, _Ordered()).put(trial)

    def remove(self, number: int) -> None:
        """Remove a trial, if it is there."""
        trial = self._by_number.pop(number, None)
        if trial is not None:
            self._all.remove(number)
            self._of_state[trial.state].remove(number)

    def count(self, *states: OptunaState) -> int:
        """Return the number of trials in some states."""
        return sum(len(self._of_state[s].numbers) for s in states if s in self._of_state)

    def of(self, states: Container[OptunaState] | None = None) -> list[FrozenTrial]:
        """Return a new list of the trials in some states, or of all, by number."""
        if states is None:
            return [*self._all.trials]
        found = [of for state, of in self._of_state.items() if of.numbers and state in states]
        if len(found) == 1:
            return [*found[0].trials]
        return sorted((t for of in found for t in of.trials), key=lambda t: t.number)
