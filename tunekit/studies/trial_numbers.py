"""Reads which trial a caller means: a number, or a trial or record that has one."""

from __future__ import annotations

from numbers import Integral

from tunekit.checks import shown
from tunekit.errors import InvalidArgument
from tunekit.executors.trial import Trial
from tunekit.records import TrialRecord


def trial_number(trial: object) -> int:
    """Return the number of a trial.

    Raises:
        InvalidArgument: it is neither a trial, a record of one, nor a whole number.
    """
    if isinstance(trial, Trial | TrialRecord):
        return trial.number
    if isinstance(trial, Integral) and not isinstance(trial, bool):  # NumPy's integers as well
        return int(trial)
    raise InvalidArgument(
        f"trial={shown(trial)}, expected a trial, such as ask() returns, or its number as an int."
    )
