"""The objective of a decoding study; any process can run it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunekit.decoding.answering import Asker, Model
from tunekit.decoding.correctness import is_correct
from tunekit.decoding.floor import Floor
from tunekit.decoding.measured import Given, Measured, Unit, measure
from tunekit.decoding.questions import QuestionSet
from tunekit.executors.trial import Trial

ANSWERS = "answers"
"""Attribute of a trial: its answers, question by question."""

BASELINE = "baseline"
"""Attribute of the trial that is the baseline."""

P_WORSE = "p_worse"
"""Metric that the accuracy floor bounds."""


@dataclass(frozen=True, slots=True)
class Exam:
    """All that a trial needs besides its params.

    Attributes:
        questions: to ask.
        prompts: name -> text.
        model: that is asked.
        check: whether a reply holds the right answer.
        unit: of the cost.
        floor: of the accuracy.
    """

    questions: QuestionSet
    prompts: Mapping[str, str]
    model: Model
    unit: Unit
    floor: Floor
    check: Callable[[str, str], bool] = is_correct

    @property
    def metric(self) -> str:
        """Return the name of the objective."""
        return f"{self.unit}_per_correct"

    def measure(
        self,
        params: Mapping[str, Any],
        order: Sequence[int],
        after: Callable[[Measured], bool] = lambda measured: False,
    ) -> Measured:
        """Return the model's answers to questions at a point, asked in an order.

        Raises:
            NoAnswer: the endpoint fails.
        """
        asker = Asker(self.model, self.model.endpoint(), self.prompts, self.check, params)

        def ask(batch: Sequence[int]) -> list[Given]:
            return asker.ask([self.questions.questions[i] for i in batch])

        return measure(ask, order, at_once=self.model.at_once, after=after)


@dataclass(frozen=True, slots=True)
class DecodingObjective:
    """Measures one point: cost for each right answer, and accuracy against the baseline.

    Attributes:
        exam: what is asked, and how.
        baseline: the answers of the baseline; `None` to measure it.
    """

    exam: Exam
    baseline: Measured | None

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Return the metrics of a trial, which ends early once it is below the floor for sure."""
        exam = self.exam
        looks = 0

        def after(measured: Measured) -> bool:
            nonlocal looks
            looks += 1
            trial.report(measured.per_correct(exam.unit), len(measured))
            if self.baseline is None:
                return False
            return exam.floor.is_broken_at(looks, measured, self.baseline)

        measured = exam.measure(trial.params, exam.questions.order(trial.number), after)
        trial.set_user_attr(ANSWERS, measured.to_dict())
        p = 1.0 if self.baseline is None else exam.floor.p_worse(measured, self.baseline)
        return {
            exam.metric: measured.per_correct(exam.unit),
            "accuracy": measured.accuracy,
            P_WORSE: p,
            "questions": float(len(measured)),
            "tokens": measured.cost("tokens"),
            "dollars": measured.cost("dollars"),
        }
