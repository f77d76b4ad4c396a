"""The limits of what a study may spend on advice."""

from __future__ import annotations

from dataclasses import dataclass

from tunekit.checks import check_number, check_whole
from tunekit.samplers.llm.past_advice import Spent


@dataclass(frozen=True, slots=True)
class SpendingLimits:
    """What all requests of a study may cost together; `None` for no limit.

    Raises:
        InvalidArgument: a limit is negative or no number.
    """

    dollars: float | None = None
    tokens: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.dollars is not None:
            check_number(self.dollars, "llm: max_dollars", low=0, high=1e6)
        check_whole(self.tokens, "llm: max_tokens", low=0, optional=True)
        if self.seconds is not None:
            check_number(self.seconds, "llm: max_seconds", low=0, high=1e8)

    def reached(self, spent: Spent) -> str:
        """Return which limit has been reached, as words; empty if none."""
        if self.dollars is not None and spent.dollars >= self.dollars:
            return f"{spent.dollars:.2f} of {self.dollars:.2f} dollars are spent"
        if self.tokens is not None and spent.tokens >= self.tokens:
            return f"{spent.tokens:,} of {self.tokens:,} tokens are used"
        if self.seconds is not None and spent.seconds >= self.seconds:
            return f"{spent.seconds:.0f} of {self.seconds:.0f} seconds are used"
        return ""
