"""`tunekit doctor`: check the installation, the storage and the studies."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

import typer

from tunekit.cli.command import FAILED, terminal
from tunekit.cli.options import ListFormat, ManyFormat, Storage

if TYPE_CHECKING:
    from tunekit.history import History
    from tunekit.records import StudyRecord
    from tunekit.storages.base import Storage as Store

EXTRAS = {
    "sklearn": ("sklearn",),
    "optuna": ("optuna", "cmaes"),
    "evolution": ("cmaes",),
    "bayesian": ("torch", "botorch", "gpytorch"),
    "torch": ("torch",),
    "postgres": ("psycopg2",),
    "export": ("pandas", "pyarrow"),
    "checkpoints": ("pyarrow", "fsspec"),
    "ray": ("ray",),
    "plots": ("plotly",),
    "bench": ("sklearn", "onnxruntime", "gymnasium", "plotly"),
    "serve": ("fastapi", "uvicorn", "argon2"),
    "llm": ("httpx2", "litellm"),
    "mcp": ("mcp",),
    "dashboard": ("streamlit", "websockets"),
    "knobs": ("psycopg2", "pymysql", "sqlglot"),
}
N_WRITES = 50
MAX_SKEW_S = 5.0
MIN_FREE_MIB = 500
MAX_FAILED_SHARE = 0.5
MIN_FINISHED = 4


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its subject, its status, and details or advice."""

    check: str
    status: Literal["ok", "off", "warn", "fail"]
    detail: str


def doctor(storage: Storage = None, form: ManyFormat = ListFormat.TABLE) -> None:
    """Check versions, extras, GPUs, the storage and the health of its studies.

    The exit status is 7 if the storage is unreachable and 1 if another check fails; warnings do
    not change it.
    """
    from tunekit.cli.output import emit_list
    from tunekit.errors import TunekitError
    from tunekit.shown import counted

    checks = list(_installation())
    status = 0
    try:
        checks += _storage(storage)
    except TunekitError as error:
        checks.append(Check("storage", "fail", str(error)))
        status = error.exit_status
    if status == 0 and any(c.status == "fail" for c in checks):
        status = FAILED
    emit_list(
        "checks",
        [asdict(c) for c in checks],
        form,
        columns=("check", "status", "detail"),
    )
    n_warnings = sum(c.status == "warn" for c in checks)
    n_failures = sum(c.status == "fail" for c in checks)
    parts = [(n_failures, "failure"), (n_warnings, "warning")]
    said = " and ".join(counted(n, noun) for n, noun in parts if n)
    terminal.print_line(f"{said}." if said else "all is well.")
    raise typer.Exit(status)


def _installation() -> Iterator[Check]:
    from importlib.metadata import version

    from tunekit import __version__
    from tunekit.errors import install_line

    python = ".".join(map(str, sys.version_info[:3]))
    yield Check("tunekit", "ok", f"{__version__} on Python {python}, {sys.platform}")
    yield from _namesakes()
    packages = ("numpy", "scipy", "SQLAlchemy", "pydantic", "typer", "rich")
    yield Check("packages", "ok", ", ".join(f"{p} {version(p)}" for p in packages))
    for extra, modules in EXTRAS.items():
        missing = [m for m in modules if find_spec(m) is None]
        if missing:
            yield Check(f"extra {extra}", "off", f"not installed: {install_line(extra)}")
        else:
            yield Check(f"extra {extra}", "ok", "installed")
    yield _gpus()
    if "RAY_ADDRESS" in os.environ:
        yield _ray(os.environ["RAY_ADDRESS"])
    free = shutil.disk_usage(Path.cwd()).free / 2**20
    enough = free >= MIN_FREE_MIB
    yield Check("disk", "ok" if enough else "warn", f"{free / 1024:.1f} GiB free in this folder")


def _namesakes() -> Iterator[Check]:
    """Yield a warning if another distribution is installed under our import name."""
    from importlib.metadata import PackageNotFoundError, distribution

    import tunekit
    from tunekit.errors import DISTRIBUTION

    try:
        other = distribution("tunekit")
    except PackageNotFoundError:
        return
    package = Path(tunekit.__file__).parent
    is_over = any(
        Path(str(other.locate_file(f))).is_relative_to(package) for f in other.files or ()
    )
    is_ours = any(e.value.startswith("tunekit.cli:") for e in other.entry_points)
    what = "an earlier install of this project" if is_ours else "another project"
    how = f"has written into {package}" if is_over else "stands beside this one"
    yield Check(
        "name",
        "fail" if is_over and not is_ours else "warn",
        f"the distribution tunekit {other.version}, {what}, {how}; `pip uninstall tunekit`, "
        f"then install {DISTRIBUTION} again",
    )


def _ray(address: str) -> Check:
    from tunekit.shown import shown_url

    shown = shown_url(address)
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not port.isdigit():  # "auto": Ray finds a cluster on this machine itself
        return Check("ray", "ok", f"RAY_ADDRESS={shown}")
    try:
        socket.create_connection((host, int(port)), 5).close()
    except OSError as error:
        detail = f"RAY_ADDRESS={shown} does not answer: {error}; start it, or unset RAY_ADDRESS"
        return Check("ray", "warn", detail)
    return Check("ray", "ok", f"RAY_ADDRESS={shown} answers")


def _gpus() -> Check:
    program = shutil.which("nvidia-smi")
    if program is None:
        return Check("gpus", "ok", "none visible (no nvidia-smi)")
    try:
        answer = subprocess.run(  # noqa: S603 - a fixed argument list
            [program, "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Check("gpus", "warn", f"nvidia-smi does not answer: {error}")
    names = [line.strip() for line in answer.stdout.splitlines() if line.strip()]
    mask = os.environ.get("CUDA_VISIBLE_DEVICES")
    limited = "" if mask is None else f"; CUDA_VISIBLE_DEVICES={mask}"
    return Check("gpus", "ok", f"{len(names)}: {', '.join(sorted(set(names)))}{limited}")


def _storage(flag: str | None) -> list[Check]:
    """Check the storage and its studies, without changing a study.

    Raises:
        TunekitError: the storage cannot be used at all.
    """
    from tunekit.cli.stores import open_existing, sqlite_file, url_of
    from tunekit.shown import counted, shown_url
    from tunekit.studies.histories import read_history

    path = sqlite_file(url_of(flag))
    if path is not None and path.suffix and not path.exists():
        writable = os.access(path.absolute().parent, os.W_OK)
        detail = f"no database yet at {shown_url(str(path))}; `tunekit run` makes it"
        return [Check("storage", "ok" if writable else "fail", detail)]
    opened = open_existing(flag)
    records = opened.list_studies()
    checks = [Check("storage", "ok", f"{opened.url}, {counted(len(records), 'study')}")]
    checks += _writes(opened)
    for record in records:
        checks += _health(record, read_history(opened, record))
    return checks


def _writes(opened: Store) -> list[Check]:
    """Time writes with a temporary study, and compare the clocks."""
    from tunekit.records import ObjectiveSpec, StudySpec

    name = f"tunekit-doctor-{uuid4().hex}"
    record = opened.create_study(StudySpec(name, (ObjectiveSpec("value"),)))
    try:
        skew = record.created - time.time()
        begin = time.perf_counter()
        for i in range(N_WRITES):
            opened.set_attrs(record.id, {"write": i})
        rate = N_WRITES / (time.perf_counter() - begin)
    finally:
        opened.delete_study(name)
    far = abs(skew) > MAX_SKEW_S
    advice = "; leases are safe, but dates will puzzle you: set the clock" if far else ""
    return [
        Check("write rate", "ok", f"{rate:.0f} transactions/s"),
        Check("clock", "warn" if far else "ok", f"storage is {skew:+.1f} s ahead{advice}"),
    ]


def _health(record: StudyRecord, history: History) -> Iterator[Check]:
    """Yield the problems of a study, or nothing if it is healthy."""
    from tunekit.driver.worker_id import is_known_dead
    from tunekit.records import TrialState

    name = record.spec.name
    now = time.time()
    running = [t for t in history.unfinished() if t.state is TrialState.RUNNING]
    stale = [t.number for t in running if is_known_dead(t.worker) or (t.lease_until or now) < now]
    if stale:
        yield Check(
            f"study {name}",
            "warn",
            f"trials {stale} are RUNNING but their worker is gone; `tunekit resume {name}` runs "
            "them again",
        )
    counts = history.counts()
    failed = counts.get(TrialState.FAILED, 0)
    if history.n_finished >= MIN_FINISHED and failed > MAX_FAILED_SHARE * history.n_finished:
        last = [t for t in history.finished() if t.state is TrialState.FAILED][-1]
        yield Check(
            f"study {name}",
            "warn",
            f"{failed} of {history.n_finished} trials failed; the last, {last.number}: "
            f"{last.end_reason}",
        )
    lost = counts.get(TrialState.LOST, 0)
    if lost:
        yield Check(f"study {name}", "warn", f"{lost} trials are LOST: their workers died often")
