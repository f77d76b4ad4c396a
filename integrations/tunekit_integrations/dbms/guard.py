"""Keeps a server's own configuration safe while it is tuned, and brings it back afterwards."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from tunekit.driver.signal_handlers import handled
from tunekit.errors import InvalidArgument, NotReverted
from tunekit_integrations.dbms.journal import Journal, Journals
from tunekit_integrations.dbms.records import FailureKind, Snapshot, TargetFailure
from tunekit_integrations.dbms.target import KnobTarget

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE_S = 30.0
"""How long a server that does not answer is asked again to take its configuration back."""

Said = Callable[[str], None]


@contextmanager
def own_configuration_kept(
    target: KnobTarget,
    kind: str,
    journals: Journals,
    said: Said,
    *,
    patience_s: float = PATIENCE_S,
) -> Iterator[Snapshot]:
    """Keep a server's configuration in a journal, and bring it back however the block ends.

    An interrupt, SIGTERM or a closed terminal ends the block with `KeyboardInterrupt`; while the
    configuration is brought back they wait. A journal that a killed run has left is restored
    first. A private server needs no journal: it is thrown away.

    Raises:
        InvalidArgument: another process tunes the server.
        StorageError: the journal cannot be written; nothing was changed.
        NotReverted: the server did not take its configuration back; the journal stays.
    """
    snapshot = target.snapshot()
    if target.instance.is_private:
        try:
            with handled(_ends(), _interrupt):
                yield snapshot
        finally:
            with suppress(TargetFailure):  # a dead one; whoever made it sees that
                target.revert(snapshot)
        return
    with journals.held(snapshot.identity), handled(_ends(), _interrupt):
        left = journals.read(snapshot.identity)
        if left is not None:
            said("an earlier run was killed; its server gets its own configuration back first")
            rolled_back(target, left, journals, is_known=True, patience_s=patience_s)
            snapshot = target.snapshot()
        try:
            journals.write(kind, target.url, snapshot)
            yield snapshot
        finally:
            with handled(_ends(), lambda *_: said("wait: the server gets its configuration back")):
                found = journals.read(snapshot.identity)
                if found is not None:
                    rolled_back(target, found, journals, is_known=True, patience_s=patience_s)


def rolled_back(
    target: KnobTarget,
    journal: Journal,
    journals: Journals,
    *,
    is_known: bool = False,
    patience_s: float = PATIENCE_S,
) -> None:
    """Bring a server's own configuration back, read it, and remove the journal.

    Args:
        target: the server; one that does not run gets its files back, as far as it can.
        journal: of it.
        journals: where it lies.
        is_known: the journal is surely of this server; else that is read first.
        patience_s: how long a server that does not answer is asked again.

    Raises:
        InvalidArgument: the journal is of another server; nothing was changed.
        NotReverted: the server did not take it back; the journal stays.
    """
    path = journals.path(journal.snapshot.identity, journal.purpose)
    wanted, ends = journal.snapshot, time.monotonic() + patience_s
    if not is_known:
        with suppress(TargetFailure):  # a server that does not run: `revert` looks at its files
            _check_identity(target.snapshot(), wanted)
    while True:
        is_back = False
        try:
            target.revert(wanted)
            is_back = True
            found = target.snapshot()
            break
        except TargetFailure as failure:
            if failure.kind is FailureKind.INVALID or time.monotonic() > ends:
                why = "its files have it again, but it does not answer:" if is_back else ""
                raise _not_reverted(path, f"{why} {failure.message}".strip()) from failure
            time.sleep(min(0.5, patience_s))
    wrong = [k for k, v in wanted.set_values.items() if found.set_values.get(k) != v]
    if wrong:
        raise _not_reverted(path, f"{', '.join(sorted(wrong))} read otherwise afterwards.")
    journals.remove(wanted.identity, journal.purpose)


def restore_files(journal: Journal) -> list[Path]:
    """Write the configuration files of a server back that does not start; return their paths.

    Owner and mode of a file that is there stay. The journal stays too, until the server runs and
    was read.

    Raises:
        NotReverted: a file cannot be written.
    """
    done = []
    for name, content in journal.snapshot.files.items():
        path = Path(name)
        new = path.with_name(f".{path.name}.tunekit")
        try:
            before = path.stat() if path.exists() else None
            with open(new, "w", encoding="utf-8") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if before is not None:
                os.chmod(new, before.st_mode & 0o7777)
                with suppress(PermissionError):  # not root: the file is ours anyway
                    os.chown(new, before.st_uid, before.st_gid)
            os.replace(new, path)
        except OSError as error:
            raise NotReverted(
                f"{path} cannot be written ({error.strerror or error}); run this as the user that "
                "the server runs as."
            ) from error
        done.append(path)
    return done


def _ends() -> tuple[signal.Signals, ...]:
    """Return the signals that end a process, except ignored ones (nohup)."""
    return tuple([s for s in ENDS if signal.getsignal(s) is not signal.SIG_IGN])


def _interrupt(number: int, _: FrameType | None) -> None:
    name = signal.Signals(number).name
    raise KeyboardInterrupt(f"{name}: the server gets its own configuration back")


def _check_identity(found: Snapshot, wanted: Snapshot) -> None:
    if dict(found.identity) != dict(wanted.identity):
        raise InvalidArgument(
            f"the journal is of the server {_named(wanted)}, this one is {_named(found)}; "
            "nothing was changed."
        )


def _named(snapshot: Snapshot) -> str:
    return ", ".join(f"{k} {v}" for k, v in snapshot.identity.items())


def _not_reverted(path: Path, why: str) -> NotReverted:
    return NotReverted(
        f"the server did not take its own configuration back: {why} The journal {path} stays; "
        "start the server and run `tunekit knobs rollback`, or with --files if it does not start."
    )
