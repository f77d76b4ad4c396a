"""Paused trials that a stopper lets go on, before new ones are made."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import cast

from tunekit.ledger import Ledger
from tunekit.stoppers.base import CurveView, Promoter, Stopper
from tunekit.trial import Report


class Promotions:
    """Asks a stopper that pauses trials which of them go on.

    Args:
        ledger: of the study.
        stopper: one without `promote` never promotes.
        curves: the reports of all trials, kept up to date by the loop.
    """

    def __init__(
        self, ledger: Ledger, stopper: Stopper | None, curves: dict[int, list[Report]]
    ) -> None:
        self._ledger = ledger
        self._curves = curves
        can_promote = callable(getattr(stopper, "promote", None))
        self._promoter = cast(Promoter, stopper) if can_promote else None

    @property
    def can_promote(self) -> bool:
        """Return whether the stopper promotes at all."""
        return self._promoter is not None

    def due(self) -> Mapping[int, str]:
        """Return the paused trials that may go on by now, with why; nothing is written."""
        if self._promoter is None or not self._ledger.history.n_paused:
            return {}
        history = self._ledger.history
        view = CurveView(self._ledger.record.spec.objectives, history, self._curves)
        return self._promoter.promote(view)

    def promote(self, free: int) -> list[int]:
        """Let up to `free` paused trials wait for a worker; return their numbers."""
        chosen = dict(islice(self.due().items(), free))
        promoted = self._ledger.storage.promote(self._ledger.record.id, chosen) if chosen else []
        if chosen:
            self._ledger.refresh()
        return promoted
