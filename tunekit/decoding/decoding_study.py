"""The decoding study: measures the baseline, tunes, and checks the winner on other questions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tunekit.checks import check_number, check_whole
from tunekit.decoding.confirmation import Confirmation
from tunekit.decoding.measured import Measured
from tunekit.decoding.objective import ANSWERS, BASELINE, DecodingObjective, Exam
from tunekit.driver.run_settings import Ending
from tunekit.errors import InvalidArgument, NoCompleteTrial
from tunekit.records import TrialRecord, TrialState
from tunekit.studies.study import Study

HELD_OUT = "held_out"
"""Attribute of the study: what the winner did on the held-out questions."""


class DecodingStudy:
    """Tunes how a model is decoded; made by `tunekit.decoding.study`.

    Attributes:
        study: the study, with a trial for each point; the first is the baseline.
        exam: what a trial is asked, and how.
    """

    def __init__(self, study: Study, exam: Exam) -> None:
        self.study = study
        self.exam = exam

    def __repr__(self) -> str:
        return f"DecodingStudy({self.study.name!r}, storage={self.study.storage.url!r})"

    def run(
        self,
        n_trials: int,
        *,
        max_tokens: int | None = None,
        max_dollars: float | None = None,
        **options: Any,
    ) -> Ending:
        """Measure the baseline if it is missing, then `n_trials` further points.

        Args:
            n_trials: points besides the baseline, counted over all runs.
            max_tokens: of all trials together; the run ends after the trial that reaches it.
            max_dollars: the same for the price, which `price=` of the study has to make known.
            options: further arguments of `Study.optimize`, such as `workers` and `timeout`.

        Returns:
            Why it ended; "stopped" where a limit is reached.

        Raises:
            InvalidArgument: a limit that cannot be right, or dollars without a price.
            NoCompleteTrial: the baseline cannot be measured; the message says why.
        """
        check_whole(n_trials, "n_trials", low=0)
        check_whole(max_tokens, "max_tokens", low=1, optional=True)
        if max_dollars is not None:
            check_number(max_dollars, "max_dollars", low=0.0)
            if self.exam.model.price is None:
                raise InvalidArgument("max_dollars needs price= of the study; give it.")

        def is_spent() -> bool:
            tokens, dollars = self.spent()
            return (max_tokens is not None and tokens >= max_tokens) or (
                max_dollars is not None and dollars >= max_dollars
            )

        stopped_here = False

        def check_spent(study: Study, trial: TrialRecord) -> None:
            nonlocal stopped_here
            if is_spent() and not stopped_here:
                stopped_here = True
                study.stop()

        baseline = self._measured_baseline(options)
        if is_spent():
            return "stopped"
        objective = DecodingObjective(self.exam, baseline)
        callbacks = [check_spent, *_several(options.pop("callbacks", ()))]
        try:
            return self.study.optimize(
                objective, total_trials=n_trials + 1, callbacks=callbacks, **options
            )
        finally:
            if stopped_here:
                self.study.resume()

    def spent(self) -> tuple[int, float]:
        """Return the tokens and dollars of all trials that have ended."""
        ended = [t.metrics for t in self.study.refresh() if t.state.is_finished]
        tokens = sum(m.get("tokens", 0.0) for m in ended)
        return int(tokens), float(sum(m.get("dollars", 0.0) for m in ended))

    @property
    def baseline(self) -> TrialRecord:
        """Return the trial that is the baseline.

        Raises:
            NoCompleteTrial: it is not measured yet.
        """
        found = self._found_baseline()
        if found is None:
            raise NoCompleteTrial(
                f"study {self.study.name!r} has not measured its baseline; call run(...)."
            )
        return found

    @property
    def winner(self) -> TrialRecord:
        """Return the cheapest trial that keeps the accuracy floor; the baseline itself does.

        Raises:
            NoCompleteTrial: the baseline is not measured yet.
        """
        self.baseline  # noqa: B018 - says what is missing
        return self.study.best_trial

    def confirm(self) -> Confirmation:
        """Ask the winner and the baseline the held-out questions, and compare them.

        The result is stored with the study: asking again returns it while the winner is the same,
        as held-out questions that choose among winners would no longer be held out.

        Raises:
            InvalidArgument: no questions are held out, or no trial is better than the baseline.
            NoCompleteTrial: the baseline is not measured yet.
            NoAnswer: the endpoint fails.
        """
        winner, baseline = self.winner, self.baseline
        held_out = self.exam.questions.held_out
        if not held_out:
            raise InvalidArgument("no questions are held out; make the study with held_out=0.3.")
        if winner.number == baseline.number:
            raise InvalidArgument(
                f"no trial of study {self.study.name!r} is better than the baseline and keeps its "
                "accuracy, so there is nothing to confirm; run more trials."
            )
        stored = self.study.user_attrs.get(HELD_OUT)
        if isinstance(stored, dict) and stored.get("trial") == winner.number:
            return Confirmation(**stored)
        assert winner.params is not None and baseline.params is not None
        found = Confirmation.of(
            self.exam.measure(winner.params, held_out),
            self.exam.measure(baseline.params, held_out),
            trial=winner.number,
            params=winner.params,
            unit=self.exam.unit,
            floor=self.exam.floor,
            seed=self.exam.questions.seed,
        )
        self.study.set_user_attr(HELD_OUT, asdict(found))
        return found

    def _found_baseline(self) -> TrialRecord | None:
        return next(
            (
                t
                for t in self.study.refresh()
                if t.user_attrs.get(BASELINE) and t.state is TrialState.COMPLETE
            ),
            None,
        )

    def _measured_baseline(self, options: dict[str, Any]) -> Measured:
        """Return the baseline's answers; it is measured if no trial has done so."""
        found = self._found_baseline()
        if found is None:
            kept = {k: v for k, v in options.items() if k not in ("callbacks", "workers")}
            self.study.enqueue_trial(
                self.study.user_attrs["decoding"]["baseline"], user_attrs={BASELINE: True}
            )
            self.study.optimize(DecodingObjective(self.exam, None), n_trials=1, **kept)
            found = self._found_baseline()
        if found is None:
            last = self.study.trials[-1]
            raise NoCompleteTrial(
                f"the baseline of study {self.study.name!r} is {last.state}: "
                f"{last.end_reason or 'it did not run'}; mend the cause and call run again."
            )
        return Measured.from_dict(found.user_attrs[ANSWERS])


def _several(callbacks: Any) -> list[Any]:
    return list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]
