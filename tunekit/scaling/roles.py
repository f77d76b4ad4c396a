"""Says which value of a run plays which role in a law: N, D, learning rate, batch size, loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from tunekit.checks import is_number, shown
from tunekit.errors import InvalidArgument, did_you_mean

Source: TypeAlias = "str | float | Callable[[Mapping[str, Any]], float]"
"""Where a role's value comes from: a column's name, one number for all runs, or a function of the
row, such as `lambda row: 12 * row["layers"] * row["width"] ** 2`."""

STUDY = "study"
"""The column that holds the name of the study or the file that a run comes from."""

GROUPS = ("params.", "attrs.", "metrics.")

USUAL: Mapping[str, tuple[str, ...]] = {
    "lr": ("lr", "learning_rate"),
    "bs": ("bs", "batch_size", "batch", "batch_tokens"),
    "n": ("N", "n", "n_params"),
    "d": ("D", "d", "tokens", "n_tokens"),
    "loss": ("loss", "val_loss", "final_loss"),
    "wd": ("wd", "weight_decay"),
}
"""Names that are looked for, in this order, where a role is not given."""

NEEDED = ("lr", "bs", "n", "d", "loss")
OPTIONAL = ("wd", "factor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """The source of each role; `None` is looked for under its usual names.

    Attributes:
        lr: peak learning rate.
        bs: batch size, in tokens, or in sequences where `sequence_length` is given.
        n: number of parameters.
        d: training tokens.
        loss: final loss; less is better.
        wd: weight decay.
        factor: label of the optimiser or schedule; "study" is the name of the run's study.
        sequence_length: tokens of a sequence, where `bs` counts sequences.
    """

    lr: Source | None = None
    bs: Source | None = None
    n: Source | None = None
    d: Source | None = None
    loss: Source | None = None
    wd: Source | None = None
    factor: str | None = None
    sequence_length: int | None = None

    def __post_init__(self) -> None:
        for role in (*NEEDED, *OPTIONAL):
            given = getattr(self, role)
            if given is None or isinstance(given, str) or callable(given) or is_number(given):
                continue
            raise InvalidArgument(
                f"scaling: {role}={shown(given)}, expected the name of a parameter, attribute, "
                "metric or column, one number for all runs, or a function of a row."
            )
        length = self.sequence_length
        if length is not None and (not isinstance(length, int) or length < 1):
            raise InvalidArgument(
                f"scaling: sequence_length={shown(length)}, expected the number of tokens of a "
                "sequence, a whole number from 1."
            )

    @property
    def tokens_per_batch_unit(self) -> int:
        """Return how many tokens one unit of the batch size has."""
        return self.sequence_length or 1

    def found_in(self, columns: Sequence[str], scales: Mapping[str, str], where: str) -> Roles:
        """Return the roles with the columns that play them.

        Args:
            columns: names of a table; those of a study's trials begin with "params.", "attrs." or
                are the name of a metric.
            scales: role -> path of the scale axes of a study's space.
            where: the data, as an error names them.

        Raises:
            InvalidArgument: no column plays a role that a law needs, or several may.
        """
        found: dict[str, Any] = {}
        for role in (*NEEDED, *OPTIONAL):
            given = getattr(self, role)
            axis = scales.get(role.upper()) or scales.get(role)
            if given is None and axis is not None and f"params.{axis}" in columns:
                given = f"params.{axis}"
            if isinstance(given, str):
                found[role] = column(given, columns, f"{role}=", where)
            elif given is None and role in USUAL:
                found[role] = _usual(role, columns, where)
        return replace(self, **{k: v for k, v in found.items() if v is not None})

    def role_of(self, parameter: str) -> str:
        """Return the role that a parameter of the study plays; a role's own name is one too.

        Raises:
            InvalidArgument: the parameter plays none.
        """
        for role in ("lr", "bs", "wd", "n", "d"):
            source = getattr(self, role)
            if isinstance(source, str):
                path = source.removeprefix("params.")
                if parameter in (role, source, path, path.rpartition(".")[2]):
                    return role
            elif parameter == role:
                return role
        raise InvalidArgument(
            f'scaling: "{parameter}" plays no role in this law, expected one of {self.shown()}.'
        )

    def shown(self) -> str:
        """Return the roles and their sources as text."""
        named = {r: getattr(self, r) for r in (*NEEDED, *OPTIONAL)}
        return ", ".join(
            f"{r}={v if isinstance(v, str) else 'a function' if callable(v) else f'{v:g}'}"
            for r, v in named.items()
            if v is not None
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the roles as plain JSON; a function becomes the text "function"."""
        sources = {r: getattr(self, r) for r in (*NEEDED, *OPTIONAL)}
        plain = {r: "function" if callable(v) else v for r, v in sources.items()}
        return {**plain, "sequence_length": self.sequence_length}


def column(name: str, columns: Sequence[str], what: str, where: str) -> str:
    """Return the column of a name: itself, with a group in front, or as a unique last part.

    Raises:
        InvalidArgument: there is none, or there are several.
    """
    for candidate in (name, *(f"{group}{name}" for group in GROUPS)):
        if candidate in columns:
            return candidate
    ending = [c for c in columns if c.endswith(f".{name}")]
    if len(ending) == 1:
        return ending[0]
    if ending:
        raise InvalidArgument(
            f'scaling: {what}"{name}" may be {" or ".join(ending)} of {where}; give the whole '
            "name."
        )
    short = [c.partition(".")[2] if c.startswith(GROUPS) else c for c in columns]
    raise InvalidArgument(
        f'scaling: {what}"{name}", but {where} has no such column{did_you_mean(name, short)}; it '
        f"has {', '.join(short) or 'none'}."
    )


def _usual(role: str, columns: Sequence[str], where: str) -> str | None:
    for name in USUAL[role]:
        for candidate in (name, *(f"{group}{name}" for group in GROUPS)):
            if candidate in columns:
                return candidate
    for name in USUAL[role]:
        if any(c.endswith(f".{name}") for c in columns):
            return column(name, columns, f"{role}=", where)
    if role not in NEEDED:
        return None
    raise InvalidArgument(
        f"scaling: no column of {where} is called {' or '.join(USUAL[role])}; say with "
        f"{role}=... (--{role} NAME) which one is {_MEANING[role]}. It has "
        f"{', '.join(columns) or 'none'}."
    )


_MEANING = {
    "lr": "the learning rate",
    "bs": "the batch size",
    "n": "the number of parameters",
    "d": "the number of training tokens",
    "loss": "the final loss",
}
