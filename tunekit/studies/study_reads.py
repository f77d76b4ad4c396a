"""Reads a study: its trials, the best ones, and tables and files of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy as copied
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tunekit.checks import count, several
from tunekit.driver.study_reader import StudyReader
from tunekit.errors import InvalidArgument, MissingExtra, NoCompleteTrial
from tunekit.history import History, nothing_best
from tunekit.optuna_names.trial_values import TrialSource
from tunekit.optuna_names.words import DirectionWord, unknown_name
from tunekit.records import Direction, ObjectiveSpec, Report, StudyRecord, TrialRecord, TrialState
from tunekit.samplers.base import Sampler
from tunekit.spaces import Params, Space
from tunekit.storages.base import Storage
from tunekit.studies import export
from tunekit.studies.curve_reader import CurveReader
from tunekit.studies.states import states_of
from tunekit.studies.trial_numbers import trial_number

if TYPE_CHECKING:
    import optuna
    import pandas as pd

    from tunekit.analysis.audit import StopAudit
    from tunekit.analysis.health import StudyHealth
    from tunekit.analysis.llm_report import LLMReport
    from tunekit.samplers.coordinate.certificate import Certificate
    from tunekit.studies.optuna_distributions import Distributions
    from tunekit.studies.replay import Difference
    from tunekit.studies.study_plots import StudyPlots


class StudyReads:
    """The reading half of `tunekit.Study`; see there for the attributes."""

    name: str
    storage: Storage
    sampler: Sampler
    _reader: StudyReader
    _shown: tuple[Space, Distributions] | None = None

    def _tell_records(self) -> None:
        """Let the records that are read from now on know this study."""
        history = self._reader.history
        history.source = TrialSource(
            history.source.metrics,
            CurveReader(self.storage, self.id, history),
            lambda trial: self._distributions().of(trial),
        )

    def _spaces(self) -> Mapping[int, Space]:
        """Return the versions of the space; a discovered one is its only version."""
        return {1: self.space} if self._reader.is_open else self.storage.spaces(self.id)

    def _distributions(self) -> Distributions:
        """Return the trials' distributions, rebuilt when the space changes."""
        try:
            from tunekit.studies.optuna_distributions import Distributions
        except ImportError:
            raise MissingExtra("optuna", "The distributions of a trial") from None
        key = self._reader.space
        if self._shown is None or self._shown[0] is not key:
            self._shown = key, Distributions(self._spaces())
        return self._shown[1]

    def __getattr__(self, name: str) -> Any:
        raise unknown_name("Study", name)

    @property
    def id(self) -> int:
        """Return its key in the storage."""
        return self._reader.record.id

    @property
    def study_name(self) -> str:
        """Return its name (Optuna's word)."""
        return self.name

    @property
    def objectives(self) -> tuple[ObjectiveSpec, ...]:
        """Return the metrics that are optimised, with their directions."""
        return self._reader.record.spec.objectives

    @property
    def metric_names(self) -> list[str]:
        """Return the names of the objectives' metrics, in their order."""
        return [o.metric for o in self.objectives]

    @property
    def directions(self) -> list[Direction]:
        """Return "minimize" or "maximize" for each objective, in their order."""
        return [cast(Direction, DirectionWord(o.direction)) for o in self.objectives]

    @property
    def direction(self) -> Direction:
        """Return "minimize" or "maximize".

        Raises:
            InvalidArgument: the study has several objectives; `directions` has them all.
        """
        if len(self.objectives) > 1:
            raise InvalidArgument(
                f"study {self.name!r} has {len(self.objectives)} objectives and so no single "
                "direction; use directions."
            )
        return self.directions[0]

    @property
    def space(self) -> Space:
        """Return the current space, of a define-by-run study its discovered part."""
        self.refresh()
        self._reader.refresh_space()
        return self._reader.space

    @property
    def history(self) -> History:
        """Return all trials up to the last `refresh`, with columnar access."""
        return self._reader.history

    def refresh(self) -> History:
        """Read what changed since, by this process or another, and return the history."""
        self._reader.refresh()
        return self._reader.history

    def record(self) -> StudyRecord:
        """Return the current stored record of the study."""
        return self.storage.record(self.id)

    @property
    def user_attrs(self) -> Mapping[str, Any]:
        """Return the attributes stored with the study."""
        return self.record().spec.attrs

    @property
    def trials(self) -> list[TrialRecord]:
        """Return all trials by number."""
        return list(self.refresh())

    def get_trials(
        self, *, deepcopy: bool = True, states: Iterable[TrialState | str] | None = None
    ) -> list[TrialRecord]:
        """Return the trials by number, optionally of some states only.

        Args:
            deepcopy: also copy the contents of the records, which themselves are frozen.
            states: names or members, including those of Optuna's `TrialState`: FAIL covers
                FAILED, DIVERGED, LOST and CANCELLED; RUNNING covers PREEMPTED and PAUSED too.

        Raises:
            InvalidArgument: a state does not exist.
        """
        wanted = None if states is None else states_of(states)
        found = [t for t in self.refresh() if wanted is None or t.state in wanted]
        return copied(found) if deepcopy else found

    def reports(self, numbers: Sequence[int] | int | None = None) -> dict[int, tuple[Report, ...]]:
        """Return the reports by trial number, in order of step; of all trials if none is named.

        Raises:
            InvalidArgument: `numbers` is not a sequence of trial numbers.
        """
        if numbers is not None:
            numbers = [trial_number(n) for n in several(numbers, is_one=False)]
        return self.storage.reports(self.id, numbers)

    @property
    def best_trial(self) -> TrialRecord:
        """Return the best complete, feasible trial at the target fidelity; of equals the oldest.

        Raises:
            NoCompleteTrial: no trial is complete and feasible yet.
            InvalidArgument: the study has several objectives; `best_trials` is their front.
        """
        if len(self.objectives) > 1:
            raise InvalidArgument(
                f"study {self.name!r} has {len(self.objectives)} objectives and so no single "
                "best trial; use best_trials for the Pareto front."
            )
        best = self.refresh().best
        if best is None:
            raise NoCompleteTrial(nothing_best(self.name, self.history))
        return best

    @property
    def best_trials(self) -> list[TrialRecord]:
        """Return the Pareto front: feasible complete trials that no other one dominates."""
        return self.refresh().pareto()

    @property
    def best_params(self) -> Params:
        """Return the params of the best trial."""
        params = self.best_trial.params
        assert params is not None
        return params

    @property
    def best_value(self) -> float:
        """Return the objective of the best trial."""
        return self.best_trial.metrics[self.objectives[0].metric]

    def importance(self, *, quantile: float = 0.25) -> dict[str, float]:
        """Return path -> share of how much each parameter mattered, largest first.

        Args:
            quantile: the share of the trials that are called the best, above 0 and below 1.

        Raises:
            InvalidArgument: the quantile lies outside its range.
            NoCompleteTrial: there are fewer than 10 complete and feasible trials.
        """
        from tunekit.analysis.importance import importance

        space = self.space
        return importance(self.history, space, quantile=quantile)

    def replay(self) -> list[Difference]:
        """Ask the sampler again for every proposal; return those that differ.

        If the sampler is a pure function of the seed and of its view, as its contract requires,
        the result is empty, no matter how many processes ran the study or were killed.
        """
        from tunekit.studies.replay import replay

        return replay(self.storage, self.record(), self.sampler)

    def stop_audit(self, *, tolerance: float = 0.0) -> StopAudit:
        """Return how often the stopper was wrong, by the condemned trials that ran on.

        Args:
            tolerance: relative; an audited trial so much worse than the best is false as well.

        Raises:
            InvalidArgument: a tolerance below 0.
        """
        from tunekit.analysis.audit import stop_audit  # loads NumPy

        return stop_audit(self.refresh(), self.reports(), tolerance=tolerance)

    def health(self, *, max_trials: int | None = None) -> StudyHealth:
        """Return what goes wrong in the study, each with one thing to do.

        Eight checks: the best at a boundary, a metric that no parameter predicts, noise above the
        improvement, repeated points, a failing worker or branch, a baseline that is not beaten, a
        stopper that saves nothing or errs, and a budget that ends while the best still moves.

        Args:
            max_trials: number of trials that the study is to have; by default what `tunekit run`
                was told, or the study's attribute `max_trials`.

        Raises:
            InvalidArgument: `max_trials` is not a positive whole number.
        """
        from tunekit.studies.health import health_of  # loads NumPy

        return health_of(self._reader, max_trials=count(max_trials, "max_trials"))

    def _repr_html_(self) -> str:
        """Return what a notebook shows of the study: its state, best results and trials."""
        from tunekit.studies.study_html import study_html  # loads NumPy

        return study_html(self._reader)

    def llm_report(self) -> LLMReport:
        """Return what a language model did for the study: hit rate, price, best by sampler."""
        from tunekit.analysis.llm_report import llm_report

        return llm_report(self.refresh())

    @property
    def plot(self) -> StudyPlots:
        """Return the pictures of the study: `study.plot.history()`, `.curves()`, and others.

        They are Plotly figures. `study.plot(branch="model=rbf")` narrows them to some trials.
        """
        from tunekit.studies.study_plots import StudyPlots  # loads NumPy

        return StudyPlots(self._reader)

    def certificate(self, **rules: Any) -> Certificate:
        """Return whether no change of a single parameter is better than the best point.

        It reads any study with one objective; the sampler "coordinate" runs what it needs.

        Args:
            rules: options of `tunekit.samplers.coordinate.rules.CoordinateRules` in place of the
                sampler's own, such as `tolerance=0.003`.

        Raises:
            InvalidArgument: a rule does not fit the space, or the study has several objectives.
        """
        from tunekit.samplers.coordinate.certificate import certificate_of  # loads NumPy

        self.refresh()
        self._reader.refresh_space()
        return certificate_of(self._reader.view({}), self.sampler, rules)

    def trials_rows(self) -> list[dict[str, Any]]:
        """Return one flat mapping a trial: number, state, metrics, `params.*`, who and why."""
        return export.rows(self.trials)

    def trials_dataframe(
        self, attrs: Sequence[str] | None = None, *, multi_index: bool = False
    ) -> pd.DataFrame:
        """Return the trials as a pandas DataFrame.

        Args:
            attrs: without them, one column for each key of `trials_rows`. With them, Optuna's
                columns of these attributes (such as `("number", "value", "params", "state")`):
                `params_x`, `user_attrs_a`, and the state by Optuna's name.
            multi_index: with `attrs`, two levels of columns in place of joined names.

        Raises:
            InvalidArgument: an attribute that no column is made of, or `multi_index` alone.
            MissingExtra: pandas is not installed.
        """
        from tunekit.studies.optuna_frame import COLUMNS, optuna_frame

        if attrs is not None:
            names = [attrs] if isinstance(attrs, str) else list(attrs)
            return optuna_frame(self.trials, self.objectives, names, multi_index=multi_index)
        if multi_index:
            raise InvalidArgument(
                f"multi_index=True goes with attrs=, which has no value; name some of {COLUMNS}."
            )
        return export.dataframe(self.trials)

    def to_optuna(self, storage: str | optuna.storages.BaseStorage | None = None) -> optuna.Study:
        """Return a new study of Optuna's with all trials, for its plots, dashboard and tools.

        Trials keep their numbers, params by full paths, values, curves of the first objective,
        times and user attributes. STOPPED is PRUNED; DIVERGED, LOST and CANCELLED are FAIL; a
        paused or pre-empted trial is RUNNING. `tk.from_optuna` brings all of it back.

        Args:
            storage: where Optuna keeps it: its URL or one of its storages; `None` in memory.

        Raises:
            MissingExtra: Optuna is not installed.
        """
        try:
            from tunekit.studies.optuna_export import to_optuna
        except ImportError:
            raise MissingExtra("optuna", "A study of Optuna's") from None
        trials, reports = self.trials, self.reports()
        return to_optuna(self.record(), trials, reports, self._spaces(), storage)

    def export(self, path: str | Path) -> Path:
        """Write all trials to a file of the kind that its ending names: json, csv or parquet.

        Raises:
            InvalidArgument: another ending.
            MissingExtra: Parquet without pyarrow.
            StorageError: the file cannot be written.
        """
        return export.write(Path(path), self.record(), self.trials, self.reports())
