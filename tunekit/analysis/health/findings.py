"""What the health checks of a study have found."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

CheckName: TypeAlias = Literal[
    "boundary",
    "predictability",
    "noise",
    "duplicates",
    "failures",
    "baseline",
    "stopping",
    "budget",
]
Verdict: TypeAlias = Literal["sick", "healthy", "unknown"]

CHECKS: tuple[CheckName, ...] = get_args(CheckName)
"""The checks, in the order in which they are shown."""

MAX_NUMBERS = 20
"""Trials that a finding names."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: name of the check.
        verdict: "unknown" where the data do not suffice for an answer.
        number: what was measured; `None` where nothing was.
        unit: what the number is, such as "share of repeated trials".
        text: the verdict as one sentence.
        advice: one thing to do; empty unless the study is sick.
        command: the advice as a line for a terminal, where there is one.
        trials: numbers of trials that show it, at most `MAX_NUMBERS`.
        paths: parameters that it is about.
        action: the advice for a program, such as `{"do": "widen", "path": "lr", "hi": 1.0}`.
    """

    check: CheckName
    verdict: Verdict
    number: float | None
    unit: str
    text: str
    advice: str = ""
    command: str = ""
    trials: tuple[int, ...] = ()
    paths: tuple[str, ...] = ()
    action: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_sick(self) -> bool:
        """Return whether something is to be done."""
        return self.verdict == "sick"

    def __str__(self) -> str:
        lines = [f"{self.verdict:8} {self.check}: {self.text}"]
        lines += [f"{'':9}{line}" for line in (self.advice, self.command) if line]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as plain JSON."""
        return {
            "check": self.check,
            "verdict": self.verdict,
            "number": self.number,
            "unit": self.unit,
            "text": self.text,
            "advice": self.advice,
            "command": self.command,
            "trials": list(self.trials),
            "paths": list(self.paths),
            "action": dict(self.action),
        }


@dataclass(frozen=True, slots=True)
class StudyHealth:
    """The findings on a study, one of each check."""

    findings: tuple[Finding, ...]

    @property
    def sick(self) -> tuple[Finding, ...]:
        """Return the findings after which something is to be done."""
        return tuple(f for f in self.findings if f.is_sick)

    def __getitem__(self, check: CheckName) -> Finding:
        found = {f.check: f for f in self.findings}
        return found[check]

    def __str__(self) -> str:
        order = {"sick": 0, "unknown": 1, "healthy": 2}
        return "\n".join(map(str, sorted(self.findings, key=lambda f: order[f.verdict])))

    def to_dict(self) -> dict[str, Any]:
        """Return the findings as plain JSON."""
        found = [f.to_dict() for f in self.findings]
        return {"sick": [f.check for f in self.sick], "findings": found}


def line(*words: str) -> str:
    """Return a command of tunekit as a line for a shell."""
    return shlex.join(["tunekit", *words])


def healthy(check: CheckName, text: str, number: float | None = None, unit: str = "") -> Finding:
    """Return the finding of a check that has nothing to object."""
    return Finding(check, "healthy", number, unit, text)


def unknown(check: CheckName, text: str) -> Finding:
    """Return the finding of a check that cannot tell yet."""
    return Finding(check, "unknown", None, "", text)
