"""Asks a model questions at one point of the space, several at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tunekit.decoding.measured import Given
from tunekit.decoding.parameters import request
from tunekit.decoding.questions import Question
from tunekit.samplers.llm.backends import Answer, NoAnswer, Unanswered
from tunekit.samplers.llm.endpoint import OpenAIEndpoint, endpoint_of
from tunekit.samplers.llm.retrying import answered


@dataclass(frozen=True, slots=True)
class Model:
    """The model whose decoding is tuned, and how it is asked.

    Attributes:
        name: name of the model.
        base: URL of the endpoint, empty for the one of the environment.
        price: dollars for a million tokens of prompt and of reply, if known.
        fields: further fields of every request.
        at_once: questions asked at the same time.
        timeout_s: seconds for a question with its repetitions.
        retries: repetitions of a request that failed.
    """

    name: str
    base: str = ""
    price: tuple[float, float] | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    at_once: int = 8
    timeout_s: float = 120.0
    retries: int = 3

    def endpoint(self) -> OpenAIEndpoint:
        """Return a connection, with the key of this process's environment.

        Raises:
            InvalidArgument: the base is not a URL.
            MissingExtra: the HTTP client is not installed.
        """
        return endpoint_of(self.name, self.base, per_million=self.price)


class Asker:
    """Asks questions with the params of one trial.

    Args:
        model: that is asked.
        endpoint: its connection.
        prompts: name -> text.
        check: whether a reply holds the right answer.
        params: the point.
    """

    def __init__(
        self,
        model: Model,
        endpoint: OpenAIEndpoint,
        prompts: Mapping[str, str],
        check: Callable[[str, str], bool],
        params: Mapping[str, Any],
    ) -> None:
        self._model, self._endpoint = model, endpoint
        self._prompts, self._check, self._params = prompts, check, params

    def ask(self, questions: Sequence[Question]) -> list[Given]:
        """Return the answers, in the order of the questions.

        Raises:
            NoAnswer: the endpoint answers one of them with an error, also when asked again.
        """
        with ThreadPoolExecutor(len(questions)) as pool:
            return list(pool.map(self._ask, questions))

    def _ask(self, question: Question) -> Given:
        messages, fields = request(self._params, self._prompts, question.text)
        began = time.monotonic()
        deadline = began + self._model.timeout_s
        failures: list[NoAnswer] = []

        def attempt() -> Answer:
            left_s = deadline - time.monotonic()
            try:
                return self._endpoint.chat(
                    messages, {**self._model.fields, **fields}, timeout_s=max(left_s, 0.001)
                )
            except Unanswered as none:  # a wrong answer, which is paid for
                return Answer("", "", none.tokens, 0, none.dollars, 0.0)

        answer = answered(
            attempt, deadline=deadline, retries=self._model.retries, failed=failures.append
        )
        paid: list[Answer | NoAnswer] = [answer, *failures]
        return Given(
            bool(self._check(answer.text, question.answer)),
            sum(p.tokens for p in paid),
            sum(p.dollars or 0.0 for p in paid),
            time.monotonic() - began,
        )
