from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event

from tunekit.records import ObjectiveSpec, Outcome, Proposal, Report, StudySpec, TrialState
from tunekit.spaces import Params
from tunekit.storages.base import (
    Claim,
    ExchangeRequest,
    Release,
    Renew,
    Reports,
    Start,
    Storage,
    Tell,
)
from tunekit.storages.urls import open_storage

POINT = Proposal(Params({"x": 0.5}), "random")


def study_id(storage: Storage) -> int:
    record = storage.create_study(StudySpec("s", (ObjectiveSpec("loss"),)))
    storage.enqueue(record.id, [{"x": 0.1}, {"x": 0.2}], user_attrs={})
    return record.id


def operation(draw: random.Random, number: int, epoch: int):
    kind = draw.randrange(5)
    if kind == 0:
        return Start(number, epoch, POINT)
    if kind == 1:
        return Reports(number, epoch, (Report(draw.randrange(4), {"loss": draw.random()}),))
    if kind == 2:
        return Renew(number, epoch)
    if kind == 3:
        return Release(number, epoch, "given back")
    outcome = Outcome(TrialState.COMPLETE, {"loss": draw.random()}, user_attrs={"a": number})
    return Tell(number, epoch, outcome, f"k{draw.randrange(3)}")


def batches(seed: int) -> list[list[ExchangeRequest]]:
    """Return requests of which some name trials that others of their batch have just claimed."""
    draw = random.Random(seed)
    found = []
    for _ in range(8):
        batch = []
        for _ in range(draw.randrange(1, 7)):
            operations = [
                operation(draw, draw.randrange(8), draw.randrange(1, 3))
                for _ in range(draw.randrange(3))
            ]
            claim = Claim(draw.randrange(3), f"c{draw.randrange(12)}", draw.choice([None, 5, 9]))
            worker = "" if draw.random() < 0.1 else "w"
            batch.append(ExchangeRequest(worker, operations, draw.choice([None, claim, claim])))
        batch[-1] = replace(batch[-1], after=0)
        found.append(batch)
    return found


def untimed(trials):
    stamps = {"created": 0.0, "started": None, "finished": None, "lease_until": None}
    return [replace(t, **stamps) for t in trials]


@pytest.mark.parametrize("place", ["memory", "sqlite"])
@pytest.mark.parametrize("seed", range(12))
def test_a_batch_of_exchanges_does_what_single_ones_do(
    seed: int, place: str, tmp_path: Path
) -> None:
    urls = [None, None] if place == "memory" else [tmp_path / "a.db", tmp_path / "b.db"]
    together, one_by_one = map(open_storage, urls)
    ours, theirs = study_id(together), study_id(one_by_one)
    for batch in batches(seed):
        found = together.exchange_many(ours, batch)
        for answer, request in zip(found, batch, strict=True):
            (single,) = one_by_one.exchange_many(theirs, [request])
            if isinstance(single, Exception):
                assert str(answer) == str(single)
                continue
            changes = [x.changes for x in (answer, single)]
            assert replace(answer, changes=None) == replace(single, changes=None)
            if request.after is not None:
                assert untimed(changes[0].trials) == untimed(changes[1].trials)
    ends = [storage.changes(i) for storage, i in ((together, ours), (one_by_one, theirs))]
    assert untimed(ends[0].trials) == untimed(ends[1].trials)
    logs = [storage.events(i) for storage, i in ((together, ours), (one_by_one, theirs))]
    assert [replace(e, at=0.0) for e in logs[0]] == [replace(e, at=0.0) for e in logs[1]]
    assert together.reports(ours) == one_by_one.reports(theirs)
    assert together.get_study("s").seq == one_by_one.get_study("s").seq
    together.close()
    one_by_one.close()


def test_a_batch_locks_the_study_and_appends_its_trials_once(tmp_path: Path) -> None:
    storage = open_storage(tmp_path / "a.db")
    ours = study_id(storage)
    traced: list[str] = []

    @event.listens_for(storage.database.engine, "connect")
    def trace(connection, record) -> None:
        connection.set_trace_callback(traced.append)

    storage.database.engine.dispose()
    storage.exchange_many(
        ours, [ExchangeRequest("w", (), Claim(1, f"key {i}")) for i in range(12)]
    )
    storage.close()
    words = [" ".join(text.split()[:3]) for text in traced]
    # To lock it, and to give back the numbers in whose place the enqueued trials were taken.
    assert words.count("UPDATE tk_studies SET") == 2
