"""Imports Optuna studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunekit.api import load_study
from tunekit.errors import InvalidArgument, MissingExtra, TunekitError, did_you_mean
from tunekit.identifiers import new_seed
from tunekit.shown import shown_url
from tunekit.storages.base import Storage
from tunekit.studies.catalogue import storage_of
from tunekit.studies.optuna_import import OptunaTrialReader, spec_of
from tunekit.studies.study import Study

if TYPE_CHECKING:
    import optuna


def from_optuna(
    study: optuna.Study,
    name: str | None = None,
    *,
    storage: str | Path | Storage | None = None,
    sampler: str | None = None,
) -> Study:
    """Return a new study with all trials of an Optuna study, to continue or to inspect.

    Trials keep their numbers, params, values, curves, times and user attributes. PRUNED trials
    become STOPPED, running ones LOST. The space is discovered from the distributions. A study
    exported by `Study.to_optuna` regains its space, settings and reasons.

    Args:
        study: an Optuna study; load one in a file or a database with `optuna.load_study(...)`.
        name: name of the new study; by default the same.
        storage: URL or path; by default the environment's `TUNEKIT_URL`, else in memory.
        sampler: short name of the sampler for further trials; by default "auto", or the sampler
            of the study exported by `to_optuna`.

    Raises:
        InvalidArgument: `study` is not an Optuna study, or the sampler is unknown.
        StudyExists: the name is taken.
        StorageError: the storage cannot be opened.
    """
    if not hasattr(study, "get_trials") or not hasattr(study, "_study_id"):
        raise InvalidArgument(
            f"study={study!r}, expected a study of Optuna; open it with "
            "optuna.load_study(study_name=..., storage=...)."
        )
    found = study.get_trials(deepcopy=False)
    given = study.study_name if name is None else name
    spec = spec_of(study, found, given, new_seed())
    if sampler is not None:
        spec = replace(spec, sampler=sampler, sampler_options={})
    reader = OptunaTrialReader(spec)
    read = [reader.read(trial) for trial in found]
    opened = storage_of(storage)
    record = opened.create_study(spec)
    try:
        reports: dict[int, Any] = {record.number: curve for record, curve in read if curve}
        opened.add_trials(record.id, [trial for trial, _ in read], reports)
        return load_study(given, storage=opened)
    except BaseException:
        opened.delete_study(given)
        raise


def load_optuna_studies(source: str, names: Sequence[str] | None = None) -> list[optuna.Study]:
    """Return studies of an Optuna storage, by default all, in order of name.

    Args:
        source: URL of a database, or path of a journal file.
        names: of the studies.

    Raises:
        InvalidArgument: there is no such storage or study.
        MissingExtra: Optuna is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise MissingExtra("optuna", "Reading an Optuna storage") from None
    file = _file_of(source)
    if file is not None and not file.is_file():
        raise InvalidArgument(f"{source} is not a file; give Optuna's URL or journal file.")
    try:
        if "://" in source:
            storage: Any = optuna.storages.RDBStorage(source, skip_table_creation=True)
        else:
            from optuna.storages.journal import JournalFileBackend

            storage = optuna.storages.JournalStorage(JournalFileBackend(source))
        known = sorted(optuna.get_all_study_names(storage))
        missing = [n for n in names or () if n not in known]
        if missing:
            raise InvalidArgument(
                f'{shown_url(source)} has no study "{missing[0]}"{did_you_mean(missing[0], known)}'
                f"; it has {', '.join(known) or 'none'}."
            )
        return [optuna.load_study(study_name=n, storage=storage) for n in names or known]
    except TunekitError:
        raise
    except Exception as error:  # of SQLAlchemy, of the driver, of Optuna: it has no common class
        reason = str(error).strip().partition("\n")[0]
        raise InvalidArgument(
            f"{shown_url(source)} cannot be read as a storage of Optuna: {reason}"
        ) from None


def _file_of(source: str) -> Path | None:
    """Return the file of a journal or of an SQLite URL, `None` for a server or memory."""
    if "://" not in source:
        return Path(source)
    from sqlalchemy import make_url

    try:
        url = make_url(source)
    except Exception:  # Optuna says what is wrong with it
        return None
    is_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return Path(str(url.database)) if is_file and "uri" not in url.query else None
