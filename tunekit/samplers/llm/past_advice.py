"""Reads from a study's trials what the model has advised, what it cost, and how good it was."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from tunekit.errors import TunekitError
from tunekit.history import History
from tunekit.noise.replicates import UNMEASURED, Key, key_of
from tunekit.records import TrialRecord, TrialState
from tunekit.samplers.base import StudyView
from tunekit.samplers.llm.ranges import Ranges, read_ranges
from tunekit.spaces import Params

KEY = "llm"
"""Key of a trial's evidence under which a model's part in it stands."""

FRESH = 8
"""Trials that may begin after an advice before its unused points are out of date."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a study has paid for advice.

    Attributes:
        dollars: of the answers whose price is known.
        calls: number of requests for advice.
        n_failed: requests since the last one that gave points.
        last: number of the trial that the last advice came with, -1 without one.
    """

    dollars: float = 0.0
    tokens: int = 0
    seconds: float = 0.0
    calls: int = 0
    n_failed: int = 0
    last: int = -1

    def with_more(self, *, tokens: int, dollars: float, seconds: float) -> Spent:
        """Return what is spent once a request on its way is paid for."""
        return replace(
            self,
            tokens=self.tokens + tokens,
            dollars=self.dollars + dollars,
            seconds=self.seconds + seconds,
        )


@dataclass(frozen=True, slots=True)
class HitRates:
    """How often the proposals of each side improved the best result, after the first trials.

    Attributes:
        llm, classical: (improvements, other trials) of each.
    """

    llm: tuple[int, int] = (0, 0)
    classical: tuple[int, int] = (0, 0)

    @property
    def chance(self) -> float:
        """Return the probability that the model's hit rate is the higher one.

        Each rate has the posterior Beta(1 + improvements, 1 + others), and
        P(A > B) = sum_{i < a_A} B(a_B + i, b_A + b_B) / ((b_A + i) B(1 + i, b_A) B(a_B, b_B)).
        """
        (a_hits, a_rest), (b_hits, b_rest) = self.llm, self.classical
        a, b, c, d = 1 + a_hits, 1 + a_rest, 1 + b_hits, 1 + b_rest
        return sum(
            math.exp(
                _log_beta(c + i, b + d) - math.log(b + i) - _log_beta(1 + i, b) - _log_beta(c, d)
            )
            for i in range(a)
        )


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def advices(trials: Iterable[TrialRecord]) -> list[tuple[int, Mapping[str, Any]]]:
    """Return (number of the trial that it came with, advice as stored), by number."""
    found = []
    for trial in trials:
        part = trial.evidence.get(KEY)
        advice = part.get("advice") if isinstance(part, Mapping) else None
        if isinstance(advice, Mapping):
            found.append((trial.number, advice))
    return sorted(found, key=lambda pair: pair[0])


def spent(given: Sequence[tuple[int, Mapping[str, Any]]]) -> Spent:
    """Return what the advices of a study cost together."""
    n_failed = 0
    for _, advice in given:
        n_failed = 0 if advice["points"] else n_failed + 1
    return Spent(
        dollars=sum(a["dollars"] or 0.0 for _, a in given),
        tokens=sum(a["tokens"] for _, a in given),
        seconds=sum(a["seconds"] for _, a in given),
        calls=len(given),
        n_failed=n_failed,
        last=given[-1][0] if given else -1,
    )


def unused(
    view: StudyView, given: Sequence[tuple[int, Mapping[str, Any]]], number: int
) -> list[tuple[int, Params]]:
    """Return the points of the newest advice that still belong to the space, with its trial."""
    if not given:
        return []
    came_with, advice = given[-1]
    if number - came_with > FRESH:
        return []
    points = []
    for stored in advice["points"]:
        try:
            points.append((came_with, view.space.validate(stored)))
        except TunekitError:  # the space was edited
            continue
    return points


def predicted(
    view: StudyView, given: Sequence[tuple[int, Mapping[str, Any]]]
) -> dict[Key, tuple[float, float]]:
    """Return what the model expects of the points of the newest advice: key -> (mean, sd)."""
    if not given or not given[-1][1].get("predictions"):
        return {}
    found: dict[Key, tuple[float, float]] = {}
    advice = given[-1][1]
    for stored, (mean, sd) in zip(advice["points"], advice["predictions"]["values"], strict=False):
        with suppress(TunekitError):  # the space was edited
            found[key_of(view.space.validate(stored))] = (mean, sd)
    return found


def newest_ranges(
    view: StudyView, given: Sequence[tuple[int, Mapping[str, Any]]]
) -> tuple[int, Ranges]:
    """Return the ranges of the newest advice with some that fit the space, with its trial.

    They do not go out of date like points, because their weight falls with every result.
    """
    for came_with, advice in reversed(given):
        ranges, _ = read_ranges(advice.get("ranges"), view.space)
        if ranges:
            return came_with, ranges
    return -1, {}


def hit_rates(history: History, *, after: int) -> HitRates:
    """Return how often each side's trials improved the best result.

    Args:
        history: the trials.
        after: number of the first trial that counts.
    """
    counts = {True: [0, 0], False: [0, 0]}
    for trial, is_hit in judged(history):
        if trial.number >= after and trial.sampler != "user":
            counts[trial.sampler == KEY][0 if is_hit else 1] += 1
    llm, classical = counts[True], counts[False]
    return HitRates((llm[0], llm[1]), (classical[0], classical[1]))


def judged(history: History) -> Iterator[tuple[TrialRecord, bool]]:
    """Yield each ended trial, by number, and whether it improved what the ones before had reached.

    One that fails, is stopped, or violates a limit improves nothing. With several objectives it
    has to join the front. Left out are trials below the target fidelity, whose results do not
    compare, and lost and cancelled ones, which have none.
    """
    front: list[list[float]] = []
    for trial in history.finished():
        if trial.state in UNMEASURED or not history.is_at_target(trial):
            continue
        is_result = trial.state is TrialState.COMPLETE and not history.violation(trial)
        row = history.loss_row(trial) if is_result else []
        is_hit = bool(row) and all(map(math.isfinite, row))
        is_hit = is_hit and not any(_covers(kept, row) for kept in front)
        if is_hit:
            front = [kept for kept in front if not _covers(row, kept)] + [row]
        yield trial, is_hit


def _covers(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True))
