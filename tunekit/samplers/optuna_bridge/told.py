"""A study's history as Optuna's trials, kept from one suggestion to the next.

Importing this module imports Optuna.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optuna.samplers import BaseSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from tunekit.history import History
from tunekit.records import TrialRecord
from tunekit.samplers.optuna_bridge.codec import Codec, kept_attrs, told_trial
from tunekit.stoppers.optuna_trials import OptunaTrials


class ToldTrials:
    """The data given to Optuna's samplers: trials, and the attributes they keep on the study.

    Args:
        codec: of the space of the study.

    Attributes:
        trials: with known params, in Optuna's form.
    """

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.trials = OptunaTrials()
        self._history: History | None = None
        self._n_read = 0
        self._records: dict[int, TrialRecord] = {}  # as they are told
        self._apart: set[int] = set()  # trials that are not told as the history has them
        self._noted: dict[int, dict[str, Any]] = {}  # study attributes by the trial that set them
        self._attrs: dict[str, Any] | None = {}
        self._spaces: dict[str, IntersectionSearchSpace] = {}
        self._highest = -1

    @property
    def n_pending(self) -> int:
        """Return the number of trials that have not ended."""
        return self.trials.count(OptunaState.RUNNING, OptunaState.WAITING)

    @property
    def attrs(self) -> dict[str, Any]:
        """Return the attributes of the study; a later trial overrides an earlier one."""
        if self._attrs is None:
            noted = sorted(self._noted.items())
            self._attrs = {key: value for _, attrs in noted for key, value in attrs.items()}
        return self._attrs

    def follow(self, history: History, without: Sequence[int]) -> None:
        """Take over what has changed in the history since the last call.

        Args:
            history: of the study; another object than before is read as a whole.
            without: numbers of the trials to suggest, of which Optuna is told nothing.
        """
        if history is not self._history:
            self._history, self._n_read = history, 0
            self._apart |= self._records.keys()
        changed = {*history.changes[self._n_read :], *self._apart, *without}
        for number in sorted(changed):
            self._put(number, None if number in without else history.get(number))
        self._n_read = len(history.changes)
        self._apart = set(without)

    def add(self, record: TrialRecord) -> None:
        """Tell a trial that has just been suggested, until the next `follow`."""
        self._put(record.number, record)

    def lend(self, sampler: BaseSampler, number: int) -> None:
        """Give a sampler, before it suggests a trial, the search spaces derived so far.

        Otherwise it would derive them from all trials once more, or from another past.
        """
        self._highest = max(self._highest, number)
        for name, value in vars(sampler).items():
            if isinstance(value, IntersectionSearchSpace):
                if name not in self._spaces:
                    self._spaces[name] = IntersectionSearchSpace(value._include_pruned)
                setattr(sampler, name, self._spaces[name])

    def _put(self, number: int, record: TrialRecord | None) -> None:
        if self._records.get(number) is record:
            return
        trial: FrozenTrial | None = None
        attrs: dict[str, Any] = {}
        if record is None:
            del self._records[number]
        else:
            assert self._history is not None, "`follow` comes first"
            trial = told_trial(record, self._history, self.codec)
            attrs = kept_attrs(record, self.codec, "study")
            self._records[number] = record
        # A search space takes over each trial once it has ended, in order of the numbers.
        known = self.trials[number] if number in self.trials else None
        if number < self._highest if known is None else known.state.is_finished():
            self._spaces.clear()
        if trial is None:
            self.trials.remove(number)
        else:
            self.trials.put(trial)
            self._highest = max(self._highest, number)
        if attrs != self._noted.get(number, {}):
            self._noted[number] = attrs
            self._attrs = None
