"""State of the evolution: its population, the best of each branch, and operator rewards."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from tunekit.history import History
from tunekit.records import TrialRecord
from tunekit.samplers.base import StudyView
from tunekit.samplers.evolutionary.axes import Structure
from tunekit.samplers.evolutionary.cmaes import Knowledge
from tunekit.samplers.evolutionary.cmaes_restarts import CmaSettings
from tunekit.samplers.evolutionary.dominance import dominates, order
from tunekit.samplers.evolutionary.merit import BROKEN, FEASIBLE, Merit, merit
from tunekit.spaces import Params, Scalar

Algorithm: TypeAlias = Literal["ga", "regularised"]

MEMORY = 150  # number of recent trials whose success sets operator probabilities and step widths
N_SUCCESSES = 25  # number of recent successes of an operator that its step width averages


@dataclass(frozen=True, slots=True)
class Individual:
    """A current or former member of the population.

    Attributes:
        outline: its params without the numbers.
        birth: number of ended trials when it ended.
    """

    merit: Merit
    number: int
    params: Params
    losses: tuple[float, ...]
    outline: tuple[tuple[str, Scalar], ...]
    birth: int


@dataclass(frozen=True, slots=True)
class ChildScore:
    """The success of one child.

    Attributes:
        reward: from 0 (not in the population) to 1 (its best).
        has_improved: whether it is better than its parent.
    """

    arm: str
    reward: float
    has_improved: bool
    dials: Mapping[str, float]


class Population:
    """The population, in order of merit.

    `"ga"` keeps the best `size` of all children (mu + lambda truncation), `"regularised"` the
    latest `size`, however good. With several objectives the order is that of NSGA-II.
    """

    def __init__(self, view: StudyView, *, algorithm: Algorithm, size: int) -> None:
        self.structure = Structure(view.space)
        self.best_in: dict[tuple[str, Scalar], Individual] = {}
        self.keys: set[tuple[tuple[str, Scalar], ...]] = set()
        self.is_single = len(view.objectives) == 1
        self.cma = Knowledge(view, CmaSettings()) if self.is_single else None
        self.is_flat = len(self.structure.axes) == len(tuple(view.space))
        self.n_told = 0
        self._algorithm = algorithm
        self._size = size
        self._living: list[Individual] = []
        self._recent: deque[Individual] = deque(maxlen=size)
        self._newborn: list[Individual] = []
        self._members: dict[int, Individual] = {}
        self._scores: deque[ChildScore] = deque(maxlen=MEMORY)

    @property
    def living(self) -> list[Individual]:
        """Return the members from best to worst."""
        return self._living

    def tell(self, trial: TrialRecord, history: History) -> None:
        """Learn from a finished trial."""
        params = Params(trial.params or {})
        losses = tuple(history.losses([trial])[0].tolist())
        key = merit(trial, history)
        if any(math.isnan(v) for v in losses):
            key = (BROKEN, key[1], key[2])
        axes = self.structure.axes
        outline = tuple((path, v) for path, v in params.items() if path not in axes)
        child = Individual(key, trial.number, params, losses, outline, self.n_told)
        self.n_told += 1
        self.keys.add(tuple(params.items()))
        if self.cma is not None:
            self.cma.tell(trial, history)
        place = self._admit(child) if key[0] < BROKEN else None
        self._note_branches(child)
        self._note_score(child, trial.evidence, place)
        self._members[trial.number] = child

    @property
    def settled(self) -> float:
        """Return the share of the population that differs from the best only in numbers."""
        if not self._living:
            return 0.0
        best = self._living[0].outline
        return sum(m.outline == best for m in self._living) / len(self._living)

    def arm_rewards(self) -> dict[str, float]:
        """Return the mean reward of each recently used operator."""
        rewards: dict[str, list[float]] = {}
        for score in self._scores:
            rewards.setdefault(score.arm, []).append(score.reward)
        # A pseudo-reward of 1/2 keeps a short run of bad luck from deciding.
        return {arm: (sum(r) + 0.5) / (len(r) + 1) for arm, r in rewards.items()}

    def dial(self, arm: str, name: str, default: float) -> float:
        """Return the geometric mean of a step width over its recent improvements."""
        good = [
            s.dials[name]
            for s in reversed(self._scores)
            if s.arm == arm and s.has_improved and name in s.dials
        ][:N_SUCCESSES]
        logs = [math.log(v) for v in good] + [math.log(default)] * 2
        return math.exp(sum(logs) / len(logs))

    def _admit(self, child: Individual) -> int | None:
        """Add a child if it is good or young enough; return its rank, else `None`."""
        if not self.is_single:
            return self._admit_front(child)
        if self._algorithm == "regularised":
            self._recent.append(child)
            self._living = sorted(self._recent, key=lambda m: (m.merit, m.number))
            return self._living.index(child)
        place = bisect_left(self._living, (child.merit, child.number), key=_rank)
        if place >= self._size:
            return None
        self._living.insert(place, child)
        del self._living[self._size :]
        return place

    def _admit_front(self, child: Individual) -> int | None:
        if self._algorithm == "regularised":
            self._recent.append(child)
            self._living = ordered(list(self._recent))
            return self._living.index(child)
        self._newborn.append(child)
        # Parents and children are ranked together after every half generation.
        if len(self._newborn) >= max(1, self._size // 2) or len(self._living) < self._size:
            self._living = ordered(self._living + self._newborn)[: self._size]
            self._newborn = []
            return self._living.index(child) if child in self._living else None
        return None

    def _note_branches(self, child: Individual) -> None:
        if child.merit[0] > FEASIBLE:
            return
        for path, value in child.outline:
            if self.structure.is_switch(path):
                best = self.best_in.get((path, value))
                is_old = best is not None and self._has_aged(best)
                if best is None or is_old or self._is_better(child, best):
                    self.best_in[path, value] = child

    def _is_better(self, new: Individual, old: Individual) -> bool:
        """Return whether `new` may replace `old` as the best of a branch.

        With several objectives it only needs to be non-dominated, so the best of a branch moves
        along its whole front and not only near the best first objective.
        """
        if self.is_single or new.merit[:2] != old.merit[:2]:
            return _rank(new) < _rank(old)
        return not dominates(old.losses, new.losses)

    def _has_aged(self, member: Individual) -> bool:
        return self._algorithm == "regularised" and member.birth <= self.n_told - self._size

    def _note_score(
        self, child: Individual, evidence: Mapping[str, Any], place: int | None
    ) -> None:
        arm, number, dials = (evidence.get(k) for k in ("arm", "parent", "dials"))
        if not isinstance(arm, str):
            return
        parent = self._members.get(number) if isinstance(number, int) else None
        steps = dials.items() if isinstance(dials, Mapping) else ()
        score = ChildScore(
            arm,
            reward=0.0 if place is None else 1.0 - place / self._size,
            has_improved=parent is not None and self._has_improved(child, parent),
            dials={k: float(v) for k, v in steps if isinstance(v, int | float) and v > 0},
        )
        self._scores.append(score)

    def _has_improved(self, child: Individual, parent: Individual) -> bool:
        if self.is_single or child.merit[:2] != parent.merit[:2]:
            return child.merit < parent.merit
        return dominates(child.losses, parent.losses)


def ordered(members: list[Individual]) -> list[Individual]:
    """Return members with several losses from best to worst: feasible ones first, by NSGA-II."""
    inside = [m for m in members if m.merit[0] == FEASIBLE]
    outside = [m for m in members if m.merit[0] != FEASIBLE]
    ranks = order(np.array([m.losses for m in inside])) if inside else []
    return [inside[i] for i in ranks] + sorted(outside, key=_rank)


def _rank(member: Individual) -> tuple[Merit, int]:
    return member.merit, member.number
