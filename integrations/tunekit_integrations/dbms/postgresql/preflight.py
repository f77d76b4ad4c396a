"""Asks the server's own program whether it would start, on a copy of what it looks at first."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tunekit_integrations.dbms.postgresql.auto_conf import FILE
from tunekit_integrations.dbms.postgresql.programs import run_program, version_of
from tunekit_integrations.dbms.postgresql.server import Server
from tunekit_integrations.dbms.records import TargetFailure

_NEEDED = ("PG_VERSION", "postgresql.conf", FILE, "global/pg_control")
_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Preflight:
    """What the program said.

    Attributes:
        error: its words where it would not start, else "".
        shared_bytes: shared memory that it would take, 0 where it does not say.
    """

    error: str = ""
    shared_bytes: int = 0


def preflight(
    server: Server, texts: Mapping[str, str | None], *, config_file: str = ""
) -> Preflight | None:
    """Return what `postgres -C` says, `None` where the program or the data are out of reach.

    It checks values, their combinations and libraries to load, and reserves nothing.

    Args:
        server: whose program and configuration are asked.
        texts: settings as a configuration file has them; `None` for those without one.
        config_file: of the server where it is not in its data folder.
    """
    is_out_of_reach = server.programs is None or server.data_folder is None
    if is_out_of_reach or (os.getuid() == 0 and server.user in (None, "root")):
        return None
    assert server.programs is not None and server.data_folder is not None
    folder = Path(tempfile.mkdtemp(prefix="tunekit-preflight-"))
    try:
        skeleton = folder / "data"
        (skeleton / "global").mkdir(mode=0o700, parents=True)
        skeleton.chmod(0o700)
        for name in _NEEDED:
            if (server.data_folder / name).exists():
                shutil.copyfile(server.data_folder / name, skeleton / name)
        _give(folder, server.user)
        found = _asked(server.programs, skeleton, texts, server.user, config_file)
        if found and found.error:  # does it fail by the settings, or with any on such a copy?
            as_it_is = _asked(server.programs, skeleton, {}, server.user, config_file)
            return found if as_it_is and not as_it_is.error else None
        return found
    except OSError:
        return None  # no access to the server's files
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _give(folder: Path, user: str | None) -> None:
    if os.getuid() == 0 and user is not None:
        for path in [folder, *folder.rglob("*")]:
            shutil.chown(path, user)


def _asked(
    programs: Path,
    skeleton: Path,
    texts: Mapping[str, str | None],
    user: str | None,
    config_file: str,
) -> Preflight | None:
    can_size = version_of(programs) >= (15,)
    command: list[str | Path] = [programs / "postgres", "-D", skeleton]
    command += ["-C", "shared_memory_size" if can_size else "shared_buffers"]
    command += ["-c", "listen_addresses=", "-c", f"unix_socket_directories={skeleton}"]
    command += ["-c", f"config_file={config_file}"] if config_file else []
    for name, text in texts.items():
        command += ["-c", f"{name}={text}"] if text is not None else []
    try:
        told = run_program(command, user, timeout_s=_TIMEOUT_S)
    except TargetFailure as failure:
        is_judged = "FATAL" in failure.log or failure.log.startswith("postgres:")
        return Preflight(error=failure.log) if is_judged else None
    last = told.strip().splitlines()[-1] if told.strip() else ""
    return Preflight(shared_bytes=int(last) * 2**20 if can_size and last.isdecimal() else 0)
