"""Measures default and candidate in turns, so that what changes with time hits both alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

from tunekit_integrations.dbms.host_load import HostLoad
from tunekit_integrations.dbms.passes import Divisible, joined
from tunekit_integrations.dbms.protocol_options import ProtocolOptions
from tunekit_integrations.dbms.records import FailureKind, Measurement, Settings, TargetFailure
from tunekit_integrations.dbms.sides import Side
from tunekit_integrations.dbms.target import Workload
from tunekit_integrations.dbms.verdict import Basis

TURNS = ((False, 0), (True, 0), (True, 1), (False, 1))
"""Whether it is the candidate's turn, and of which half of the block."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block of four slices: default, candidate, candidate, default.

    Attributes:
        default, candidate: their slices; of a censored block, those before the cut.
        others_share: of the machine's processor time, used by others.
        is_censored: whether the candidate was cut off, so that its gain is an upper bound.
        cutoff: times the default's time at which it was.
    """

    default: tuple[Measurement, ...]
    candidate: tuple[Measurement, ...]
    others_share: float = 0.0
    is_censored: bool = False
    cutoff: float = math.inf

    def gain(self, basis: Basis) -> float | None:
        """Return the log gain of the candidate; `None` where the server's CPU is not seen."""
        if self.is_censored:
            return -math.log(self.cutoff)
        before, after = _log_time(self.default, basis), _log_time(self.candidate, basis)
        return None if before is None or after is None else before - after

    @property
    def query_gains(self) -> dict[str, float]:
        """Return query -> log gain of its seconds."""
        if self.is_censored:
            return {}
        names = set.intersection(*(set(m.per_query) for m in (*self.default, *self.candidate)))
        return {
            n: _mean([math.log(m.per_query[n]) for m in self.default])
            - _mean([math.log(m.per_query[n]) for m in self.candidate])
            for n in sorted(names)
            if all(m.per_query[n] > 0 for m in (*self.default, *self.candidate))
        }


_Halves: TypeAlias = tuple[list[Measurement], list[Measurement]]
"""What one side has measured in the two halves of a block, part by part."""


class BlockRunner:
    """Runs blocks of a workload on two servers, or on one in turns.

    Two servers take turns at each part of a pass over queries; on one server a change of sides
    costs a reload or a restart, so that a turn is a whole pass.

    Args:
        default: the server with its own configuration.
        candidate: the twin, or the same side once more.
        options: of the protocol.
        workload: whose slices are run; where a slice is a pass over queries, results are compared.
    """

    def __init__(
        self, default: Side, candidate: Side, options: ProtocolOptions, workload: Workload
    ) -> None:
        self.default, self.candidate = default, candidate
        self._options = options
        self._workload = workload
        self._parts: Sequence[Workload] = ()
        self._digests: dict[str, str | None] = {}
        self._default_s: float | None = None

    @property
    def is_twin(self) -> bool:
        """Return whether default and candidate have a server each."""
        return self.default is not self.candidate

    def block(self, settings: Settings, *, seed: int, is_cut: bool = True) -> Block:
        """Run one block; each half draws the same work on both sides.

        Args:
            settings: of the candidate.
            seed: of the work.
            is_cut: whether a candidate is cut off; else it is only kept from hanging, so that
                one slow moment of a busy machine decides nothing.

        Raises:
            TargetFailure: of the candidate, or of the server.
        """
        parts = self._parts = self._parts or self._divided(seed)
        load, server_s = HostLoad(), 0.0
        default: _Halves = ([], [])
        candidate: _Halves = ([], [])
        for part, (is_candidate, half) in product(parts, TURNS):
            taken = (candidate if is_candidate else default)[half]
            limit = self._limit(default, taken, is_bounded=is_candidate and is_cut)
            side = self.candidate if is_candidate else self.default
            side.put(settings if is_candidate else {})
            found = side.measure(
                part, seconds=self._options.slice_s, deadline_s=limit, seed=seed + half
            )
            server_s += found.cpu_seconds or 0.0
            self._check_results(found, is_candidate=is_candidate)
            taken.append(found)
            if not (is_candidate and is_cut):
                self._check_ended(found, limit, is_candidate=is_candidate)
            elif self._is_too_slow(default, taken):
                share = load.others_share(server_s)
                cutoff = self._options.cutoff
                return Block(_whole(default), _whole(candidate), share, True, cutoff)
            if not is_candidate and len(taken) == len(parts):
                self._default_s = _seconds(taken)
        return Block(_whole(default), _whole(candidate), load.others_share(server_s))

    def _divided(self, seed: int) -> Sequence[Workload]:
        """Return the parts of a pass, by the seconds that the default takes for each query."""
        if not (self.is_twin and isinstance(self._workload, Divisible)):
            return (self._workload,)
        self.default.put({})
        limit = self._options.first_s
        found = self.default.measure(self._workload, seconds=0.0, deadline_s=limit, seed=seed)
        self._check_ended(found, limit, is_candidate=False)
        self._default_s = found.seconds
        return self._workload.parts(found.per_query, self._options.slice_s)

    def _limit(self, default: _Halves, taken: Sequence[Measurement], *, is_bounded: bool) -> float:
        """Return the seconds after which a slice is cut off."""
        options = self._options
        if not self._workload.is_query_set:
            return options.slice_s + options.hang_s
        if is_bounded:
            return self._pass_s(default) * options.cutoff - _seconds(taken)
        return options.first_s if self._default_s is None else 5 * self._default_s + options.hang_s

    def _pass_s(self, default: _Halves) -> float:
        """Return the seconds that the default takes for a pass: the most of what was seen last."""
        n = len(self._parts)
        now = [_seconds(half) for half in default if len(half) == n]
        return max([*now, *([self._default_s] if n > 1 and self._default_s else [])])

    def _check_ended(self, found: Measurement, limit: float, *, is_candidate: bool) -> None:
        """Check that a slice was not cut off."""
        if found.is_censored:
            whose = "the candidate" if is_candidate else "the server's own configuration"
            raise TargetFailure(
                FailureKind.TIMEOUT, f"the workload did not end within {limit:.3g} s with {whose}."
            )

    def _is_too_slow(self, default: _Halves, taken: Sequence[Measurement]) -> bool:
        found, cutoff = taken[-1], self._options.cutoff
        if found.is_censored:
            return True
        if self._workload.is_query_set:
            return _seconds(taken) > cutoff * self._pass_s(default)
        slow = found.seconds / found.units
        return slow > cutoff * max(m.seconds / m.units for half in default for m in half)

    def _check_results(self, found: Measurement, *, is_candidate: bool) -> None:
        """Compare digests with the default's, except of queries whose result varies by itself."""
        if not self._workload.is_query_set or found.is_censored:
            return
        for query, digest in found.digests.items():
            if is_candidate:
                known = self._digests.get(query)
                if known is not None and known != digest:
                    raise TargetFailure(
                        FailureKind.WRONG_RESULT,
                        f"query {query} returned other rows than with the server's own "
                        "configuration.",
                    )
            elif self._digests.setdefault(query, digest) != digest:
                self._digests[query] = None


def _whole(halves: _Halves) -> tuple[Measurement, ...]:
    """Return a slice for each half that was begun."""
    return tuple([joined(half) for half in halves if half])


def _seconds(parts: Sequence[Measurement]) -> float:
    return math.fsum(part.seconds for part in parts)


def per_unit(slices: Sequence[Measurement], basis: Basis) -> float | None:
    """Return seconds per unit of work over slices; `None` where the CPU is not seen."""
    units = sum(m.units for m in slices)
    if basis == "wall":
        return sum(m.seconds for m in slices) / units if units else None
    seconds = [m.cpu_seconds for m in slices]
    if any(s is None or s <= 0.0 for s in seconds) or not units:
        return None
    return math.fsum(s for s in seconds if s is not None) / units


def percentile(slices: Sequence[Measurement], which: int) -> float | None:
    """Return the mean over slices of a latency percentile, in seconds."""
    found = [m.latency_s[which] for m in slices if which in m.latency_s]
    return _mean(found) if found else None


def totals(slices: Sequence[Measurement], pick: Callable[[Measurement], float]) -> float:
    """Return a sum over slices per unit of work."""
    units = sum(m.units for m in slices)
    return math.fsum(pick(m) for m in slices) / units if units else 0.0


def mean_query_gains(blocks: Sequence[Block]) -> Mapping[str, float]:
    """Return query -> mean log gain over blocks."""
    found: dict[str, list[float]] = {}
    for block in blocks:
        for name, gain in block.query_gains.items():
            found.setdefault(name, []).append(gain)
    return {name: _mean(gains) for name, gains in found.items()}


def _log_time(slices: Sequence[Measurement], basis: Basis) -> float | None:
    times = [per_unit([m], basis) for m in slices]
    if any(t is None for t in times):
        return None
    return _mean([math.log(t) for t in times if t is not None])


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
