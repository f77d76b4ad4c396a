"""The next version of a study's space, and what it means for the trials that there are."""

from __future__ import annotations

from collections.abc import Mapping

from tunekit.driver.session import Ledger
from tunekit.errors import InvalidArgument
from tunekit.spaces import Space
from tunekit.spaces.versions import SpaceEdit, diff, fitted


def edit_space(ledger: Ledger, space: Space | Mapping[str, object], *, dry_run: bool) -> SpaceEdit:
    """Give a study the next version of its space; see `Study.edit_space`."""
    if ledger.is_open:
        raise InvalidArgument(
            f"study {ledger.record.spec.name!r} discovers its space from the program; edit the "
            "program."
        )
    new = space if isinstance(space, Space) else Space(space)
    ledger.refresh()
    ledger.refresh_space()
    changes = tuple(str(change) for change in diff(ledger.space, new))
    params = [t.params for t in ledger.history if t.params is not None]
    n_valid = sum(fitted(p, new) is not None for p in params)
    version = ledger.space_version
    if changes and not dry_run:
        storage, study_id = ledger.storage, ledger.record.id
        version = storage.set_space(study_id, new, expected_version=version)
        ledger.exchange(())  # takes over the new version
    return SpaceEdit(version, changes, n_valid, len(params) - n_valid)
