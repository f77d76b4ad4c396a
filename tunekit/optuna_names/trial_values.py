"""Exposes a trial's results under Optuna's names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tunekit.errors import InvalidArgument
from tunekit.optuna_names.words import system_attrs, unknown_name


@dataclass(frozen=True, slots=True)
class TrialSource:
    """Data that a record needs from the study it was read from.

    A copy sent to another process keeps the metrics but loses access to the storage.

    Attributes:
        metrics: names of the objectives' metrics, in order.
        curve: maps a trial's number to its reports of the first objective, by step.
        distributions: maps a record to its parameters as Optuna's distributions.
    """

    metrics: tuple[str, ...]
    curve: Callable[[int], Mapping[int, float]] | None = None
    distributions: Callable[[Any], Mapping[str, Any]] | None = None

    def __reduce__(self) -> tuple[type[TrialSource], tuple[tuple[str, ...]]]:
        return TrialSource, (self.metrics,)

    def __deepcopy__(self, memo: object) -> TrialSource:
        return self


class TrialValues:
    """Properties of a record that depend on its study's objectives."""

    __slots__ = ()

    number: int
    metrics: Mapping[str, float]
    params: Any
    user_attrs: Mapping[str, Any]
    started: float | None
    finished: float | None
    source: TrialSource | None

    @property
    def values(self) -> list[float] | None:
        """Return one value per objective, in order; `None` if one is missing."""
        names = self._source().metrics
        return [self.metrics[m] for m in names] if all(m in self.metrics for m in names) else None

    @property
    def value(self) -> float | None:
        """Return the value of the only objective, `None` without a result.

        A stopped trial has its last reported value.

        Raises:
            InvalidArgument: the study has several objectives.
        """
        names = self._source().metrics
        if len(names) > 1:
            raise InvalidArgument(
                f"trial {self.number} has the objectives {list(names)} and so no single value; "
                "use values or metrics."
            )
        return self.metrics.get(names[0])

    @property
    def duration(self) -> timedelta | None:
        """Return the time from start to end, if it has both."""
        if self.started is None or self.finished is None:
            return None
        # Computed from datetimes, so that it equals the difference of the two below exactly.
        return datetime.fromtimestamp(self.finished, UTC) - datetime.fromtimestamp(
            self.started, UTC
        )

    @property
    def datetime_start(self) -> datetime | None:
        """Return the time of its last start, in local time without a zone, like Optuna."""
        return _local(self.started)

    @property
    def datetime_complete(self) -> datetime | None:
        """Return the time of its end, in local time without a zone, like Optuna."""
        return _local(self.finished)

    @property
    def intermediate_values(self) -> dict[int, float]:
        """Return its reports of the first objective, by step, read from the storage.

        `Study.reports` returns all metrics of many trials at once.

        Raises:
            InvalidArgument: the record was not read from a study of this process.
        """
        read = self._source().curve
        if read is None:
            raise self._detached("reports", "study.reports([number])")
        return dict(read(self.number))

    @property
    def last_step(self) -> int | None:
        """Return its last reported step, `None` without reports; read from the storage."""
        return max(self.intermediate_values, default=None)

    @property
    def distributions(self) -> dict[str, Any]:
        """Return the domains of its params as Optuna's distributions; `study.space` has ours.

        Raises:
            InvalidArgument: the record does not come from a study of this process.
            MissingExtra: Optuna is not installed.
        """
        made = self._source().distributions
        if made is None:
            raise self._detached("distributions", "study.space")
        return dict(made(self))

    @property
    def system_attrs(self) -> dict[str, Any]:
        """Return what helpers of Optuna's, such as its terminator, have noted on the trial."""
        return system_attrs(self.user_attrs)

    # What an objective asks of a trial, answered by one that has been: nothing is drawn.

    def suggest_float(self, name: str, low: float, high: float, **_: Any) -> Any:
        """Return the value that the trial has had; see `suggest_categorical`."""
        return self._had(name)

    def suggest_int(self, name: str, low: int, high: int, **_: Any) -> Any:
        """Return the value that the trial has had; see `suggest_categorical`."""
        return self._had(name)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return the value that the trial has had, so that an objective can be called again.

        The range is not looked at, as where a space is declared.

        Raises:
            UnknownParameter: the trial has no such parameter.
        """
        return self._had(name)

    def report(self, metrics: object, step: int, **_: Any) -> None:
        """Do nothing, since the trial's reports are final."""

    def should_prune(self) -> bool:
        """Return `False`: nobody ends a trial that has been."""
        return False

    def _had(self, name: str) -> Any:
        if self.params is None:
            raise InvalidArgument(
                f"trial {self.number} has no params yet; take a trial that has run."
            )
        return self.params[name]

    def attach(self, source: TrialSource) -> None:
        """Attach the study that the record was read from, which does not affect equality.

        The record is modified in place, because copying 10,000 trials would be slow.
        """
        object.__setattr__(self, "source", source)

    def _source(self) -> TrialSource:
        if self.source is None:
            raise self._detached("objectives", "its metrics")
        return self.source

    def _detached(self, what: str, instead: str) -> InvalidArgument:
        return InvalidArgument(
            f"trial {self.number} was not read from a study of this process, which knows its "
            f"{what}; use {instead}, or a trial of study.trials."
        )

    def __getattr__(self, name: str) -> Any:
        raise unknown_name("TrialRecord", name)


def _local(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds)
