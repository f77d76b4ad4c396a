"""Allocates the slots of a shared pool by weighted max-min fairness, with pre-emption.

Pure: data in, decision out. A slot holds what one trial needs of whatever is scarce (a GPU, half
of one), so the dominant share of a study is its share of the slots.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

EPSILON = 1e-9


@dataclass(frozen=True, slots=True)
class RunningTrial:
    """A running trial: the seconds it has run, and the seconds a pre-emption would lose."""

    number: int
    run_s: float = 0.0
    unsaved_s: float = 0.0
    is_stopping: bool = False


@dataclass(frozen=True, slots=True)
class Claimant:
    """A study that wants slots.

    Attributes:
        study: its name.
        owner: whose quota it counts against.
        weight: its share is proportional to it; above 0.
        priority: whoever has a higher one is served in full before.
        quota: the most slots that all studies of the owner hold together.
        running: its running trials, one slot each.
        waiting: how many more it would start at once.
        served: slot-seconds that it has had so far; who had fewer by its weight goes first
            where slots do not divide.
    """

    study: str
    owner: str = ""
    weight: float = 1.0
    priority: int = 0
    quota: int | None = None
    running: Sequence[RunningTrial] = ()
    waiting: int = 0
    served: float = 0.0

    @property
    def demand(self) -> int:
        """Return the number of slots it can use."""
        return len(self.running) + self.waiting


@dataclass(frozen=True, slots=True)
class Allocation:
    """The resulting allocation of slots.

    Attributes:
        slots: of each claimant, how many trials it may run now: what runs, and a part of what
            is free.
        preempt: of each claimant, the numbers of the running trials that give way.
    """

    slots: tuple[int, ...]
    preempt: tuple[tuple[int, ...], ...]


def fair_shares(claimants: Sequence[Claimant], capacity: int) -> list[float]:
    """Return the slots that are due to each claimant, in fractions.

    Priority by priority, all shares grow in proportion to the weights until the demand of a
    claimant, the quota of an owner or the capacity is reached: no share can grow further
    without cutting one that is smaller by its weight. They sum up to a whole number.

    Reference:
        Ghodsi et al. 2011, Dominant Resource Fairness, section 4.1 (algorithm 1: progressive
        filling) and 4.3 (weights), for demands of one shape.
    """
    shares = [0.0] * len(claimants)
    left = float(capacity)
    quota = _quotas(claimants)
    for level in _levels(claimants):
        growing = [i for i in level if claimants[i].demand > 0]
        while growing and left > EPSILON:
            weights: Counter[str] = Counter()
            for i in growing:
                weights[claimants[i].owner] += claimants[i].weight  # type: ignore[assignment]
            rise = left / sum(weights.values())
            rise = min([rise, *(quota[o] / w for o, w in weights.items())])
            for i in growing:
                rise = min(rise, (claimants[i].demand - shares[i]) / claimants[i].weight)
            for i in growing:
                step = rise * claimants[i].weight
                shares[i] += step
                quota[claimants[i].owner] -= step
                left -= step
            growing = [
                i
                for i in growing
                if claimants[i].demand - shares[i] > EPSILON
                and quota[claimants[i].owner] > EPSILON
            ]
    return shares


def sure(shares: Sequence[float]) -> list[int]:
    """Return the shares rounded down."""
    return [math.floor(s + EPSILON) for s in shares]


def whole_shares(claimants: Sequence[Claimant], shares: Sequence[float]) -> list[int]:
    """Return the shares rounded down or up, with the same sum, within the quotas.

    What is left after rounding down goes to who was served least by its weight.
    """
    whole = sure(shares)
    quota = _quotas(claimants)
    for c, n in zip(claimants, whole, strict=True):
        quota[c.owner] -= n
    for level in _levels(claimants):
        left = round(sum(shares[i] for i in level)) - sum(whole[i] for i in level)
        broken = [i for i in level if shares[i] - whole[i] > EPSILON]
        for i in sorted(broken, key=lambda i: (_had(claimants[i]), i)):
            if left > 0 and quota[claimants[i].owner] >= 1:
                whole[i] += 1
                quota[claimants[i].owner] -= 1
                left -= 1
    return whole


def decide(claimants: Sequence[Claimant], capacity: int, *, min_run_s: float = 0.0) -> Allocation:
    """Return how many trials each claimant may run now, and which ones to pre-empt.

    Free slots go to the claimant furthest below its share. A trial is pre-empted only if one
    claimant lacks a whole slot of its share or another exceeds its share by a whole slot, and
    only in a study that keeps its own share, rounded down; within a study, the trial that loses
    least. Nothing is therefore pre-empted while all claimants are within one slot of their
    shares, and rounding never moves slots back and forth.

    Args:
        claimants: all that share; those of one owner agree on its quota.
        capacity: slots of the pool.
        min_run_s: no trial gives way before it has run so long.
    """
    shares = fair_shares(claimants, capacity)
    goal = whole_shares(claimants, shares)
    slots = _granted(claimants, [sure(shares), goal], capacity)
    preempt: Sequence[Sequence[int]] = [()] * len(claimants)
    if any(n < g for n, g in zip(slots, goal, strict=True)):
        preempt = _Preemption(claimants, shares, slots, capacity, min_run_s).choose(goal)
    return Allocation(tuple(slots), tuple(tuple(numbers) for numbers in preempt))


def _granted(
    claimants: Sequence[Claimant], goals: Sequence[Sequence[int]], capacity: int
) -> list[int]:
    """Return what each may hold once the free slots are given, to one goal after the other."""
    slots = [len(c.running) for c in claimants]
    free = capacity - sum(slots)
    quota = _quotas(claimants)
    for c in claimants:
        quota[c.owner] -= len(c.running)
    for level, goal in product(_levels(claimants), goals):
        while free > 0:
            below = [i for i in level if slots[i] < goal[i] and quota[claimants[i].owner] >= 1]
            if not below:
                break
            i = min(below, key=lambda i: (slots[i] / claimants[i].weight, _had(claimants[i]), i))
            slots[i] += 1
            quota[claimants[i].owner] -= 1
            free -= 1
    return slots


class _Preemption:
    """Selects the trials to pre-empt, beyond those that end anyway and granted slots."""

    def __init__(
        self,
        claimants: Sequence[Claimant],
        shares: Sequence[float],
        slots: Sequence[int],
        capacity: int,
        min_run_s: float,
    ) -> None:
        self._claimants = claimants
        self._shares = shares
        # How many each will hold, and which of them it could lose.
        self._holds = [
            n - sum(h.is_stopping for h in c.running)
            for c, n in zip(claimants, slots, strict=True)
        ]
        self._min_run_s = min_run_s
        self._candidates: dict[int, list[RunningTrial]] = {}
        self._free = capacity - sum(self._holds)
        self._quota = _quotas(claimants)
        for c, n in zip(claimants, self._holds, strict=True):
            self._quota[c.owner] -= n
        self._chosen: list[list[int]] = [[] for _ in claimants]

    def choose(self, goal: Sequence[int]) -> list[list[int]]:
        """Return the numbers of each claimant's trials that give way."""
        due = sure(self._shares)
        for level in _levels(self._claimants):
            # Whole shares come first, so that no claimant gains a slot by rounding and then
            # gives it back.
            for i in level:
                self._fill(i, due[i], is_sure=True)
            for i in level:
                is_lacking = sum(goal[k] - self._holds[k] for k in level) > 0
                self._fill(i, goal[i], is_sure=False, is_lacking=is_lacking)
        return self._chosen

    def _fill(self, i: int, goal: int, *, is_sure: bool, is_lacking: bool = True) -> None:
        """Let a claimant hold as much as its goal, if that can be."""
        while self._holds[i] < goal:
            if not self._has_room(i):
                j = self._victim(i, is_sure=is_sure, is_lacking=is_lacking)
                if j is None:
                    return
                self._give_up(j)
            elif not is_lacking:
                return
            self._move(i, 1)

    def _has_room(self, i: int) -> bool:
        return self._free > 0 and self._quota[self._claimants[i].owner] >= 1

    def _move(self, i: int, n: int) -> None:
        self._holds[i] += n
        self._free -= n
        self._quota[self._claimants[i].owner] -= n

    def _give_up(self, j: int) -> None:
        self._chosen[j].append(self._candidates[j].pop().number)
        self._move(j, -1)

    def _victim(self, i: int, *, is_sure: bool, is_lacking: bool) -> int | None:
        """Return who gives a slot: the lowest priority, then who has a whole one too many.

        Then the least loss. It is of the owner itself where that one is at its quota. What is due
        by rounding up alone is taken from those that have a whole one too many; from all of lower
        priorities as long as all of this one hold less than is due to them together.
        """
        claimant = self._claimants[i]
        able = [
            j
            for j, c in enumerate(self._claimants)
            if self._holds[j] - self._shares[j] > EPSILON
            and (
                is_sure
                or self._has_one_too_many(j)
                or (is_lacking and c.priority < claimant.priority)
            )
            and (c.owner == claimant.owner or self._quota[claimant.owner] >= 1)
            and self._losable(j)
        ]
        return min(able, key=self._rank, default=None)

    def _rank(self, j: int) -> tuple[int, bool, float, int]:
        loss_s = self._candidates[j][-1].unsaved_s
        return self._claimants[j].priority, not self._has_one_too_many(j), loss_s, j

    def _has_one_too_many(self, j: int) -> bool:
        return self._holds[j] - self._shares[j] >= 1 - EPSILON

    def _losable(self, j: int) -> list[RunningTrial]:
        """Return the trials of a claimant that may give way, the one that loses least last."""
        if j not in self._candidates:
            able = [
                h
                for h in self._claimants[j].running
                if not h.is_stopping and h.run_s >= self._min_run_s
            ]
            self._candidates[j] = sorted(able, key=lambda h: (-h.unsaved_s, -h.run_s, h.number))
        return self._candidates[j]


def _levels(claimants: Sequence[Claimant]) -> Iterator[list[int]]:
    """Yield the positions of the claimants of each priority, the highest first."""
    for priority in sorted({c.priority for c in claimants}, reverse=True):
        yield [i for i, c in enumerate(claimants) if c.priority == priority]


def _quotas(claimants: Sequence[Claimant]) -> dict[str, float]:
    return {c.owner: math.inf if c.quota is None else float(c.quota) for c in claimants}


def _had(claimant: Claimant) -> float:
    return claimant.served / claimant.weight
