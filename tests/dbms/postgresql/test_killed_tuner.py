"""A tuner that is killed on a PostgreSQL server of others: `rollback` brings the server back."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.dbms.conformance import values
from tunekit.testing.postgres import find_binaries, running_server
from tunekit_integrations.dbms.guard import rolled_back
from tunekit_integrations.dbms.journal import Journals
from tunekit_integrations.dbms.postgresql.target import PostgreSQLTarget

pytestmark = [pytest.mark.postgres, pytest.mark.faults]

ROUNDS = int(os.environ.get("TUNEKIT_FAULT_ROUNDS", "2"))
OWN = "work_mem = '7MB'"

TUNER = """
import os, signal, sys
from pathlib import Path
from tunekit_integrations.dbms.journal import Journals
from tunekit_integrations.dbms.postgresql.target import PostgreSQLTarget
from tunekit_integrations.dbms.protocol_options import ProtocolOptions
from tunekit_integrations.dbms.tuning import tune_knobs
from tunekit_integrations.dbms.workloads.query_set import Query, QuerySet

url, folder, kill_at = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
n_steps = 0


def counted(name):
    function = getattr(PostgreSQLTarget, name)

    def step(self, *args, **kwargs):
        global n_steps
        n_steps += 1
        if n_steps == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        found = function(self, *args, **kwargs)
        n_steps += 1
        if n_steps == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    setattr(PostgreSQLTarget, name, step)


for name in ("snapshot", "apply", "measure", "revert", "plan_signature", "check"):
    counted(name)
work = QuerySet("sums", {"a": Query("SELECT sum(i) FROM generate_series(1, 20000) AS i")})
target = PostgreSQLTarget.attach(url)
options = ProtocolOptions(aa_rounds=2, n_blocks=1, round_blocks=1, n_finalists=1, max_rounds=3)
tune_knobs(
    target, work, n_trials=4, sampler="random", only=["work_mem", "random_page_cost"],
    options=options, journals=Journals(folder), kind="postgresql", progress=False,
)
print(n_steps)
"""


@pytest.fixture(scope="module")
def theirs():
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed")
    with running_server(binaries) as server:
        server._execute(f"ALTER SYSTEM SET {OWN}")
        server._execute("SELECT pg_reload_conf()")
        yield server


def tune(url: str, folder: Path, kill_at: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", TUNER, url, str(folder), str(kill_at)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def killed(url: str, folder: Path, kill_at: int) -> Path:
    """Kill a tuner at a step, or earlier if it ends before; return the folder of its journals.

    How many steps a tuner takes depends on what it measures: a slow candidate has no fresh rounds.
    """
    while True:
        journals = folder / str(kill_at)
        ended = tune(url, journals, kill_at)
        if ended.returncode == -signal.SIGKILL:
            return journals
        assert ended.returncode == 0, ended.stderr
        assert kill_at > int(ended.stdout), "it did not die at its step"
        kill_at //= 2


def test_killed_at_any_call_the_server_is_as_it_was_after_rollback(theirs, tmp_path):
    url = theirs.url("postgres")
    with closing(PostgreSQLTarget.attach(url)) as target:
        before, own = values(target), target.snapshot().set_values
    whole = tune(url, tmp_path / "whole", -1)
    assert whole.returncode == 0, whole.stderr
    n_steps = int(whole.stdout)
    assert n_steps > 40
    draws = random.Random(ROUNDS)
    steps = [n_steps // 2, *draws.sample(range(1, n_steps), min(ROUNDS, n_steps - 1) - 1)]
    for kill_at in steps:
        journals = Journals(killed(url, tmp_path, kill_at))
        with closing(PostgreSQLTarget.attach(url)) as target:
            for left in journals.all():
                rolled_back(target, left, journals)
            assert journals.all() == []
            assert target.snapshot().set_values == own
            assert values(target) == before
