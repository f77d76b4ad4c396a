from __future__ import annotations

import asyncio
from pathlib import Path

from tunekit.errors import InvalidArgument, UnknownStudy
from tunekit.records import ObjectiveSpec, StudySpec
from tunekit.service.group_commit import GroupCommit
from tunekit.storages.base import Claim, Exchange, ExchangeRequest
from tunekit.storages.project import ProjectStorage
from tunekit.storages.urls import open_storage


def claim(key: str, worker: str = "w") -> ExchangeRequest:
    return ExchangeRequest(worker, (), Claim(1, key))


def test_a_request_through_another_project_is_refused_also_while_others_commit(
    tmp_path: Path,
) -> None:
    storage = open_storage(tmp_path / "team.db")
    ours, theirs = ProjectStorage(storage, "ours"), ProjectStorage(storage, "theirs")
    record = ours.create_study(StudySpec("s", (ObjectiveSpec("loss"),)))

    async def both() -> list[Exchange | BaseException]:
        commits = GroupCommit()
        found = await asyncio.gather(
            commits.exchange(ours, record.id, claim("a")),
            commits.exchange(theirs, record.id, claim("b")),
            commits.exchange(ours, record.id, claim("c", worker="")),
            commits.exchange(ours, record.id, claim("d")),
            return_exceptions=True,
        )
        await commits.close()
        return found

    first, foreign, invalid, last = asyncio.run(both())
    assert isinstance(foreign, UnknownStudy)
    assert isinstance(invalid, InvalidArgument)
    assert isinstance(first, Exchange) and isinstance(last, Exchange)
    assert [x.number for x in (*first.leases, *last.leases)] == [0, 1]
    assert ours.get_study("s").n_trials == 2
    storage.close()
