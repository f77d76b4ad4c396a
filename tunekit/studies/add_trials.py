"""Adds trials that ran elsewhere to a study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tunekit.driver.study_reader import StudyReader
from tunekit.errors import InvalidArgument
from tunekit.records import Report, TrialRecord, TrialState

if TYPE_CHECKING:
    from tunekit.studies.optuna_import import OptunaTrialReader


def add(reader: StudyReader, trials: Sequence[Any]) -> list[int]:
    """Add the trials; see `Study.add_trials`."""
    from tunekit.studies.optuna_import import OptunaTrialReader

    reader.refresh()
    reader.refresh_space()
    foreign = OptunaTrialReader(reader.record.spec)
    read = [_read(foreign, trial) for trial in trials]
    # Two studies may have used the same numbers: here they go by their places.
    records = [replace(_checked(reader, r), number=i) for i, (r, _) in enumerate(read)]
    curves = {i: curve for i, (_, curve) in enumerate(read) if curve}
    numbers = reader.storage.add_trials(reader.record.id, records, curves)
    reader.refresh()
    return numbers


def _read(reader: OptunaTrialReader, trial: Any) -> tuple[TrialRecord, Sequence[Report]]:
    if not isinstance(trial, TrialRecord):
        return reader.read(trial)
    known = trial.source is not None and trial.source.curve is not None
    curve = trial.intermediate_values if known else {}
    metric = reader.metric
    return trial, [Report(step, {metric: value}) for step, value in curve.items()]


def _checked(reader: StudyReader, t: TrialRecord) -> TrialRecord:
    """Return a trial whose params and result fit the study."""
    spec = reader.record.spec
    if t.state is TrialState.COMPLETE:
        values = [t.metrics.get(o.metric, math.nan) for o in spec.objectives]
        if not all(map(math.isfinite, values)):
            raise InvalidArgument(
                f"trial {t.number}: it is complete with {dict(t.metrics)}, expected finite values "
                f"of {[o.metric for o in spec.objectives]}."
            )
    if t.params is None or reader.is_open or t.state is TrialState.WAITING:
        return t
    return replace(t, params=reader.space.validate(t.params), space_version=reader.space_version)
