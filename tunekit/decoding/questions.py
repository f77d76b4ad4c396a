"""Holds the questions of a decoding study: which ones tune, which are held out, in which order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from tunekit.checks import check_number, check_text, shown
from tunekit.errors import InvalidArgument
from tunekit.identifiers import digest

LEAST = 10
"""Fewest questions to tune on: with fewer, no loss of accuracy could be told from chance."""

_ORDER, _SPLIT = 1, 2
"""Random streams of a study's seed."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its right answer."""

    text: str
    answer: str


Questions: TypeAlias = Sequence[Question | Mapping[str, str] | tuple[str, str]]


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions, split by the seed into those that tune and those that only check the winner.

    Attributes:
        questions: all of them.
        tuning: indices of those that trials are asked.
        held_out: indices of those that no trial is asked.
        seed: of the split and of the orders.
    """

    questions: tuple[Question, ...]
    tuning: tuple[int, ...]
    held_out: tuple[int, ...]
    seed: int

    def order(self, number: int) -> tuple[int, ...]:
        """Return the order in which a trial is asked the tuning questions."""
        rng = np.random.default_rng([self.seed, _ORDER, number])
        return tuple(self.tuning[i] for i in rng.permutation(len(self.tuning)))

    def digest(self) -> str:
        """Return a text that changes with any question and with their order."""
        content = json.dumps([[q.text, q.answer] for q in self.questions])
        return digest(content.encode(), n_bytes=16).hex()


def question_set(given: Questions, *, held_out: float, seed: int) -> QuestionSet:
    """Return the questions with their split.

    Args:
        given: `Question`s, pairs, or mappings with `question` and `answer`.
        held_out: share of the questions that is held out, from 0 to 0.9.
        seed: of the split.

    Raises:
        InvalidArgument: one is not a question, appears twice, or too few are left to tune on.
    """
    check_number(held_out, "held_out", low=0.0, high=0.9)
    found = tuple(_question(q) for q in given)
    if len({q.text for q in found}) < len(found):
        twice = next(q.text for i, q in enumerate(found) if q.text in {x.text for x in found[:i]})
        raise InvalidArgument(
            f"the question {shown(twice)} appears twice; pairs need different questions."
        )
    n_out = round(held_out * len(found))
    if len(found) - n_out < LEAST:
        raise InvalidArgument(
            f"{len(found)} questions with held_out={held_out:g} leave {len(found) - n_out} to "
            f"tune on, expected {LEAST} or more; some hundred tell a small loss from chance."
        )
    shuffled = np.random.default_rng([seed, _SPLIT]).permutation(len(found)).tolist()
    return QuestionSet(
        found, tuple(sorted(shuffled[n_out:])), tuple(sorted(shuffled[:n_out])), seed
    )


def _question(given: Question | Mapping[str, str] | tuple[str, str]) -> Question:
    if isinstance(given, Question):
        text, answer = given.text, given.answer
    elif isinstance(given, Mapping) and {"question", "answer"} <= given.keys():
        text, answer = given["question"], given["answer"]
    elif isinstance(given, Sequence) and not isinstance(given, str) and len(given) == 2:
        text, answer = given
    else:
        raise InvalidArgument(
            f'{shown(given)} is not a question; give a mapping with "question" and "answer".'
        )
    check_text(text, "question")
    check_text(answer, "answer")
    return Question(text, answer)
