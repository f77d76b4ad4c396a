"""The trial protocol: calibrate on the default, screen candidates, measure the best again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tunekit.errors import ExecutorFailed
from tunekit_integrations.dbms.blocks import Block, BlockRunner, mean_query_gains, per_unit
from tunekit_integrations.dbms.protocol_options import ProtocolOptions
from tunekit_integrations.dbms.records import Applied, FailureKind, Settings, TargetFailure
from tunekit_integrations.dbms.sides import Side
from tunekit_integrations.dbms.target import KnobTarget, Workload
from tunekit_integrations.dbms.verdict import (
    Basis,
    ConfidenceInterval,
    Verdict,
    deviation,
    interval,
    judged,
)
from tunekit_integrations.dbms.waiting import retry

MIN_CPU_SHARE = 0.5
"""Least share of the processor time left by others that the server has to use for CPU to stand for
time: below it the work waits, for a disk or a lock, and a knob may change the waiting alone."""
HOPELESS = 0.05
"""Log loss of which a candidate has to be sure, after a block, to be given up."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the default against itself looks like.

    Attributes:
        gains: log gains, one a restart, on the basis.
        basis: whose seconds decide.
        rule: why, in one sentence.
        others_share: mean share of the machine's processor time that others used.
        block_sd: standard deviation of the log gain of a single block.
        trial_s: seconds of slices that a trial takes.
    """

    gains: tuple[float, ...]
    basis: Basis
    rule: str
    others_share: float
    block_sd: float
    trial_s: float

    @property
    def bias(self) -> ConfidenceInterval:
        """Return the mean log gain of the default over itself, with its interval."""
        return interval(self.gains)


@dataclass(frozen=True, slots=True)
class Screening:
    """What one trial measured.

    Attributes:
        blocks: that were run.
        gain: log gain on the basis, less the bias of A/A; an upper bound where censored.
        is_censored: whether it was cut off.
        is_hopeless: whether it was given up early.
        applied: what the server made of the settings.
        overhead_s: seconds of the trial besides slices of work.
    """

    blocks: tuple[Block, ...]
    gain: float
    is_censored: bool
    is_hopeless: bool
    applied: Applied
    overhead_s: float

    @property
    def time_ratio(self) -> float:
        """Return the time of a unit of work as a share of the default's."""
        return math.exp(-self.gain)


@dataclass(frozen=True, slots=True)
class Recheck:
    """Fresh comparisons of one candidate with the default.

    Attributes:
        rounds: blocks of each, one a restart.
        gains: log gain of each round on the basis.
        verdict: on them.
        wall: verdict on the clock's seconds, where CPU decides.
    """

    rounds: tuple[tuple[Block, ...], ...]
    gains: tuple[float, ...]
    verdict: Verdict
    wall: ConfidenceInterval
    query_gains: dict[str, float]


class Protocol:
    """Compares configurations of a server with its own one.

    Args:
        target: the server.
        twin: a second one with the same data, or `None` to take turns on the first.
        workload: that it is measured under.
        options: how long and how often.
        seed: of the work drawn.
        said: takes what happens, one sentence at a time.
    """

    def __init__(
        self,
        target: KnobTarget,
        twin: KnobTarget | None,
        workload: Workload,
        options: ProtocolOptions,
        *,
        seed: int = 0,
        said: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.options = options
        self.default = Side(target, workload)
        self.candidate = self.default if twin is None else Side(twin, workload)
        self._runner = BlockRunner(self.default, self.candidate, options, workload)
        # What computes at once: never more sessions than processors.
        self._busy_at_most = max(min(workload.clients, target.instance.machine.cpus), 1)
        self._seed = seed
        self._said = said
        self._calibration: Calibration | None = None

    @property
    def calibration(self) -> Calibration:
        """Return the result of `calibrate`, or the one that was taken over."""
        assert self._calibration is not None, "calibrate first"
        return self._calibration

    @calibration.setter
    def calibration(self, found: Calibration) -> None:
        self._calibration = found

    def calibrate(self) -> Calibration:
        """Compare the default with itself, just as a candidate is compared in `confirm`.

        Raises:
            TargetFailure: the server fails with its own configuration.
        """
        rounds = []
        for k in range(self.options.aa_rounds):
            self._said(f"A/A {k + 1} of {self.options.aa_rounds}")
            rounds.append(self._round({}))
        blocks = [b for blocks in rounds for b in blocks]
        share = math.fsum(b.others_share for b in blocks) / len(blocks)
        basis, rule = self._basis(blocks, share)
        self._calibration = Calibration(
            tuple([_round_gain(r, basis) for r in rounds]),
            basis,
            rule,
            share,
            _block_sd(rounds, basis),
            sum(m.seconds for b in blocks for m in (*b.default, *b.candidate))
            / len(blocks)
            * self.options.n_blocks,
        )
        return self._calibration

    def screen(self, settings: Settings) -> Screening:
        """Measure a candidate in as many blocks as it deserves.

        Raises:
            TargetFailure: the candidate, or the server under it, failed.
        """
        started = time.perf_counter()
        applied = self.candidate.put(settings)
        blocks: list[Block] = []
        while len(blocks) < self.options.n_blocks:
            blocks.append(self._runner.block(settings, seed=self._next_seed()))
            if blocks[-1].is_censored or self._is_hopeless(blocks):
                break
        worked = sum(m.seconds for b in blocks for m in (*b.default, *b.candidate))
        overhead_s = max(time.perf_counter() - started - worked, 0.0)
        is_cut = blocks[-1].is_censored
        # A censored gain is a bound: slower blocks before it say less.
        gain = self._gain(blocks[-1:] if is_cut else blocks)
        return Screening(
            tuple(blocks),
            gain,
            is_cut,
            not is_cut and self._is_hopeless(blocks),
            applied,
            overhead_s,
        )

    def confirm(self, settings: Settings) -> Recheck:
        """Measure a candidate again, with a restart before each comparison, and judge it.

        No measurement that led to its choice counts. Rounds are added while the verdict is close:
        not accepted, but a gain of the size measured would be, were it known as well as A/A.

        Raises:
            TargetFailure: the candidate, or the server under it, failed.
        """
        basis = self.calibration.basis
        rounds: list[tuple[Block, ...]] = []
        while len(rounds) < self.options.max_rounds:
            self._said(f"fresh comparison {len(rounds) + 1}")
            rounds.append(self._round(settings))
            if len(rounds) < self.options.rounds:
                continue
            found = judged([_round_gain(r, basis) for r in rounds], self.calibration.gains)
            if found.is_accepted or found.gain.mean <= found.bound:
                break
        gains = [_round_gain(r, basis) for r in rounds]
        wall = interval([_round_gain(r, "wall") for r in rounds])
        verdict = judged(gains, self.calibration.gains)
        if basis == "cpu" and wall.high < 0.0:  # less CPU, yet surely slower
            verdict = Verdict(
                False, verdict.gain, verdict.lower, verdict.bound, verdict.n_rounds, verdict.sd
            )
        blocks = [b for r in rounds for b in r]
        return Recheck(tuple(rounds), tuple(gains), verdict, wall, dict(mean_query_gains(blocks)))

    def recover(self) -> None:
        """Bring both sides back to their own configuration after a failure.

        Raises:
            ExecutorFailed: a server does not come back.
        """
        patience_s = self.options.patience_s
        for side in {id(s): s for s in (self.default, self.candidate)}.values():
            try:
                retry(partial(_put_back, side), within_s=patience_s, every_s=min(0.2, patience_s))
            except TargetFailure as failure:
                raise ExecutorFailed(
                    f"the server did not come back within {patience_s:g} s after a failed trial: "
                    f"{failure.message} Start it, then run the same command again; the study goes "
                    "on."
                ) from failure

    def _round(self, settings: Settings) -> tuple[Block, ...]:
        """Run one comparison after restarting both sides."""
        if self._runner.is_twin:
            self.default.begin_anew({})
        self.candidate.begin_anew(settings)
        return tuple(
            [
                self._runner.block(settings, seed=self._next_seed(), is_cut=False)
                for _ in range(self.options.round_blocks)
            ]
        )

    def _basis(self, blocks: Sequence[Block], share: float) -> tuple[Basis, str]:
        slices = [m for b in blocks for m in (*b.default, *b.candidate)]
        unit, cpu = per_unit(slices, "wall"), per_unit(slices, "cpu")
        others = f"others used {share:.0%} of the machine's processor time"
        if share < self.options.busy_share:
            return "wall", f"the clock decides, since {others}"
        if cpu is None or unit is None:
            return "wall", f"the clock decides: {others}, but the server's is not seen"
        busy = cpu / (unit * self._busy_at_most)
        if busy < MIN_CPU_SHARE * (1.0 - share):
            return "wall", (
                f"the clock decides: {others}, but the server computed for only {busy:.0%} of the "
                "time of its clients, and it waited rather than shared processors"
            )
        return "cpu", f"the server's processor time decides, since {others}"

    def _gain(self, blocks: Sequence[Block]) -> float:
        return _round_gain(blocks, self.calibration.basis) - self.calibration.bias.mean

    def _is_hopeless(self, blocks: Sequence[Block]) -> bool:
        """Return whether two standard errors above the mean gain are a loss."""
        error = self.calibration.block_sd / math.sqrt(len(blocks))
        return self._gain(blocks) + 2.0 * error < -HOPELESS

    def _next_seed(self) -> int:
        self._seed += 2
        return self._seed - 2


def _put_back(side: Side) -> None:
    """Bring a side back to its own configuration, by a restart where it does not answer."""
    side.forget()
    try:
        side.put({})
    except TargetFailure as failure:
        if not side.target.instance.may_restart:
            raise
        try:  # frozen, or dead
            side.target.restart()
            side.put({})
        except TargetFailure:
            raise failure from None


def _round_gain(blocks: Sequence[Block], basis: Basis) -> float:
    gains = [b.gain(basis) for b in blocks]
    seen = [g for g in gains if g is not None]
    if len(seen) < len(gains):
        raise TargetFailure(
            FailureKind.LOST_CONNECTION, "the processor time of the server is no longer seen."
        )
    return math.fsum(seen) / len(seen)


def _block_sd(rounds: Sequence[Sequence[Block]], basis: Basis) -> float:
    """Return the standard deviation of single blocks, restarts between them included."""
    gains = [g for r in rounds for b in r if (g := b.gain(basis)) is not None]
    return deviation(gains)
