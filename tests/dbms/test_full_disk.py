"""The disk of a user's server is full while it is tuned: its own configuration comes back."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.dbms.conformance import values
from tests.dbms.postgresql.versions import programs_of
from tunekit.errors import ExecutorFailed, NotReverted
from tunekit_integrations.dbms.guard import rolled_back
from tunekit_integrations.dbms.journal import Journals
from tunekit_integrations.dbms.mariadb.connection import connected
from tunekit_integrations.dbms.mariadb.target import open_mariadb
from tunekit_integrations.dbms.postgresql.target import PostgreSQLTarget
from tunekit_integrations.dbms.protocol_options import ProtocolOptions
from tunekit_integrations.dbms.records import FailureKind, Measurement, TargetFailure
from tunekit_integrations.dbms.target import KnobTarget
from tunekit_integrations.dbms.tuning import tune_knobs

pytestmark = [pytest.mark.faults, pytest.mark.postgres, pytest.mark.mariadb]

DISK_MB = 700
OPTIONS = ProtocolOptions(
    aa_rounds=2, n_blocks=1, round_blocks=1, n_finalists=1, max_rounds=3, patience_s=1.0
)
N_SLICES = OPTIONS.aa_rounds * 4
"""Of the calibration; the next slice but one is the first of a candidate."""

Ask = Callable[[KnobTarget, str], None]


def ask_postgresql(target: KnobTarget, sql: str) -> None:
    import psycopg2

    with closing(psycopg2.connect(target.url)) as connection:
        connection.autocommit = True
        try:
            connection.cursor().execute(sql)
        except psycopg2.Error as error:
            raise TargetFailure(FailureKind.LOST_CONNECTION, str(error)) from None


def ask_mariadb(target: KnobTarget, sql: str) -> None:
    with connected(target.url) as connection:
        connection.rows(sql)


class Writes:
    """A workload that writes a table, and fills the disk in the first slice of a candidate."""

    name, clients, is_query_set = "writes", 1, False

    def __init__(self, ask: Ask, target: KnobTarget, disk: Path) -> None:
        self._ask, self._target, self.ballast = ask, target, disk / "ballast"
        self._n = 0

    def queries(self) -> dict[str, str]:
        return {}

    def weights(self) -> dict[str, int]:
        return {}

    def prepare(self, url: str) -> None:
        self._ask(self._target, "CREATE TABLE kept (body TEXT)")

    def reset(self, url: str) -> None: ...

    def warm(self, url: str) -> None: ...

    def run(self, url: str, *, seconds: float, deadline_s: float, seed: int) -> Measurement:
        self._n += 1
        if self._n == N_SLICES + 2:
            fill(self.ballast)
        self._ask(self._target, "INSERT INTO kept VALUES (REPEAT('x', 60000))")
        return Measurement(units=1, seconds=0.01, latency_s={50: 0.01})


def fill(ballast: Path) -> None:
    """Write until the disk takes not one byte more."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 4096)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small disk of its own, on which servers put their data."""
    folder = Path(tempfile.mkdtemp(prefix="disk-"))  # short: a socket's path has 107 bytes
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=1777", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        folder.rmdir()
        pytest.skip("this user may not mount a small disk")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
    folder.rmdir()


@pytest.mark.parametrize(
    ("owned", "attach", "ask", "knob"),
    [
        (
            lambda: PostgreSQLTarget.provision(programs=programs_of(15), clients=1),
            PostgreSQLTarget.attach, ask_postgresql, "work_mem",
        ),
        (
            lambda: open_mariadb("mariadb", clients=1),
            open_mariadb, ask_mariadb, "sort_buffer_size",
        ),
    ],
    ids=["postgresql", "mariadb"],
)  # fmt: skip
def test_the_server_has_its_own_configuration_again_once_there_is_space(
    owned, attach, ask: Ask, knob: str, disk: Path, tmp_path: Path
) -> None:
    journals = Journals(tmp_path / "journals")
    with closing(owned()) as theirs:
        target = attach(theirs.url)
        before, own = values(target), target.snapshot().set_values
        work = Writes(ask, theirs, disk)
        with suppress(ExecutorFailed, NotReverted):  # with the disk still full, both are right
            tune_knobs(
                target, work, n_trials=4, sampler="random", only=[knob], options=OPTIONS,
                journals=journals, progress=False,
            )  # fmt: skip
        assert shutil.disk_usage(disk).free < 2**16
        work.ballast.unlink()
        if theirs.health():
            theirs.restart()
        for left in journals.all():
            rolled_back(target, left, journals)
        assert journals.all() == []
        assert target.snapshot().set_values == own
        assert values(target) == before
