"""Detects nodes and devices that fail trials which would succeed elsewhere."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TypeAlias

Place: TypeAlias = tuple[str, ...]
"""A node, or a node with its devices."""

# A trial fails with this probability where nothing else is known: one of four.
_PRIOR_FAILURES, _PRIOR_TRIALS = 0.5, 2.0
CREDIBLE = 0.02


@dataclass(slots=True)
class _Tally:
    trials: int = 0
    failures: int = 0
    streak: int = 0


class Quarantine:
    """Counts how trials end at each place and identifies sick places.

    A place is sick after `after` consecutive failures, unless trials fail so often elsewhere that
    such a series is likely (probability above 2 %): then the objective is to blame.

    Args:
        after: failures in a row; 0 to never name a place.
    """

    def __init__(self, after: int) -> None:
        self._after = after
        self._tallies: defaultdict[Place, _Tally] = defaultdict(_Tally)
        self._all = _Tally()

    def note(self, node: str, devices: tuple[str, ...], *, is_failure: bool) -> Place | None:
        """Record the end of a trial; return a place found to be sick, if any.

        The node as a whole comes before the devices that the trial held.
        """
        places = [(node,), (node, *devices)] if devices else [(node,)]
        for tally in (self._all, *(self._tallies[p] for p in places)):
            tally.trials += 1
            tally.failures += is_failure
            tally.streak = tally.streak + 1 if is_failure else 0
        return next((p for p in places if is_failure and self._is_sick(self._tallies[p])), None)

    def streak(self, place: Place) -> int:
        """Return the number of consecutive failures at a place."""
        return self._tallies[place].streak

    def _is_sick(self, tally: _Tally) -> bool:
        if not self._after or tally.streak < self._after:
            return False
        failures = self._all.failures - tally.failures + _PRIOR_FAILURES
        share = min(1.0, failures / (self._all.trials - tally.trials + _PRIOR_TRIALS))
        return bool(share**tally.streak <= CREDIBLE)
