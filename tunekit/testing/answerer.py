"""A simulated model that solves sums, whose accuracy and length follow from how it is decoded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import product
from typing import Any

from tunekit.testing.openai_server import Said

OWN_SHARE = 0.15
"""How much of a question's difficulty is drawn for each point of the space."""


@dataclass(frozen=True)
class SimulatedAnswerer:
    """Answers requests for sums, right or wrong by a known law.

    The best accuracy is at temperature 0.3, with 5 steps or more; steps and plans cost tokens.
    A question that is hard is hard at every point, so that pairs tell more than averages.

    Attributes:
        n: questions.
        tells_tokens: whether replies come with their token counts.
        extra: prompt text -> what it adds to the accuracy and to the tokens.
    """

    n: int = 400
    tells_tokens: bool = True
    extra: Mapping[str, tuple[float, int]] = field(default_factory=dict)

    def questions(self) -> list[dict[str, str]]:
        """Return the questions with their answers."""
        return [
            {"question": f"What is {i + 3} + {7 * i % 97}?", "answer": str(i + 3 + 7 * i % 97)}
            for i in range(self.n)
        ]

    def __call__(self, request: dict[str, Any]) -> Said:
        """Return how a request is answered."""
        text = "\n".join(m["content"] for m in request["messages"])
        found = re.search(r"What is (\d+) \+ (\d+)\?", text)
        assert found is not None, text
        params = {
            "temperature": float(request.get("temperature", 1.0)),
            "top_p": float(request.get("top_p", 1.0)),
            "reasoning_steps": _number(r"at most (\d+) numbered", text, 12),
            "planning_period": _number(r"every (\d+) steps", text, 1),
        }
        more = next((v for k, v in self.extra.items() if k in text), (0.0, 0))
        tokens = self.tokens(params) + more[1]
        is_right = self._hardness(found[0], params) < self.accuracy(params) + more[0]
        answer = int(found[1]) + int(found[2]) + (0 if is_right else 1)
        usage = {"prompt_tokens": 40, "completion_tokens": tokens - 40}
        return Said(
            f"1. I add them.\nAnswer: {answer}", usage=usage if self.tells_tokens else None
        )

    def accuracy(self, params: Mapping[str, Any]) -> float:
        """Return the share of questions that a point answers right, in the limit of many."""
        t, p = params["temperature"], params["top_p"]
        steps, period = params["reasoning_steps"], params["planning_period"]
        loss = 0.1 * (t - 0.3) ** 2 + 0.2 * max(0.0, t - 0.4) ** 2 + 0.4 * max(0.0, 0.8 - p)
        loss += 0.03 * max(0, 5 - steps) ** 2 + 0.02 * max(0, period - 2)
        return 0.92 - float(loss)

    def tokens(self, params: Mapping[str, Any]) -> int:
        """Return the tokens of a prompt with its reply."""
        steps, period = params["reasoning_steps"], params["planning_period"]
        return int(40 + 30 * steps * (1.0 + 0.3 * params["temperature"]) + 20 * steps / period)

    def cost(self, params: Mapping[str, Any]) -> float:
        """Return the tokens for each right answer, in the limit of many questions."""
        return self.tokens(params) / self.accuracy(params)

    def best(self, floor: float) -> float:
        """Return the least cost on a fine grid of points whose accuracy reaches a floor."""
        return min(self.cost(p) for p in _grid() if self.accuracy(p) >= floor)

    @staticmethod
    def _hardness(question: str, params: Mapping[str, Any]) -> float:
        """Return how hard a question is at a point, uniform from 0 to 1 over questions."""
        own = _uniform(f"{question}{sorted(params.items())}")
        return _uniform(question) if own > OWN_SHARE else own / OWN_SHARE


def _uniform(text: str) -> float:
    return int.from_bytes(blake2b(text.encode(), digest_size=7).digest()) / 2**56


def _number(pattern: str, text: str, default: int) -> int:
    found = re.search(pattern, text)
    return default if found is None else int(found[1])


def _grid() -> Iterator[dict[str, Any]]:
    temperatures = [i / 20 for i in range(21)]
    for t, p, steps, period in product(temperatures, (0.8, 1.0), range(1, 13), range(1, 5)):
        yield {
            "temperature": t,
            "top_p": p,
            "reasoning_steps": steps,
            "planning_period": period,
        }
