"""Limits a suggestion to as many trials as fit well into its deadline."""

from __future__ import annotations

from collections import OrderedDict

SHARE = 0.3
"""Part of the deadline that a suggestion should take: the next one may be slower."""

FIRST = 16
"""Trials of the first suggestion for a study, of which nothing is known."""

MOST = 64
MAX_STUDIES = 1000


class SuggestTimes:
    """Remembers how long the sampler of each study took for a trial.

    Args:
        deadline_s: seconds for a suggestion.
    """

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._s_per_trial: OrderedDict[int, float] = OrderedDict()

    def size(self, study_id: int) -> int:
        """Return the number of trials to suggest at once, 1 to 64."""
        took = self._s_per_trial.get(study_id)
        if took is None:
            return FIRST
        return int(min(max(SHARE * self._deadline_s / max(took, 1e-6), 1.0), MOST))

    def most(self, study_id: int, n_requests: int) -> int:
        """Return the number of trials for each of several requests, at least 1."""
        return max(self.size(study_id) // n_requests, 1)

    def note(self, study_id: int, n_trials: int, took_s: float) -> None:
        """Note how long a suggestion took."""
        self._s_per_trial[study_id] = took_s / n_trials
        self._s_per_trial.move_to_end(study_id)
        if len(self._s_per_trial) > MAX_STUDIES:
            self._s_per_trial.popitem(last=False)
