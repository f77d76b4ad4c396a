"""Optuna's names and enumerations beside ours; nothing here imports Optuna."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CONSTRAINTS = (
    'measure it as a metric and bound it: tk.study(constraints=["latency_ms <= 8"]); bounds on '
    "params belong in the space: tk.Space(..., constraints=[...])"
)
_FILES = "trial.save_checkpoint(step, path) and study.checkpoint_path(trial)"
_ATTRS = "keep plain JSON with set_user_attr and read it from user_attrs"

INSTEAD: Mapping[str, Mapping[str, str]] = {
    "tunekit": {
        "create_study": "tk.study(...) makes a study, and opens it where it exists",
        "get_all_study_names": "tk.study_names(storage=...) gives them",
        "get_all_study_summaries": "tk.study_names(storage=...) gives the names, load_study each",
        "create_trial": "study.add_trial takes what optuna.trial.create_trial gives",
        "samplers": "keep importing optuna for them; tk.study(sampler=...) takes its objects",
        "pruners": "keep importing optuna for them; tk.study(pruner=...) takes its objects",
        "visualization": "give study.to_optuna() to the functions of optuna.visualization",
        "importance": "study.importance() gives the shares",
        "logging": 'tunekit logs under the name "tunekit" of the module logging',
        "storages": "tk.study(storage=...) takes a URL or a path",
        "artifacts": f"use {_FILES}",
        "distributions": "tk.Float, tk.Int and tk.Categorical are the domains",
    },
    "Study": {
        "system_attrs": _ATTRS,
        "set_system_attr": _ATTRS,
        "pruner": "study.stopper is it",
    },
    "Trial": {
        "set_constraint": _CONSTRAINTS,
        "constraints": _CONSTRAINTS,
        "suggest_uniform": "use suggest_float(name, low, high)",
        "suggest_loguniform": "use suggest_float(name, low, high, log=True)",
        "suggest_discrete_uniform": "use suggest_float(name, low, high, step=q)",
        "relative_params": "trial.params has the whole point",
        "distributions": "trial.domains has what the program asked for",
        "datetime_start": "study.trials[trial.number].datetime_start has it",
    },
    "TrialRecord": {
        "constraints": "metrics has what was measured, study.history.violation(trial) by how much",
        "set_user_attr": "a record does not change; study.storage.set_trial_attrs does it",
    },
}


def unknown_name(owner: str, name: str) -> AttributeError:
    """Return the error for a name that `owner` does not have, with what to use in its place."""
    instead = INSTEAD.get(owner, {}).get(name)
    has = f"module {owner!r}" if owner == "tunekit" else f"{owner!r} object"
    why = f"; {instead}." if instead else ""
    return AttributeError(f"{has} has no attribute {name!r}{why}")


FOREIGN = {
    "/optuna/artifacts/": f"Optuna's artifacts take its own trials only; use {_FILES} instead",
}
"""Files of Optuna's that raise on our trials -> what to use in their place."""


def advice(filename: str) -> str:
    """Return what to use where a function of Optuna's raised in this file; else an empty text."""
    place = filename.replace("\\", "/")
    return next((instead for part, instead in FOREIGN.items() if part in place), "")


SYSTEM = "optuna:"
"""Before the keys of what Optuna's helpers note on a trial, among its user attributes."""


def system_attrs(user_attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what helpers of Optuna's, such as its terminator, have noted on a trial."""
    return {k.removeprefix(SYSTEM): v for k, v in user_attrs.items() if k.startswith(SYSTEM)}


def own_attrs(user_attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the user attributes without what helpers of Optuna's have noted."""
    return {k: v for k, v in user_attrs.items() if not k.startswith(SYSTEM)}


def member_name(other: object, enumeration: str) -> str | None:
    """Return the name of a member of one of Optuna's enumerations, `None` of anything else."""
    kind = type(other)
    if kind.__name__ != enumeration or not kind.__module__.startswith("optuna."):
        return None
    return str(getattr(other, "name", ""))


def plain_directions(given: object) -> object:
    """Return directions with members of Optuna's enumeration as words; anything else as it is."""
    if not isinstance(given, list | tuple):
        return given
    return [(member_name(one, "StudyDirection") or "").lower() or one for one in given]


class DirectionWord(str):
    """Holds "minimize" or "maximize"; equal to the member of Optuna's `StudyDirection` as well.

    Scripts and Optuna's own helpers compare a study's direction with that member, and would take
    the other way where no word ever equals it.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        name = member_name(other, "StudyDirection")
        return str.__eq__(self, other) if name is None else self.upper() == name

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return str.__hash__(self)


class OptunaNotes:
    """Takes the notes that helpers of Optuna's would make in its storage, for one trial.

    Args:
        trial: that has `set_system_attr`.
    """

    def __init__(self, trial: Any) -> None:
        self._trial = trial

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Keep a note with the trial; it is stored with its result, an array as a list."""
        self._trial.set_system_attr(key, value.tolist() if hasattr(value, "tolist") else value)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"trial.storage has no {name!r}: it only takes notes of Optuna's helpers; the storage "
            "itself is study.storage."
        )


class CallableBool(int):
    """Yes or no, which may be called as well: where we have a property, Optuna has a method."""

    __slots__ = ()

    def __call__(self) -> bool:
        """Return the same as a `bool`."""
        return bool(self)

    def __repr__(self) -> str:
        return repr(bool(self))


YES, NO = CallableBool(1), CallableBool(0)
