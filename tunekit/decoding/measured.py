"""What a point of the space has done on questions: answers, tokens, dollars and seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Unit: TypeAlias = Literal["tokens", "dollars", "seconds"]


@dataclass(frozen=True, slots=True)
class Given:
    """One answered question.

    Attributes:
        is_correct: whether the answer is right.
        tokens: of prompt and reply together.
        dollars: price, 0 where no price list is known.
        seconds: from the request to the end of the reply.
    """

    is_correct: bool
    tokens: int
    dollars: float
    seconds: float


@dataclass(slots=True)
class Measured:
    """Answered questions by index, in the order in which they were asked."""

    given: dict[int, Given] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.given)

    @property
    def n_correct(self) -> int:
        """Return how many answers are right."""
        return sum(g.is_correct for g in self.given.values())

    @property
    def accuracy(self) -> float:
        """Return the share of right answers."""
        return self.n_correct / max(len(self.given), 1)

    def cost(self, unit: Unit) -> float:
        """Return the tokens, dollars or seconds of all answers."""
        return float(sum(getattr(g, unit) for g in self.given.values()))

    def per_correct(self, unit: Unit) -> float:
        """Return the cost for each right answer; half an answer counts where none is right."""
        return self.cost(unit) / max(self.n_correct, 0.5)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "asked": list(self.given),
            "correct": "".join("1" if g.is_correct else "0" for g in self.given.values()),
            "tokens": [g.tokens for g in self.given.values()],
            "dollars": [round(g.dollars, 9) for g in self.given.values()],
            "seconds": [round(g.seconds, 3) for g in self.given.values()],
        }

    @classmethod
    def from_dict(cls, doc: Mapping[str, Any]) -> Measured:
        """Return what `to_dict` wrote."""
        columns = (doc["asked"], doc["correct"], doc["tokens"], doc["dollars"], doc["seconds"])
        return cls({i: Given(c == "1", t, d, s) for i, c, t, d, s in zip(*columns, strict=True)})


def measure(
    ask: Callable[[Sequence[int]], list[Given]],
    order: Sequence[int],
    *,
    at_once: int,
    after: Callable[[Measured], bool] = lambda measured: False,
) -> Measured:
    """Return the answers to questions, asked in batches.

    Args:
        ask: asks questions by index, at the same time.
        order: of the questions.
        at_once: questions of a batch.
        after: called after each batch; returns whether to ask no more.
    """
    measured = Measured()
    for start in range(0, len(order), at_once):
        batch = order[start : start + at_once]
        measured.given.update(zip(batch, ask(batch), strict=True))
        if after(measured):
            break
    return measured
