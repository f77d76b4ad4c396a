"""`racing`: repeats the best configurations of a noisy study to rule out lucky trials."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from tunekit import registry
from tunekit.checks import is_number, is_whole
from tunekit.errors import InvalidArgument, SpaceExhausted, TunekitError
from tunekit.history import History
from tunekit.noise.paired_tests import LEAST, Test
from tunekit.noise.replicates import (
    BAD,
    UNMEASURED,
    Noise,
    ReplicatedPoint,
    configurations,
    is_started,
    key_of,
)
from tunekit.records import Proposal, TrialRecord, TrialState
from tunekit.samplers.base import Sampler, StudyView, at_target, held, refuse_asking
from tunekit.samplers.duplicates import distinct
from tunekit.samplers.racing.race import Race, RaceRules
from tunekit.spaces import Params
from tunekit.spaces.encode import Encoder

N_START = 8
"""Default number of configurations before the first repeat, without a budget."""

NEAR = 0.01
"""Maximum difference of near duplicates in each unit coordinate."""


class RacingSampler:
    """Divides trials between new configurations and repeats of promising ones.

    Another sampler proposes new configurations, which run on block 0. A repeat runs the same
    params on the next block (`trial.block`: use it as the fold, seed or instance, so that
    configurations share its effect). The leader and its rivals are repeated until their
    intervals separate; paired tests eliminate the rest. Once nothing is in doubt, as in a study
    without noise, all trials are new configurations. The other sampler sees one trial per
    configuration, with the mean over its blocks.

    `tunekit.noise.replicates.leaderboard(study)` returns the winning configuration. `best_trial`
    is a single trial, and in a noisy study a lucky one.

    Args:
        sampler: sampler of new configurations, a short name or an instance.
        options: keyword arguments of a sampler given by its short name.
        n_blocks: number of blocks, such as folds; `None` if unlimited.
        share: maximum share of repeats among the trials, from 0 to below 1.
        n_start: configurations with a result before the first repeat, 2 or more; by default 8.
            With a budget the default leaves all repeats to its end, when they go to the best
            configurations of the whole study.
        budget: planned number of trials of the study, if known.
        alpha: probability that a configuration as good as the leader is ever eliminated.
        test: "t" for the paired t-test, "wilcoxon" for the signed-rank test.
        min_blocks: minimum number of common blocks to eliminate a configuration; by default
            the smallest possible, 3 for "t" and 6 for "wilcoxon".

    Raises:
        InvalidArgument: an option lies outside its range, or the sampler asks a language model.

    Reference: Birattari et al., 2002, "A racing algorithm for configuring metaheuristics"
    (F-race); Lopez-Ibanez et al., 2016, "The irace package".
    """

    name = "racing"
    may_end = True

    def __init__(
        self,
        *,
        sampler: str | Sampler = "auto",
        options: Mapping[str, Any] | None = None,
        n_blocks: int | None = None,
        share: float = 0.25,
        n_start: int | None = None,
        budget: int | None = None,
        alpha: float = 0.05,
        test: Test = "t",
        min_blocks: int | None = None,
    ) -> None:
        if test not in LEAST:
            raise InvalidArgument(f'racing: test={test!r}, expected "t" or "wilcoxon".')
        least = LEAST[test]
        _whole("n_blocks", n_blocks, 2)
        _whole("n_start", n_start, 2)
        _whole("budget", budget, 2)
        _whole("min_blocks", min_blocks, least)
        _fraction("share", share, is_zero_fine=True)
        _fraction("alpha", alpha, is_zero_fine=False)
        if not isinstance(sampler, str) and options:
            raise InvalidArgument(
                "racing: options= needs sampler= to be a short name; pass them to the object."
            )
        if isinstance(sampler, str) and sampler != self.name:
            sampler = cast(Sampler, registry.make("sampler", sampler, options))
        if not callable(getattr(sampler, "suggest", None)) or isinstance(sampler, RacingSampler):
            raise InvalidArgument(
                f"racing: sampler={sampler!r}, expected another sampler or its short name."
            )
        self.inner = cast(Sampler, sampler)
        refuse_asking(self.inner, self.name)
        self.share = share
        if n_start is None:
            n_start = N_START if budget is None else max(2, math.ceil((1.0 - share) * budget))
        self.n_start = n_start
        self.rules = RaceRules(n_blocks, alpha, test, min_blocks or least)

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number: a new configuration, or a repeat.

        Raises:
            InvalidArgument: the study has several objectives.
            SpaceExhausted: every configuration has been measured, and nothing is in doubt.
            InvalidSpace: the other sampler cannot handle the space.
        """
        if len(view.objectives) > 1:
            raise InvalidArgument(
                f"racing compares configurations by one objective, but the study has "
                f'{len(view.objectives)}; use the sampler "{self.inner.name}" alone.'
            )
        turn = _Turn(self, view)
        return [turn.propose(k) for k in numbers]


class _Turn:
    """One `suggest` call: the study plus the proposals made so far."""

    def __init__(self, sampler: RacingSampler, view: StudyView) -> None:
        self._sampler = sampler
        self._view = view
        found = configurations(view.history)
        noise = Noise(found)
        entrants = [c for c in found if c.losses and not c.is_out]
        self._race = Race(sampler.rules, noise, entrants, self._fits)
        self._by_key = {key_of(c.params): c for c in found if c.blocks}
        self._keys = set(self._by_key)
        self._n_results = sum(bool(c.losses) for c in found)
        alive = [t for c in found for t in c.trials if t.state not in UNMEASURED]
        self._n_trials = len(alive)
        self._n_repeats = sum("replicate_of" in t.evidence for t in alive)
        history = History(view.objectives, view.constraints, view.space.target)
        history.update(collapsed(found, view, noise), view.history.cursor)
        history.revision = view.history.revision  # samplers may use it as a cache key
        self._inner = replace(view, history=history)

    def propose(self, number: int) -> Proposal:
        """Return a repeat if one is due, else a new configuration."""
        is_free = number not in self._view.fixed
        if is_free and self._n_results >= self._sampler.n_start and self._may_repeat():
            proposal = self._repeat(is_decided_too=False)
            if proposal is not None:
                return proposal
        try:
            proposal = self._sampler.inner.suggest(self._asked(number), [number])[0]
        except SpaceExhausted:
            return self._last_resort()
        return self._checked(number, proposal) if is_free else self._enqueued(number, proposal)

    def _asked(self, number: int) -> StudyView:
        """Return the view for the other sampler, with the fidelity fixed at its target."""
        space = self._view.space
        if not space.target or number == 0:  # the default point is at the target anyway
            return self._inner
        fixed = at_target(space, held(self._view, number))
        return replace(self._inner, fixed={**self._inner.fixed, number: fixed})

    def _may_repeat(self) -> bool:
        return self._n_repeats + 1 <= self._sampler.share * (self._n_trials + 1)

    def _repeat(self, *, is_decided_too: bool) -> Proposal | None:
        turn = self._race.next(is_decided_too=is_decided_too)
        return None if turn is None else self._on_block(*turn)

    def _last_resort(self) -> Proposal:
        """Return a repeat when no new configuration is left."""
        proposal = self._repeat(is_decided_too=True)
        if proposal is None:
            raise SpaceExhausted(
                "racing: every configuration has been measured and nothing is in doubt any more."
            )
        return proposal

    def _on_block(self, found: ReplicatedPoint, block: int, why: str) -> Proposal:
        self._race.plan(found, block)
        self._n_trials += 1
        self._n_repeats += 1
        evidence = {
            "block": block,
            "replicate_of": found.number,
            "mean": self._race.means.get(found.number),
            "noise_sd": self._race.noise.sd if self._race.noise.dof else None,
            "in_doubt": len(self._race.doubtful()),
        }
        reason = f"racing: trial {found.number} again, on block {block}: {why}"
        return Proposal(found.params, self._sampler.name, reason, evidence)

    def _new(self, number: int, proposal: Proposal) -> Proposal:
        """Record a new configuration, so that the next proposal of this call differs."""
        self._keys.add(key_of(proposal.params))
        self._n_trials += 1
        running = TrialRecord(number, TrialState.RUNNING, params=proposal.params)
        self._inner.history.update([running], 0)
        return proposal

    def _enqueued(self, number: int, proposal: Proposal) -> Proposal:
        """Return a repeat if the user enqueued a known point, else a new configuration."""
        same = self._by_key.get(key_of(proposal.params))
        block = None if same is None else self._race.free_block(same)
        if same is None or block is None:
            return self._new(number, proposal)
        return self._on_block(same, block, "the user enqueued it")

    def _checked(self, number: int, proposal: Proposal) -> Proposal:
        """Return the proposal, or a replacement if it (nearly) duplicates a known point."""
        near = self._near(proposal.params) if self._may_repeat() else None
        block = None if near is None else self._race.free_block(near)
        if near is not None and block is not None:
            return self._on_block(near, block, f"{proposal.sampler} proposed it again")
        point = distinct(self._view, number, wishes=[proposal.params], not_these=self._keys)
        if point is None:
            return self._last_resort()
        if point is not proposal.params:
            why = f"racing: replaces a known point; {proposal.reason}"
            proposal = replace(proposal, params=point, reason=why, evidence={})
        return self._new(number, proposal)

    def _near(self, params: Params) -> ReplicatedPoint | None:
        """Return the most urgent configuration in doubt that nearly duplicates a point."""
        doubtful = [c for c in self._race.doubtful() if self._fits(c)]
        if not doubtful or self._race.is_exact:
            return None
        encoder = Encoder(self._view.space)
        own, *others = encoder.encode([params, *(c.params for c in doubtful)])
        is_number = np.array([column.kind in ("float", "int") for column in encoder.columns])
        room = np.where(is_number, NEAR, 0.0)
        for found, other in zip(doubtful, others, strict=True):
            same = np.isnan(own) == np.isnan(other)
            if np.all(same) and not np.any(np.abs(own - other) > room):
                return found
        return None

    def _fits(self, found: ReplicatedPoint) -> bool:
        """Return whether a configuration is a point of the current space."""
        space = self._view.space
        try:
            return not space.violated(space.validate(found.params))
        except TunekitError:
            return False


def collapsed(
    found: Sequence[ReplicatedPoint], view: StudyView, noise: Noise
) -> Iterator[TrialRecord]:
    """Yield the trials as the other sampler sees them: one result per configuration.

    The first trial represents the configuration. Repeats appear as cancelled user trials, so
    that a sampler that counts its own trials (a grid) skips no point for them.
    """
    yield from (t for t in view.history if not is_started(t))
    for c in found:
        yield _standing(c, view, noise)
        for t in c.trials[1:]:
            yield replace(t, state=TrialState.CANCELLED, sampler="user", metrics={}, evidence={})


def _standing(c: ReplicatedPoint, view: StudyView, noise: Noise) -> TrialRecord:
    first = c.trials[0]
    bad = next((t for t in c.trials if t.state in BAD), None)
    if bad is not None:
        return replace(
            first, state=bad.state, metrics=bad.metrics, stop_evidence=bad.stop_evidence
        )
    if not c.losses:
        return first
    objective = view.objectives[0]
    metrics = {**c.metrics, objective.metric: objective.loss(noise.mean(c))}
    return replace(first, state=TrialState.COMPLETE, metrics=metrics)


def _whole(name: str, value: object, least: int) -> None:
    if value is not None and (not is_whole(value) or value < least):
        raise InvalidArgument(
            f"racing: {name}={value!r}, expected a whole number of {least} or more."
        )


def _fraction(name: str, value: object, *, is_zero_fine: bool) -> None:
    if not is_number(value) or not (0.0 < value < 1.0 or (is_zero_fine and value == 0.0)):
        raise InvalidArgument(f"racing: {name}={value!r}, expected a number between 0 and 1.")
