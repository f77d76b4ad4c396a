"""Combines several stoppers: the first one that stops or pauses a trial wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunekit import registry
from tunekit.errors import InvalidArgument
from tunekit.records import CONTINUE, Decision
from tunekit.stoppers.base import CurveView, Stopper


class FirstStopper:
    """Asks its stoppers in order and returns the first decision other than to continue.

    Args:
        stoppers: short names or instances, in order.
        options: keyword arguments by short name, such as `{"asha": {"eta": 3}}`.

    Raises:
        InvalidArgument: no stoppers are given, one is given twice, or options name another one.
    """

    name = "first"

    def __init__(
        self,
        stoppers: Sequence[str | Stopper],
        *,
        options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        names = [s for s in stoppers if isinstance(s, str)]
        strangers = sorted(set(options or {}) - set(names))
        if not stoppers or isinstance(stoppers, str) or len(set(names)) < len(names):
            raise InvalidArgument(f"stoppers={stoppers!r}, expected one or more distinct ones.")
        if strangers or not all(isinstance(o, Mapping) for o in (options or {}).values()):
            raise InvalidArgument(
                f"options={dict(options or {})!r}, expected options by the short names "
                f'{names}, such as {{"asha": {{"eta": 3}}}}.'
            )
        self.stoppers: list[Stopper] = [
            registry.make("stopper", s, (options or {}).get(s)) if isinstance(s, str) else s
            for s in stoppers
        ]
        for stopper in self.stoppers:
            if not callable(getattr(stopper, "decide", None)):
                raise InvalidArgument(f"stopper {stopper!r}, expected a short name or a Stopper.")

    def decide(self, number: int, view: CurveView) -> Decision:
        """Return the first decision other than to continue, with the name of its stopper."""
        for stopper in self.stoppers:
            decision = stopper.decide(number, view)
            if decision.action != "continue":
                evidence = {**decision.evidence, "stopper": stopper.name}
                return Decision(decision.action, decision.reason, evidence)
        return CONTINUE

    def promote(self, view: CurveView) -> Mapping[int, str]:
        """Return the paused trials that one of its stoppers promotes, with reasons."""
        found: dict[int, str] = {}
        for stopper in self.stoppers:
            promote = getattr(stopper, "promote", None)
            for number, why in (promote(view) if promote is not None else {}).items():
                found.setdefault(number, why)
        return found
