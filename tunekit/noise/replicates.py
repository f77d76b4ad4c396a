"""Groups trials with equal params into configurations and estimates their values.

A block is a fold, a seed or an instance (`Trial.block`). Two configurations that were measured
on the same block share what is special about it, so they are compared block by block.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

from tunekit.errors import InvalidArgument, NoCompleteTrial
from tunekit.history import History
from tunekit.noise.paired_tests import LEAST, Test, holm, p_worse
from tunekit.records import Metrics, TrialRecord, TrialState, block_of
from tunekit.spaces import Params, Scalar

if TYPE_CHECKING:
    from numpy.typing import NDArray

Key: TypeAlias = frozenset[tuple[str, str, Scalar]]
"""The active parameters of a point with their values, equal for equal points."""

BAD = (TrialState.FAILED, TrialState.DIVERGED, TrialState.STOPPED)
"""Final states after which a configuration is not measured again."""

UNMEASURED = (TrialState.LOST, TrialState.CANCELLED)
"""Final states that carry no information about a configuration."""

RANKING_ERRORS = 2.0
"""Standard errors added to a mean when ranking configurations."""

SURE = 3
"""Minimum number of blocks besides the first to estimate block effects."""


def key_of(params: Mapping[str, Scalar]) -> Key:
    """Return a key that is equal for equal points, whatever their order."""
    return frozenset([(path, type(value).__name__, value) for path, value in params.items()])


def is_started(trial: TrialRecord) -> bool:
    """Return whether a trial has its final params; an enqueued trial may have only some."""
    return trial.params is not None and bool(trial.sampler or trial.state.is_finished)


@dataclass(frozen=True, slots=True)
class ReplicatedPoint:
    """A point with all its trials, by number.

    Attributes:
        trials: all trials with params, including running and failed ones.
        losses: block -> objective, less is better; complete trials only.
        is_out: whether it cannot win, because a trial ended without a result, its mean metrics
            violate a constraint, or it is not at the target fidelity.
    """

    params: Params
    trials: tuple[TrialRecord, ...]
    losses: Mapping[int, float]
    metrics: Metrics
    is_out: bool

    @property
    def number(self) -> int:
        """Return the number of its first trial, which identifies it."""
        return self.trials[0].number

    @property
    def blocks(self) -> set[int]:
        """Return the blocks on which it was or is being measured."""
        alive = (t for t in self.trials if t.state not in UNMEASURED)
        return {block_of(t.evidence) for t in alive}


def configurations(history: History) -> list[ReplicatedPoint]:
    """Return the configurations of a study with one objective, by their first trial's number."""
    return list(by_point(history).values())


def by_point(history: History) -> dict[Key, ReplicatedPoint]:
    """Return the same by the keys of their points."""
    groups: dict[Key, list[TrialRecord]] = {}
    for trial in history:
        if trial.params is not None and is_started(trial):
            groups.setdefault(key_of(trial.params), []).append(trial)
    return {key: _configuration(history, trials) for key, trials in groups.items()}


def _configuration(history: History, trials: Sequence[TrialRecord]) -> ReplicatedPoint:
    complete = [t for t in trials if t.state is TrialState.COMPLETE]
    by_block: dict[int, list[float]] = {}
    for trial in complete:
        by_block.setdefault(block_of(trial.evidence), []).append(history.loss_row(trial)[0])
    names = (
        set(complete[0].metrics).intersection(*(t.metrics for t in complete)) if complete else ()
    )
    metrics = {name: _mean([t.metrics[name] for t in complete]) for name in names}
    is_whole = history.is_at_target(trials[0])
    is_out = (
        any(t.state in BAD for t in trials)
        or not is_whole
        or (bool(complete) and sum(c.violation(metrics) for c in history.constraints) > 0.0)
    )
    params = trials[0].params
    assert params is not None
    losses = {block: _mean(found) for block, found in sorted(by_block.items())}
    return ReplicatedPoint(params, tuple(trials), losses, metrics, is_out)


class Noise:
    """Estimates how much results differ between blocks, and how much they scatter beyond that.

    The model `loss = configuration + block + noise` is fitted by least squares. New
    configurations start on block 0, and repeated ones were lucky there, which makes block 0 look
    easy. With `SURE` or more other blocks, block effects are therefore shrunk according to the
    differences between the *other* blocks.

    Attributes:
        effects: block -> its effect on losses; the effects sum to 0.
        sd: standard deviation of the noise of one trial; NaN without repeats.
        dof: degrees of freedom of that estimate; 0 without one.

    Reference: Searle, Casella and McCulloch, 1992, "Variance components", section 4.
    """

    def __init__(self, found: Iterable[ReplicatedPoint]) -> None:
        several = [c.losses for c in found if len(c.losses) > 1]
        self.blocks = sorted({block for losses in several for block in losses})
        table = np.full((len(several), len(self.blocks)), np.nan)
        for row, losses in zip(table, several, strict=True):
            row[[self.blocks.index(b) for b in losses]] = list(losses.values())
        raw, residuals = _two_way(table)
        self.dof = max(0, residuals.size - len(several) - max(0, len(self.blocks) - 1))
        self.sd = math.sqrt(float(residuals @ residuals) / self.dof) if self.dof else math.nan
        counts = np.sum(~np.isnan(table), axis=0)
        self.effects = dict(zip(self.blocks, self._shrunk(raw, counts).tolist(), strict=True))

    def _shrunk(self, raw: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        if self.dof == 0 or len(raw) <= SURE:
            return raw
        # The selection bias of block 0 is about one noise sd, however many trials it has. The
        # factor `between / (between + error)` is the best linear predictor of a random effect.
        error = self.sd**2 / np.where(np.array(self.blocks) == 0, 1, counts)
        rest = np.array(self.blocks) != 0
        between = max(0.0, float(np.var(raw[rest], ddof=1) - np.mean(error[rest])))
        if between == 0.0:
            return np.zeros_like(raw)
        out = (raw - np.mean(raw[rest])) * between / (between + error)
        return np.asarray(out - np.mean(out))

    def mean(self, found: ReplicatedPoint) -> float:
        """Return a configuration's block-adjusted mean loss; `inf` without a result."""
        if not found.losses:
            return math.inf
        return _mean([y - self.effects.get(b, 0.0) for b, y in found.losses.items()])

    def half_width(self, n: int, *, level: float = 0.95) -> float:
        """Return the half-width of the interval of a mean of `n` trials; `inf` if unknown."""
        if n == 0 or self.dof == 0:
            return math.inf
        from scipy.special import stdtrit

        return float(stdtrit(self.dof, 0.5 + level / 2)) * self.sd / math.sqrt(n)


@dataclass(frozen=True, slots=True)
class Standing:
    """One row of a leaderboard, in the objective's own sign.

    Attributes:
        number: number of its first trial.
        mean: mean over its blocks, adjusted for missing blocks.
        low, high: interval of the mean; infinite without repeats.
        n_blocks: number of blocks it was measured on.
        p_worse: corrected p-value (Holm) that it is worse than the winner on their common
            blocks; NaN for the winner and with too few common blocks.
    """

    number: int
    params: Params
    mean: float
    low: float
    high: float
    n_blocks: int
    p_worse: float


class _StudyTrials(Protocol):
    def refresh(self) -> History: ...


def leaderboard(study: _StudyTrials, *, level: float = 0.95, test: Test = "t") -> list[Standing]:
    """Return the configurations of a noisy study that may be the best, the winner first.

    In a noisy study `best_trial` is the luckiest trial. Here trials with equal params form one
    configuration, and the winner has the best value at the bad end of its interval, which is
    rarely a configuration measured once. Configurations with a failed trial, or whose mean
    metrics violate a constraint, are left out.

    Args:
        study: a study with one objective, from `tunekit.study` or `load_study`.
        level: level of the intervals, above 0 and below 1; they use the pooled scatter of all
            repeated configurations.
        test: "t" for the paired t-test, "wilcoxon" for the signed-rank test.

    Raises:
        InvalidArgument: the study has several objectives, or an argument lies outside its range.
        NoCompleteTrial: no configuration has a result.
    """
    history = study.refresh()
    if len(history.objectives) > 1:
        raise InvalidArgument(
            f"leaderboard: got a study with {len(history.objectives)} objectives, expected one; "
            "use best_trials for the Pareto front."
        )
    if not 0.0 < level < 1.0:
        raise InvalidArgument(f"leaderboard: level={level!r}, expected a number in (0, 1).")
    if test not in LEAST:
        raise InvalidArgument(f'leaderboard: test={test!r}, expected "t" or "wilcoxon".')
    found = configurations(history)
    noise = Noise(found)
    found = [c for c in found if c.losses and not c.is_out]
    if not found:
        raise NoCompleteTrial("leaderboard: no configuration has a complete, feasible trial yet.")
    ranked = ranking(found, noise)
    sign = history.objectives[0].loss(1.0)
    p_values = _p_values(ranked, test)
    return [_standing(c, noise, level, sign, p) for c, p in zip(ranked, p_values, strict=True)]


def ranking(found: Iterable[ReplicatedPoint], noise: Noise) -> list[ReplicatedPoint]:
    """Return configurations, ordered by mean loss plus `RANKING_ERRORS` standard errors."""
    sd = noise.sd if noise.dof else 0.0

    def careful(c: ReplicatedPoint) -> tuple[float, int]:
        return noise.mean(c) + RANKING_ERRORS * sd / math.sqrt(len(c.losses)), c.number

    return sorted(found, key=careful)


def _mean(values: Sequence[float]) -> float:
    # Most points are measured once, and NumPy takes its time for one number.
    return values[0] if len(values) == 1 else float(np.mean(values))


def _p_values(ranked: Sequence[ReplicatedPoint], test: Test) -> list[float]:
    winner = ranked[0]
    out = [math.nan] * len(ranked)
    tested = []
    for i, c in enumerate(ranked[1:], start=1):
        common = sorted(winner.losses.keys() & c.losses.keys())
        if len(common) >= LEAST[test]:
            theirs, ours = [c.losses[b] for b in common], [winner.losses[b] for b in common]
            tested.append((i, p_worse(theirs, ours, test=test)))
    corrected = holm([p for _, p in tested]).tolist()
    for (i, _), p in zip(tested, corrected, strict=True):
        out[i] = p
    return out


def _standing(c: ReplicatedPoint, noise: Noise, level: float, sign: float, p: float) -> Standing:
    mean = sign * noise.mean(c)
    half = noise.half_width(len(c.losses), level=level)
    return Standing(c.number, c.params, mean, mean - half, mean + half, len(c.losses), p)


def _two_way(
    table: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the `(b,)` column effects (sum 0) and the residuals of an additive fit.

    The `(c, b)` table has NaN for missing cells. Least squares for `y_ij = r_i + e_j`: the row
    equations give `r_i = mean_j (y_ij - e_j)`; inserting these leaves the normal equations
    `(diag(n_j) - K' (K / n_i)) e = K' (y - row means)`, with K the indicator of known cells.
    """
    known = ~np.isnan(table)
    filled = np.where(known, table, 0.0)
    n_row = known.sum(axis=1, keepdims=True)
    centred = np.where(known, filled - filled.sum(axis=1, keepdims=True) / n_row, 0.0)
    # Normal equations of the columns, the rows eliminated.
    shares = known / n_row
    normal = np.diag(known.sum(axis=0)) - known.T.astype(np.float64) @ shares
    effects = np.linalg.lstsq(normal, centred.sum(axis=0), rcond=None)[0]
    effects = effects - effects.mean() if effects.size else effects
    centred_effects = effects[None, :] - (known * effects).sum(axis=1, keepdims=True) / n_row
    return effects, (centred - centred_effects)[known]
