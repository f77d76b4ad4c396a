"""Runs tunekit's samplers in Ray Tune, and Ray Tune's trainables as tunekit objectives.

`tune.Tuner(train, tune_config=tune.TuneConfig(search_alg=as_ray_searcher(space), ...))`, and
`study.optimize(as_objective(MyTrainable, max_iterations=20), n_trials=50)`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from contextlib import chdir
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any, cast

from ray.train._internal.session import _TrainingResult
from ray.train._internal.storage import StorageContext
from ray.tune import Checkpoint
from ray.tune.result import RESULT_DUPLICATE, SHOULD_CHECKPOINT, TRAINING_ITERATION
from ray.tune.search.searcher import Searcher
from ray.tune.trainable import FunctionTrainable, Trainable, wrap_function

from tunekit import registry
from tunekit.checks import check_whole, shown
from tunekit.errors import InvalidArgument, InvalidResult, SpaceExhausted
from tunekit.executors.results import as_number
from tunekit.executors.trial import Trial
from tunekit.history import History
from tunekit.records import ObjectiveSpec, TrialRecord, TrialState
from tunekit.samplers.base import Sampler, StudyView, suggested
from tunekit.spaces import Params, Space

FORMAT = "tunekit.ray_searcher/1"

_OF_RAY = {
    "training_iteration",
    "time_this_iter_s",
    "time_total_s",
    "timestamp",
    "pid",
    "done",
    "time_since_restore",
    "iterations_since_restore",
    "timesteps_total",
    "episodes_total",
    "should_checkpoint",
}
"""Keys that Ray adds to each result; metrics only if the study has such an objective."""


def as_ray_searcher(
    space: Space,
    sampler: str | Sampler = "auto",
    *,
    metric: str,
    mode: str = "min",
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> TunekitSearcher:
    """Return a search algorithm for `ray.tune.TuneConfig(search_alg=...)`.

    Args:
        space: search space; leave the Tuner's `param_space` empty.
        sampler: a short name or an instance.
        metric: metric reported by the trainable. Repeat it here, because Tune does not pass
            its `TuneConfig` to a searcher with its own space.
        mode: "min" or "max".
        seed: seed of all random streams.
        options: keyword arguments of the sampler, if given by short name.

    Raises:
        InvalidArgument: unknown sampler, mode or options.
    """
    if not isinstance(sampler, str) and options:
        raise InvalidArgument(
            f"options={dict(options)!r} given with a sampler instance; set them when you make "
            "the instance, or give a short name."
        )
    made = registry.make("sampler", sampler, options) if isinstance(sampler, str) else sampler
    return TunekitSearcher(space, cast(Sampler, made), metric=metric, mode=mode, seed=seed)


class TunekitSearcher(Searcher):  # type: ignore[misc]
    """Adapts a tunekit sampler to Ray Tune; see `as_ray_searcher`.

    The config of a trial is its point as nested dicts (see `Params.nested`).
    """

    def __init__(
        self, space: Space, sampler: Sampler, *, metric: str, mode: str, seed: int
    ) -> None:
        if mode not in ("min", "max"):
            raise InvalidArgument(f'mode={mode!r}, expected "min" or "max".')
        super().__init__(metric=metric, mode=mode)
        self._space, self._sampler, self._seed = space, sampler, seed
        self._objective = ObjectiveSpec(metric, "minimize" if mode == "min" else "maximize")
        self._records: dict[str, TrialRecord] = {}
        self._history = History([self._objective])  # of the same records, for the sampler
        self._seq = 0

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Reject a `param_space`, since the searcher has its own space.

        Raises:
            InvalidArgument: `param_space` has entries.
        """
        if config:
            raise InvalidArgument(
                f"param_space contains {', '.join(config)}, but the searcher has its own space; "
                "pass constants to the trainable with tune.with_parameters."
            )
        return True

    def suggest(self, trial_id: str) -> Any:
        """Return the config of a new trial, or `Searcher.FINISHED` if the space is exhausted."""
        number = len(self._records)
        try:
            proposal = suggested(self._sampler, self._view(), [number])[0]
        except SpaceExhausted:
            return Searcher.FINISHED
        self._seq += 1
        record = TrialRecord(
            number,
            TrialState.RUNNING,
            self._seq,
            epoch=1,
            params=Params(proposal.params),
            sampler=proposal.sampler,
            reason=proposal.reason,
            evidence=json.loads(json.dumps(dict(proposal.evidence))),
        )
        self._put(trial_id, record)
        return Params(proposal.params, self._space).nested()

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Record the result of a finished trial."""
        metric = self._objective.metric
        value = as_number((result or {}).get(metric))
        if error or value is None:
            self._told(trial_id, TrialState.FAILED, {})
            return
        state = TrialState.COMPLETE if math.isfinite(value) else TrialState.DIVERGED
        self._told(trial_id, state, {metric: value})

    def save(self, checkpoint_path: str) -> None:
        """Write all results so far as JSON."""
        rows = [
            {
                "id": trial_id,
                "seq": t.seq,
                "state": str(t.state),
                "params": dict(t.params or {}),
                "metrics": dict(t.metrics),
                "evidence": dict(t.evidence),
            }
            for trial_id, t in self._records.items()
        ]
        text = json.dumps({"format": FORMAT, "seed": self._seed, "trials": rows})
        Path(checkpoint_path).write_text(text)

    def restore(self, checkpoint_path: str) -> None:
        """Load a file written by `save`.

        Raises:
            InvalidArgument: `save` did not write this file.
        """
        data = json.loads(Path(checkpoint_path).read_text())
        if data.get("format") != FORMAT:
            raise InvalidArgument(
                f"{checkpoint_path}: expected a file of format {FORMAT}; give a file written by "
                "TunekitSearcher.save."
            )
        self._seed = data["seed"]
        self._records = {
            row["id"]: TrialRecord(
                number,
                TrialState(row["state"]),
                row["seq"],
                epoch=1,
                params=Params(row["params"]),
                metrics=row["metrics"],
                evidence=row["evidence"],
            )
            for number, row in enumerate(data["trials"])
        }
        self._seq = max((t.seq for t in self._records.values()), default=0)
        self._history = History([self._objective])
        self._history.update(self._records.values(), self._seq)

    def _told(self, trial_id: str, state: TrialState, metrics: dict[str, float]) -> None:
        known = self._records[trial_id]
        self._seq += 1
        record = TrialRecord(
            known.number,
            state,
            self._seq,
            epoch=1,
            params=known.params,
            evidence=known.evidence,
            metrics=metrics,
        )
        self._put(trial_id, record)

    def _put(self, trial_id: str, record: TrialRecord) -> None:
        self._records[trial_id] = record
        self._history.update([record], self._seq)

    def _view(self) -> StudyView:
        history = self._history
        return StudyView(self._space, history.objectives, (), self._seed, history, {})


def as_objective(
    trainable: Callable[..., Any] | type[Trainable],
    *,
    max_iterations: int | None = None,
    checkpoint_frequency: int = 1,
) -> Callable[[Trial], dict[str, float]]:
    """Return an objective that runs a Ray Tune trainable step by step.

    The objective reports each step's result, so stoppers can end the trial. The trial's metrics
    are the numbers in the last result, including one-element arrays of any library. The config
    is the point as nested dicts.

    If the study stores checkpoints, it also stores those of the trainable: a function passes
    them to `tune.report(..., checkpoint=)`, a class saves them in `save_checkpoint`. A resumed
    trial gets its last checkpoint from `tune.get_checkpoint()` or `load_checkpoint`.

    Args:
        trainable: a function that calls `tune.report`, or a subclass of `Trainable`.
        max_iterations: maximum number of steps of a class; a function ends by itself.
        checkpoint_frequency: steps between two checkpoints of a class, besides those that its
            results request with `should_checkpoint`; 0 saves only the requested ones.

    Raises:
        InvalidArgument: not a trainable, a class without `max_iterations`, or a negative
            frequency.
    """
    is_trainable = not isinstance(trainable, type) or issubclass(trainable, Trainable)
    if not callable(trainable) or not is_trainable:
        raise InvalidArgument(f"trainable={trainable!r}, expected a function or a Trainable.")
    if isinstance(trainable, type) and max_iterations is None:
        raise InvalidArgument(
            "max_iterations is missing, and a Trainable does not end by itself; give "
            "max_iterations."
        )
    check_whole(checkpoint_frequency, "checkpoint_frequency", low=0)
    return _TrainableObjective(trainable, max_iterations, checkpoint_frequency)


class _Folder(StorageContext):  # type: ignore[misc]
    """Gives a trainable a folder to write to; Ray's own needs the session of a running cluster."""

    @property
    def trial_driver_staging_path(self) -> str:
        return str(self.storage_fs_path)

    @property
    def trial_working_directory(self) -> str:
        return str(self.storage_fs_path)


class _TrainableObjective:
    def __init__(self, trainable: Any, max_iterations: int | None, frequency: int) -> None:
        self._trainable, self._max_iterations = trainable, max_iterations
        self._frequency = frequency

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Run the trainable until it ends or the stopper ends the trial."""
        kind = self._trainable
        kind = kind if isinstance(kind, type) else wrap_function(kind)
        # Ray changes the working directory to the trial's folder; it is restored afterwards.
        with TemporaryDirectory(prefix="tunekit-ray-") as folder, chdir(Path.cwd()):
            storage = _Folder(folder, trial.study_name, trial_dir_name=str(trial.number))
            running = kind(trial.params.nested(), storage=storage)
            try:
                if trial.resumed_from is not None:
                    state = Checkpoint.from_directory(str(trial.checkpoint_dir))
                    result = {TRAINING_ITERATION: trial.resumed_from}
                    running.restore(_TrainingResult(checkpoint=state, metrics=result))
                return self._run(running, trial)
            finally:
                running.stop()

    def _run(self, running: Trainable, trial: Trial) -> dict[str, float]:
        metrics: dict[str, float] = {}
        while self._max_iterations is None or running.iteration < self._max_iterations:
            result: dict[str, Any] = running.train()
            if RESULT_DUPLICATE in result:  # the function returned without a further report
                break
            metrics = _numbers(result, trial) or metrics
            self._report(running, trial, metrics, result)
            if result.get("done"):
                break
        return metrics

    def _report(
        self, running: Trainable, trial: Trial, metrics: dict[str, float], result: dict[str, Any]
    ) -> None:
        """Report a step, with its checkpoint if there is one and the study stores checkpoints."""
        # A resumed function counts its reports from 1 again; `running.iteration` does not.
        step = running.iteration
        if not (trial.has_checkpoints and self._saves(running, result)):
            trial.report(metrics, step=step)
            return
        state = running.save().checkpoint
        with state.as_directory() as folder:
            trial.report(metrics, step=step, checkpoint=folder)
        # Ray keeps every checkpoint until the experiment ends, but the study now has its own copy.
        rmtree(state.path, ignore_errors=True)

    def _saves(self, running: Trainable, result: Mapping[str, Any]) -> bool:
        if result.get(SHOULD_CHECKPOINT):
            return True
        is_due = self._frequency > 0 and running.iteration % self._frequency == 0
        keeps_state = type(running).save_checkpoint is not Trainable.save_checkpoint
        return is_due and keeps_state and not isinstance(running, FunctionTrainable)


def _numbers(result: Mapping[str, Any], trial: Trial) -> dict[str, float]:
    """Return the metrics of a step: the study's objectives and all other numbers."""
    wanted = {o.metric for o in trial.objectives}
    found = {}
    for name, value in result.items():
        number = as_number(value) if name in wanted or name not in _OF_RAY else None
        if number is not None:
            found[name] = number
        elif name in wanted and value is not None:
            raise InvalidResult(f"the metric {name!r} is {shown(value)}; report a number.")
    return found if wanted & found.keys() else {}
