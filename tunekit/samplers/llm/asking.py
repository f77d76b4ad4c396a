"""Asks a model for points: retries, one repair round, and what it all cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunekit.noise.replicates import Key
from tunekit.samplers.llm.backends import Answer, Backend, Message, NoAnswer
from tunekit.samplers.llm.limits import SpendingLimits
from tunekit.samplers.llm.past_advice import Spent
from tunekit.samplers.llm.predictions import (
    PredictionRequest,
    Predictions,
    predictions_schema,
    read_predictions,
)
from tunekit.samplers.llm.ranges import Ranges
from tunekit.samplers.llm.replies import ReadPoint, read_reply
from tunekit.samplers.llm.reply_schema import reply_schema
from tunekit.samplers.llm.retrying import answered
from tunekit.spaces import Params, Scalar, Space

MAX_KEPT_CHARS = 20_000
"""Characters of a prompt and of a reply that are kept with the trial."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What came of one request for points.

    Attributes:
        points: that may run.
        rationale: the model's reason; text from outside.
        prompt, reply: the texts, cut at `MAX_KEPT_CHARS` each.
        model: that answered.
        tokens, dollars, seconds: of all attempts; `dollars` is `None` where the price is unknown.
        problems: sentences on what went wrong; a failed request has no points.
        n_kept: replies that were read from the cache, and cost nothing.
        ranges: where the model expects good values of single parameters.
        predictions: what it expects of the points, if it was asked.
    """

    points: tuple[ReadPoint, ...] = ()
    rationale: str = ""
    prompt: str = ""
    reply: str = ""
    model: str = ""
    tokens: int = 0
    dollars: float | None = None
    seconds: float = 0.0
    problems: tuple[str, ...] = ()
    n_kept: int = 0
    ranges: Ranges = field(default_factory=dict)
    predictions: Predictions | None = None

    @classmethod
    def stored(cls, evidence: Mapping[str, Any]) -> Advice:
        """Return the advice whose `evidence` was stored."""
        given = {**evidence, "problems": tuple(evidence["problems"])}
        filled, predicted = given.pop("filled"), given.pop("predictions", None)
        predictions = None if predicted is None else Predictions.stored(predicted)
        points = [
            ReadPoint(Params(p), tuple(f)) for p, f in zip(given["points"], filled, strict=True)
        ]
        return cls(**{**given, "points": tuple(points), "predictions": predictions})

    def evidence(self) -> dict[str, Any]:
        """Return all of it as plain JSON, to keep with the first trial that it led to."""
        more: dict[str, Any] = {}
        if self.predictions is not None:
            more["predictions"] = self.predictions.evidence()
        return {
            **more,
            "points": [dict(p.params) for p in self.points],
            "filled": [list(p.filled) for p in self.points],
            "rationale": self.rationale,
            "prompt": self.prompt[:MAX_KEPT_CHARS],
            "reply": self.reply[:MAX_KEPT_CHARS],
            "model": self.model,
            "tokens": self.tokens,
            "dollars": self.dollars,
            "seconds": round(self.seconds, 3),
            "problems": list(self.problems),
            "n_kept": self.n_kept,
            "ranges": dict(self.ranges),
        }


@dataclass(slots=True)
class Conversation:
    """One request for points, with its repair round, and one for what to expect of them.

    Attributes:
        backend: of the model.
        timeout_s: seconds for all attempts together.
        retries: attempts after the first for one reply.
        limits: of the whole study.
        before: what it has spent by now; no attempt begins once the limits are reached.
        sleep: waits for seconds; a test replaces it.
    """

    backend: Backend
    timeout_s: float
    retries: int
    limits: SpendingLimits
    before: Spent
    sleep: Callable[[float], None] = time.sleep
    _answers: list[Answer] = field(default_factory=list)
    _began: float = 0.0
    _tokens: int = 0
    _dollars: float | None = None

    def advice(
        self,
        messages: Sequence[Message],
        space: Space,
        n: int,
        *,
        taken: Collection[Key],
        fixed: Mapping[str, Scalar],
        predicting: PredictionRequest | None = None,
    ) -> Advice:
        """Return up to `n` points; never raises, whatever the model or the network does.

        Args:
            messages: the request for points.
            space: of the study.
            n: most points.
            taken: keys of the points that have been tried or run now.
            fixed: values that every point has to keep.
            predicting: asks for what to expect of the points; `None` to ask nothing.
        """
        self._began = time.monotonic()
        deadline = self._began + self.timeout_s
        schema = reply_schema(space, n)
        talk, read = list(messages), None
        problems: list[str] = []
        try:
            for _ in range(2):
                answer = self._answer(talk, schema, deadline)
                read = read_reply(answer.text, space, taken=taken, fixed=fixed)
                if read.points:
                    break
                problems += read.refused
                talk += [
                    {"role": "assistant", "content": answer.text[:MAX_KEPT_CHARS]},
                    {"role": "user", "content": _repair(read.refused)},
                ]
        except NoAnswer as none:
            problems.append(str(none))
        points = read.points[:n] if read is not None else ()
        refused = () if read is None or not read.points else read.refused
        last = self._answers[-1] if self._answers else None
        predictions = self._predicted(predicting, [p.params for p in points])
        return Advice(
            points,
            read.rationale if read is not None else "",
            "\n\n".join(m["content"] for m in messages),
            last.text if last is not None else "",
            last.model if last is not None else "",
            self._tokens,
            self._dollars,
            time.monotonic() - self._began,
            tuple([*problems, *refused]),
            sum(a.is_kept for a in self._answers),
            read.ranges if read is not None else {},
            predictions,
        )

    def _predicted(
        self, request: PredictionRequest | None, points: Sequence[Params]
    ) -> Predictions | None:
        """Return what the model expects of points, `None` if it is not asked."""
        if request is None or not points:
            return None
        messages = request.messages(points)
        prompt = "\n\n".join(m["content"] for m in messages)
        try:
            deadline = time.monotonic() + self.timeout_s
            answer = self._answer(messages, predictions_schema(len(points)), deadline)
        except NoAnswer as none:
            return Predictions((), prompt, "", str(none))
        values, problem = read_predictions(answer.text, len(points))
        return Predictions(values, prompt, answer.text, problem)

    def _answer(
        self, talk: Sequence[Message], schema: Mapping[str, Any], deadline: float
    ) -> Answer:
        """Return an answer, trying again where that can help.

        Raises:
            NoAnswer: the last attempt failed, or the time is over.
        """
        answer = answered(
            lambda: self.backend.complete(talk, schema, timeout_s=self._time(deadline)),
            deadline=deadline,
            retries=self.retries,
            failed=self._pay,
            sleep=self.sleep,
        )
        self._pay(answer)
        self._answers.append(answer)
        return answer

    def _time(self, deadline: float) -> float:
        """Return the seconds for another attempt.

        Raises:
            NoAnswer: there are none, or nothing else may be spent.
        """
        now = time.monotonic()
        if now >= deadline:
            raise NoAnswer("the time for this request is over.")
        spent = self.before.with_more(
            tokens=self._tokens, dollars=self._dollars or 0.0, seconds=now - self._began
        )
        if reached := self.limits.reached(spent):
            raise NoAnswer(f"no further attempt: {reached}.")
        return deadline - now

    def _pay(self, done: Answer | NoAnswer) -> None:
        self._tokens += done.tokens
        if done.dollars is not None:
            self._dollars = (self._dollars or 0.0) + done.dollars


def _repair(refused: Sequence[str]) -> str:
    """Return the request to send the points again, with what was wrong."""
    listed = "\n".join(f"- {sentence[:300]}" for sentence in refused)
    return (
        f"None of the points can be used:\n{listed}\nSend the whole JSON object again, corrected."
    )
