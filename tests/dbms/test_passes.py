"""A pass over queries in parts, at each of which default and candidate take turns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit_integrations.dbms.blocks import BlockRunner
from tunekit_integrations.dbms.passes import grouped, joined
from tunekit_integrations.dbms.protocol_options import ProtocolOptions
from tunekit_integrations.dbms.records import Measurement, TargetFailure
from tunekit_integrations.dbms.workloads.query_set import Query, QuerySet

OPTIONS = ProtocolOptions(slice_s=2.0, cutoff=2.5, hang_s=1.0)
DEFAULT_S = {"a": 1.5, "b": 1.5, "c": 4.0, "d": 0.5}
"""Parts of two seconds: a and b, then c with what is left."""


@dataclass
class Server:
    """One side, whose queries take so many seconds; all turns are written into one list."""

    name: str
    seconds_of: Mapping[str, float]
    turns: list[tuple[str, str, float]]
    cpu_s: float | None = 0.1
    put_settings: list[Mapping[str, Any]] = field(default_factory=list)

    def put(self, settings: Mapping[str, Any]) -> None:
        self.put_settings.append(settings)

    def measure(
        self, work: QuerySet, *, seconds: float, deadline_s: float, seed: int
    ) -> Measurement:
        names = list(work.queries())
        self.turns.append((self.name, "".join(names), round(deadline_s, 6)))
        took = [self.seconds_of[n] for n in names]
        return Measurement(
            units=len(names),
            seconds=min(sum(took), deadline_s),
            cpu_seconds=self.cpu_s,
            per_query=dict(zip(names, took, strict=True)),
            digests={n: f"rows of {n}" for n in names},
            executions=tuple(took),
            is_censored=sum(took) > deadline_s,
        )


def compared(candidate_s: Mapping[str, float]) -> tuple[BlockRunner, list[tuple[str, str, float]]]:
    turns: list[tuple[str, str, float]] = []
    work = QuerySet("four", {name: Query(f"SELECT '{name}'") for name in DEFAULT_S})
    sides: Any = (Server("default", DEFAULT_S, turns), Server("twin", candidate_s, turns))
    return BlockRunner(*sides, OPTIONS, work), turns


def test_two_servers_take_turns_at_each_part_and_the_block_holds_whole_passes() -> None:
    comparison, turns = compared({n: s / 2 for n, s in DEFAULT_S.items()})
    block = comparison.block({"work_mem": 1}, seed=0)
    assert turns[0][:2] == ("default", "abcd")  # once, to know how long each takes
    order = ("default", "twin", "twin", "default")
    assert [t[:2] for t in turns[1:]] == [(s, part) for part in ("ab", "cd") for s in order]
    assert [m.units for m in (*block.default, *block.candidate)] == [4, 4, 4, 4]
    assert [m.seconds for m in block.default] == [7.5, 7.5]
    assert block.default[0].per_query == DEFAULT_S
    assert block.gain("wall") == pytest.approx(0.6931, abs=1e-4)
    assert set(block.query_gains) == set(DEFAULT_S)
    comparison.block({"work_mem": 1}, seed=2)
    assert len(turns) == 1 + 8 + 8  # the parts are known


def test_a_candidate_slow_in_one_part_alone_is_not_cut_off() -> None:
    comparison, _ = compared({**DEFAULT_S, "a": 9.0})  # 15 s, and 2.5 times the default are 18.75
    assert not comparison.block({}, seed=0).is_censored


def test_a_candidate_is_cut_off_where_a_pass_would_take_too_long() -> None:
    comparison, turns = compared({**DEFAULT_S, "a": 9.0, "c": 9.0})
    block = comparison.block({}, seed=0)
    assert block.is_censored and block.gain("wall") == pytest.approx(-0.9163, abs=1e-4)
    assert turns[-1] == ("twin", "cd", 2.5 * 7.5 - 10.5)  # what is left of the pass


def test_a_pass_of_the_default_that_hangs_says_so() -> None:
    comparison, turns = compared(DEFAULT_S)
    comparison.block({}, seed=0)
    comparison.default.seconds_of = {**DEFAULT_S, "d": 1000.0}  # type: ignore[attr-defined]
    with pytest.raises(TargetFailure, match="with the server's own configuration"):
        comparison.block({}, seed=2)
    assert turns[-1] == ("default", "cd", 5 * 7.5 + 1.0)


def test_one_server_in_turns_runs_whole_passes() -> None:
    turns: list[tuple[str, str, float]] = []
    side: Any = Server("one", DEFAULT_S, turns)
    work = QuerySet("four", {name: Query(f"SELECT '{name}'") for name in DEFAULT_S})
    BlockRunner(side, side, OPTIONS, work).block({}, seed=0)
    assert [t[1] for t in turns] == ["abcd"] * 4


@given(st.lists(st.floats(0.0, 10.0), min_size=1, max_size=30), st.floats(0.01, 20.0))
def test_groups_keep_every_query_once_and_are_long_enough(took: list[float], seconds: float):
    seconds_of = {str(k): s for k, s in enumerate(took)}
    groups = grouped(seconds_of, seconds)
    assert [name for group in groups for name in group] == list(seconds_of)
    for group in groups[:-1]:
        assert sum(seconds_of[n] for n in group) >= seconds
    if len(groups) > 1:
        assert sum(seconds_of[n] for n in groups[-1]) >= seconds / 2


def test_a_joined_pass_has_the_sums_and_the_percentiles_of_all_queries() -> None:
    parts = [
        Measurement(2, 3.0, 1.0, executions=(1.0, 2.0), temp_bytes=5, wal_bytes=1),
        Measurement(2, 7.0, 2.0, executions=(3.0, 4.0), temp_bytes=6, errors=1),
    ]
    found = joined(parts)
    assert (found.units, found.seconds, found.cpu_seconds) == (4, 10.0, 3.0)
    assert (found.errors, found.temp_bytes, found.wal_bytes) == (1, 11, 1)
    assert found.latency_s[50] == 2.5
    unseen = joined([parts[0], Measurement(1, 1.0, None)])
    assert unseen.cpu_seconds is None
