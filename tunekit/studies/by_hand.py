"""Runs a study by hand: `ask`, `report` and `tell`, also from one process after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from tunekit.executors.trial import Trial
from tunekit.records import Decision, TrialRecord, TrialState
from tunekit.stoppers.base import Stopper
from tunekit.studies import arguments
from tunekit.studies.ask_tell import AskedTrials
from tunekit.studies.fixed_distributions import suggest_all

if TYPE_CHECKING:
    from tunekit.studies.study import Study


class TrialsByHand:
    """The part of `tunekit.Study` for trials that a person or another program evaluates."""

    _asked: AskedTrials

    def _audited_stopper(self) -> Stopper | None:
        raise NotImplementedError

    def ask(
        self,
        fixed_distributions: Mapping[str, Any] | None = None,
        *,
        fixed: Mapping[str, object] | None = None,
    ) -> Trial:
        """Return a new trial to evaluate by hand; give its result to `tell`.

        Waiting trials (enqueued, or given back by a worker) come first, unless it is `fixed`.

        Args:
            fixed_distributions: Optuna's distributions by name, which the trial suggests now.
            fixed: a part of a point: a new trial with these values, the rest proposed.

        Raises:
            InvalidArgument: the study is paused, stopped or cancelled.
            SpaceExhausted: the sampler has no further point.
            UnknownParameter, InvalidParams: the fixed values are not part of a point of the space.
        """
        trial = self._asked.ask(self._audited_stopper(), fixed)
        trial.study = cast("Study", self)
        suggest_all(trial, fixed_distributions or {})
        return trial

    def tell(
        self,
        trial: Trial | int,
        result: object = None,
        *,
        values: object = None,
        state: TrialState | str | None = None,
        reason: str = "",
        skip_if_finished: bool = False,
    ) -> TrialRecord:
        """End a trial that was asked for; telling the same again is harmless.

        Args:
            trial: what `ask` gave, or its number.
            result: a number, or a mapping of metrics; NaN or infinite makes it DIVERGED.
            values: Optuna's word for `result`; a sequence has one value for each objective.
            state: another end than by the result, such as "failed"; then no result is needed.
                "pruned" is "stopped", "fail" is "failed"; Optuna's members are taken too.
            reason: one sentence kept with the trial.
            skip_if_finished: leave a trial that has ended as it is, whatever is told.

        Returns:
            The trial as it is stored now.

        Raises:
            InvalidResult: the result is not a metric, or lacks an objective.
            TrialConflict: the trial was told another result before.
            LeaseLost: the trial was given to another worker, or cancelled.
            UnknownTrial: no trial of that number.
            InvalidArgument: `trial` or `state` is invalid.
        """
        result = arguments.one_of(result, values, ("result", "values"))
        return self._asked.tell(
            trial,
            result,
            state=state,
            reason=arguments.reason_text(reason),
            skip_if_finished=skip_if_finished,
        )

    def report(self, trial: Trial | int, metrics: object, step: int) -> Decision:
        """Report metrics of a trial that was asked for, and return whether it goes on.

        As `trial.report`, but also for a trial of which another process of the same holder has
        only left the number. To obey a stop or a pause, `tell` it with state "stopped" or
        "paused"; its last report is its result.

        Args:
            trial: what `ask` gave, or its number.
            metrics: a number (the first objective) or a mapping of metric to number.
            step: 0 or more, in the same unit in all trials; see `Trial.report`.

        Raises:
            UnknownTrial: no trial of that number.
            LeaseLost: the trial is not running.
            InvalidArgument: `trial` or the step is invalid.
            InvalidResult: the metrics are not numbers.
        """
        return self._asked.report(trial, metrics, step, stopper=self._audited_stopper())
