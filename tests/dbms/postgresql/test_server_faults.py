"""Real faults of a PostgreSQL server in the middle of a trial become kinds, and end no study."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.dbms.postgresql.versions import programs_of
from tunekit.records import TrialState
from tunekit_integrations.dbms.journal import Journals
from tunekit_integrations.dbms.postgresql.target import PostgreSQLTarget
from tunekit_integrations.dbms.protocol_options import ProtocolOptions
from tunekit_integrations.dbms.records import FailureKind, Measurement, TargetFailure
from tunekit_integrations.dbms.tuning import tune_knobs
from tunekit_integrations.dbms.workloads.query_set import Query, QuerySet

pytestmark = [pytest.mark.postgres, pytest.mark.faults]

SUM = "SELECT sum(i) FROM generate_series(1, 20000) AS i"
OPTIONS = ProtocolOptions(
    aa_rounds=2, n_blocks=1, round_blocks=1, n_finalists=1, max_rounds=3, hang_s=2.0
)
N_TRIALS = 6
N_SLICES = OPTIONS.aa_rounds * 4
"""Of the calibration; the next slice but one is the first of a candidate."""


class Faulty(QuerySet):
    """A query, and a fault in the first slice of a candidate."""

    def __init__(self, fault: Callable[[], None]) -> None:
        super().__init__("sum", {"a": Query(SUM)})
        self._fault, self._n = fault, 0

    def run(self, url: str, *, seconds: float, deadline_s: float, seed: int) -> Measurement:
        if seconds:  # no warm-up
            self._n += 1
            if self._n == N_SLICES + 2:
                self._fault()
        return super().run(url, seconds=seconds, deadline_s=deadline_s, seed=seed)


def client_out_of_files() -> None:
    raise OSError(24, "Too many open files")


def wrong_result() -> None:
    raise TargetFailure(FailureKind.WRONG_RESULT, "another sum.")


FAULTS = [
    ("kill", {"lost_connection", "no_start"}),
    (client_out_of_files, {"lost_connection"}),
    ("freeze", {"timeout", "lost_connection"}),
    (wrong_result, {"wrong_result"}),
]
SHOWN = FAULTS if os.environ.get("TUNEKIT_FAULT_ROUNDS") else FAULTS[:1]


@pytest.mark.parametrize(("fault", "kinds"), SHOWN)
def test_the_study_goes_on_with_the_servers_own_configuration(fault, kinds, tmp_path: Path):
    with closing(PostgreSQLTarget.provision(programs=programs_of(15), clients=1)) as target:
        target.clone = lambda: None  # in turns, on the one server that the fault hits
        own = target.snapshot().set_values

        def strike() -> None:
            if callable(fault):
                fault()
            pid = target.instance.pid
            os.kill(pid, signal.SIGKILL if fault == "kill" else signal.SIGSTOP)

        found = tune_knobs(
            target, Faulty(strike), n_trials=N_TRIALS, sampler="random", only=["work_mem"],
            options=OPTIONS, journals=Journals(tmp_path), progress=False,
        )  # fmt: skip
        failed = [t for t in found.study.trials if t.state is TrialState.FAILED]
        stopped = [t for t in found.study.trials if t.state is TrialState.STOPPED]
        assert len(found.study.trials) == N_TRIALS
        assert len(failed) + len(stopped) >= 1
        if failed:
            assert failed[0].user_attrs["knobs"]["failure"]["kind"] in kinds
        else:
            assert fault == "freeze"  # the slice ended at its deadline and is censored
        # Of those after it some are measured; a slow one is given up as any other is.
        measured = (TrialState.COMPLETE, TrialState.STOPPED)
        after = found.study.trials[(failed or stopped)[0].number + 1 :]
        assert any(t.state in measured for t in after), [t.end_reason for t in after]
        assert target.snapshot().set_values == own
