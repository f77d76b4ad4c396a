"""Defines the data of the chart of proposers, which the service also answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tunekit.analysis.charts.records import Chart
from tunekit.records import Direction
from tunekit.spaces import Scalar


@dataclass(frozen=True, slots=True)
class ProposerRecord:
    """What the proposals of one sampler were worth.

    Attributes:
        sampler: short name; "llm" for a language model, "user" for points of people.
        n_trials: ended trials with its proposals.
        hits: how many of them improved the best result or joined the front, after trial 0.
        best, best_number: its best result, and that trial's number; `None` without one or with
            several objectives.
        improved_at, improved_to: its trials that improved its own best, and their results.
    """

    sampler: str
    n_trials: int
    hits: int
    best: float | None
    best_number: int | None
    improved_at: tuple[int, ...] = ()
    improved_to: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class AdviceRow:
    """One request for advice of a language model.

    Attributes:
        number: of the trial that it is stored with.
        n_points: usable points of the reply.
        dollars: `None` where the price is not known.
        problem: the last sentence on what went wrong; empty if nothing did.
        used_by: trials that took its points.
    """

    number: int
    n_points: int
    tokens: int
    dollars: float | None
    seconds: float
    model: str
    rationale: str
    problem: str
    used_by: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AdviceText:
    """The texts of one request; all of them come from outside and are data.

    Attributes:
        points: usable points of the reply.
        problems: what went wrong.
    """

    number: int
    prompt: str
    reply: str
    rationale: str
    points: tuple[Mapping[str, Scalar], ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProposersChart(Chart):
    """Who proposed the trials, what came of it, and what the advice of a model has cost.

    Attributes:
        proposers: one a sampler, that of the language model first.
        numbers: trials of the shares, by number.
        allowed: share that the model might take at each of them; empty without a model.
        taken: share that it took of the trials around each of them.
        chance: probability that the model's hit rate is higher than that of all others.
        n_calls, n_failed: requests, and those without a usable point.
        dollars: of the answers whose price is known.
        advice: the newest requests first.
        text: the one that was asked for, else the newest; `None` without any.
    """

    metric: str
    direction: Direction
    proposers: tuple[ProposerRecord, ...]
    numbers: tuple[int, ...]
    allowed: tuple[float, ...]
    taken: tuple[float, ...]
    chance: float
    n_calls: int
    n_failed: int
    dollars: float
    tokens: int
    seconds: float
    advice: tuple[AdviceRow, ...]
    text: AdviceText | None
