"""Carries out a run: opens the study, runs its trials with progress, and prints the result."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunekit.api import study as open_study
from tunekit.cli.command import NOTHING_BEST, TIME_OVER, terminal
from tunekit.cli.options import Format
from tunekit.cli.output import emit_list, emit_one, params_text
from tunekit.cli.recipes import sealed
from tunekit.cli.settings import RunSettings
from tunekit.cli.shell import make_program, unseen
from tunekit.cli.stores import storage_flag, url_of
from tunekit.cli.studies import best_rows
from tunekit.cli.targets import load, load_function
from tunekit.driver.progress import make_progress
from tunekit.driver.worker_id import worker_name
from tunekit.errors import InvalidArgument, NoCompleteTrial, TunekitError
from tunekit.executors.choose import make_executor
from tunekit.records import StudyState
from tunekit.spaces import Space
from tunekit.studies.arguments import trial_limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunekit.executors.base import Executor
    from tunekit.storages.base import Storage
    from tunekit.studies.study import Study


def carry_out(settings: RunSettings, form: Format, *, space: Space | None = None) -> int:
    """Run a study with the given settings and print its best trial.

    Args:
        settings: what to run, and how.
        form: of the output.
        space: to use instead of the one that the settings name.

    Returns:
        The exit status: 0, or 5 if time ran out, or 6 without a best trial.

    Raises:
        TunekitError: the settings are invalid; nothing has started.
        KeyboardInterrupt: the run was interrupted; the state is saved.
    """
    folder = Path.cwd()
    space = make_space(settings.space, folder) if space is None else space
    objective = objective_of(settings, space, folder)
    executor = executor_of(settings)
    url = url_of(None, settings.storage)
    study = opened_study(settings, space, url)
    worker = worker_name()
    recipe = _recipe(settings, folder, study.record().spec.first_name)
    study.set_user_attr("run", {**recipe, "worker": worker})
    if settings.enqueue_default and space is not None and not len(study.refresh()):
        study.enqueue_trial(space.default())
    if study.record().state is StudyState.PAUSED:
        terminal.print_line(
            f"{study.name} is paused; `tunekit resume {study.name} --no-run` resumes it."
        )
    try:
        ending = study.optimize(
            objective,
            total_trials=settings.trials,
            timeout=settings.timeout,
            executor=executor,
            catch=(Exception, SystemExit),
            max_failed_trials=settings.max_failed_trials,
            progress=make_progress(quiet=terminal.quiet) or False,
        )
    except KeyboardInterrupt as interrupt:
        said = str(interrupt) or f"study {study.name!r} was interrupted; its state is saved"
        again = f"go on: tunekit resume {study.name}{storage_flag(url)}"
        raise KeyboardInterrupt(f"{said}\n{again}") from None
    finally:
        _leave(study, worker)
    return conclude(study, ending, form, url)


def opened_study(settings: RunSettings, space: Space | None, storage: str | Storage) -> Study:
    """Open the study of a run, or create it.

    Raises:
        StudyExists: there is one of this name with other settings.
    """
    return open_study(
        study_name(settings),
        space=space,
        objectives=settings.objectives,
        constraints=settings.constraints,
        storage=storage,
        sampler=settings.sampler,
        sampler_options=settings.sampler_options,
        warm_start=settings.warm_start,
        stopper=settings.stopper,
        stopper_options=settings.stopper_options,
        audit=settings.audit,
        seed=settings.seed,
    )


def executor_of(settings: RunSettings) -> Executor:
    """Return an executor that limits a crash or a hang to one trial.

    Raises:
        InvalidArgument: the settings contradict each other.
    """
    limits = trial_limits(settings.resources, settings.trial_timeout, settings.memory)
    if settings.executor == "ray" and settings.devices is None:
        from tunekit.executors.ray.executor import RayExecutor

        return RayExecutor(settings.workers, limits=limits, address=settings.ray_address)
    if settings.ray_address is not None:
        raise InvalidArgument(
            f"--ray-address {settings.ray_address} requires --executor ray; add it."
        )
    return make_executor(settings.executor, settings.workers, limits, settings.devices)


def conclude(study: Study, ending: str, form: Format, url: str) -> int:
    """Print the best trial after a run, and return the exit status."""
    history = study.refresh()
    counts = ", ".join(f"{n} {state}" for state, n in sorted(history.counts().items()))
    terminal.print_line(f"{study.name}: {ending}; {counts or 'no trials'}.")
    try:
        best = best_rows(study.record(), history)
    except NoCompleteTrial as error:
        terminal.fail(error)
        return NOTHING_BEST
    result = {"study": study.name, "ending": ending, "best": best}
    if form is not Format.TABLE:
        emit_one("run", result, form)
    elif len(best) == 1:
        emit_one("best", best[0], form)
    else:
        from tunekit.cli.options import ListFormat

        rows = [
            {"number": t["number"], **t["metrics"], "params": params_text(t["params"])}
            for t in best
        ]
        emit_list("best", rows, ListFormat.TABLE, columns=list(rows[0]))
    terminal.print_line(f"open it again: tunekit studies show {study.name}{storage_flag(url)}")
    return TIME_OVER if ending == "timeout" else 0


def make_space(given: str | dict[str, Any] | None, folder: Path) -> Space | None:
    """Load the space named by a flag or a study file.

    Raises:
        InvalidArgument, InvalidSpace: it is not a valid space.
    """
    from tunekit.spaces.catalogue import load_space
    from tunekit.spaces.serialize import FORMAT, space_from_dict

    if given is None:
        return None
    if isinstance(given, dict):
        return space_from_dict({"format": FORMAT, **given})
    if ":" not in given or given.endswith((".yaml", ".yml", ".json")):
        return load_space(given)
    found = load(given, str(folder))
    if not isinstance(found, Space):
        raise InvalidArgument(
            f"--space {given}: got {found!r}, expected a tunekit.Space; name a space, a file, or "
            "a bundled space."
        )
    return found


def study_name(settings: RunSettings) -> str:
    """Return the name of a study, by default taken from the script or program."""
    if settings.name:
        return settings.name
    if settings.objective is not None:
        return Path(settings.objective.rpartition(":")[0].rpartition(".py")[0] or "study").stem
    words = settings.command or []
    scripts = [Path(w) for w in words if Path(w).suffix and Path(w).is_file()]
    return (scripts[0] if scripts else Path(words[0])).stem


def objective_of(settings: RunSettings, space: Space | None, folder: Path) -> Callable[..., Any]:
    """Return what runs the trials: a function, or a program with the space's parameters.

    Raises:
        InvalidArgument: it does not exist, or does not fit the space.
    """
    if settings.objective is not None:
        return load_function(settings.objective, folder)
    assert settings.command is not None
    if space is None:
        raise InvalidArgument(
            "a program needs a declared space, since it cannot ask for parameters; give --space "
            "file.yaml or a bundled name."
        )
    _refuse_a_missing_program(settings)
    program = make_program(settings.command, space, folder)
    if missing := unseen(settings.command, program, space):
        terminal.print_line(
            f"no argument has a placeholder for {', '.join(missing)}: the program has to read "
            "$TUNEKIT_PARAMS, or write such as {" + missing[0] + "}."
        )
    return program


def _refuse_a_missing_program(settings: RunSettings) -> None:
    """Check that the program exists before a trial starts; on a cluster only its nodes know.

    Raises:
        InvalidArgument: the program does not exist or is not executable.
    """
    program = (settings.command or [""])[0]
    if settings.executor == "ray" or "{" in program or shutil.which(program):
        return
    why = "cannot be found; check its name, or give the path to it"
    if Path(program).is_file():
        why = "is not executable; write its interpreter before it, or use chmod +x"
    raise InvalidArgument(f'the program "{program}" {why}.')


def _leave(study: Study, worker: str) -> None:
    """Clear the record of this run; a later run that replaced it stays recorded."""
    with suppress(TunekitError):  # the reason why the run ended matters more
        run = study.user_attrs.get("run")
        if isinstance(run, Mapping) and run.get("worker") == worker:
            study.set_user_attr("run", {**run, "worker": ""})


def _recipe(settings: RunSettings, folder: Path, study: str) -> dict[str, Any]:
    """Return the recipe for `tunekit resume`, without the storage, whose URL may be secret."""
    given = settings.model_dump(mode="json", exclude_defaults=True, exclude={"name", "storage"})
    recipe = {"folder": str(folder), "settings": given}
    return sealed(recipe, study)
