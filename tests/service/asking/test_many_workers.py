from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.service.asking.team import Team
from tunekit.records import TrialState
from tunekit.service.app import Service
from tunekit.storages.urls import open_storage
from tunekit.testing.service import running_service


class ManyWorkers:
    """Workers that ask and tell at the same time, on each kind of database."""

    def test_each_trial_is_given_out_and_told_once(self, url: str) -> None:
        service = Service(open_storage(url), url=url)
        with running_service(service) as address:
            team = Team(service, address, [])
            study = team.study(sampler="sobol")
            workers = [team.worker(study, f"w{i}") for i in range(8)]

            def work(worker) -> list[int]:
                numbers = []
                for _ in range(6):
                    trial = worker.ask_one()
                    worker.tell(trial, trial["params"]["x"])
                    numbers.append(trial["number"])
                return numbers

            with ThreadPoolExecutor(8) as threads:
                told = [n for numbers in threads.map(work, workers) for n in numbers]
            assert sorted(told) == list(range(48))
            trials = study.trials
            assert [t.state for t in trials] == [TrialState.COMPLETE] * 48
            assert all(t.metrics["loss"] == t.params["x"] for t in trials)
            assert study.replay() == []
            team.close()


class TestOnSQLite(ManyWorkers):
    @pytest.fixture
    def url(self, tmp_path: Path) -> Iterator[str]:
        yield f"sqlite:///{tmp_path / 'team.db'}"


@pytest.mark.postgres
class TestOnPostgreSQL(ManyWorkers):
    @pytest.fixture
    def url(self, postgres_url: str) -> Iterator[str]:
        yield postgres_url
