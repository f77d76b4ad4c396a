"""`tunekit run` and `tunekit resume`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunekit.cli.command import terminal
from tunekit.cli.options import (
    Devices,
    Executor,
    Format,
    Memory,
    Name,
    OneFormat,
    Resources,
    Storage,
    TrialTimeout,
    Workers,
)

if TYPE_CHECKING:
    from tunekit.spaces import Space

SPACE_HELP = "A .yaml or .json file, a bundled name, or file.py:attribute."
COMMAND_HELP = (
    "file.py:function or module:function; or, after --, a program with {placeholders}. "
    "Without any, tunekit.yaml says what to run."
)


def run(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[OBJECTIVE | -- PROGRAM...]", help=COMMAND_HELP)
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option("-n", "--trials", help="Total number of trials in the study."),
    ] = None,
    space: Annotated[str | None, typer.Option("--space", help=SPACE_HELP)] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the study; an existing one resumes.")
    ] = None,
    minimize: Annotated[
        list[str] | None, typer.Option("--minimize", metavar="METRIC", help="Repeatable.")
    ] = None,
    maximize: Annotated[
        list[str] | None, typer.Option("--maximize", metavar="METRIC", help="Repeatable.")
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option("--objective", metavar="METRIC=minimize|maximize", help="Repeatable."),
    ] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option("--constraint", metavar="'METRIC <= BOUND'", help="Repeatable."),
    ] = None,
    workers: Workers = None,
    executor: Executor = None,
    ray_address: Annotated[
        str | None,
        typer.Option(
            "--ray-address", help="host:port. Default: RAY_ADDRESS, else a new cluster here."
        ),
    ] = None,
    max_failed: Annotated[
        int | None, typer.Option("--max-failed", help="End the run if more trials fail.")
    ] = None,
    sampler: Annotated[
        str | None, typer.Option("--sampler", help="auto, random, sobol, grid, tpe, gp, ...")
    ] = None,
    stopper: Annotated[
        str | None,
        typer.Option(
            "--stopper", help="Ends hopeless trials early: auto, asha, fast, threshold,asha, ..."
        ),
    ] = None,
    audit: Annotated[
        float | None,
        typer.Option("--audit", help="Share of condemned trials that run on. Default: 0.05."),
    ] = None,
    timeout: Annotated[
        str | None, typer.Option("--timeout", help="No trial starts after: 90s, 15m, 2h.")
    ] = None,
    trial_timeout: TrialTimeout = None,
    memory: Memory = None,
    resources: Resources = None,
    devices: Devices = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Same seed, same proposals.")] = None,
    enqueue_default: Annotated[
        bool, typer.Option("--enqueue-default", help="Try the space's default point first.")
    ] = False,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Study file. Default: tunekit.yaml.")
    ] = None,
    storage: Storage = None,
    form: OneFormat = Format.TABLE,
) -> None:
    """Tune a function or a program. Repeat the command to resume a run, however it ended.

    A program gets its parameters as {name} in its arguments, {params_file} or $TUNEKIT_PARAMS
    (JSON); the last line that it prints is its result, a number or a JSON object of metrics. A
    line `tunekit report step=3 {"error": 0.2}` is a report; a status other than 0 is a failure.

    Ctrl-C once finishes the running trials, twice stops them, three times exits; the state is
    saved each time. The exit status is 5 if time ran out before all trials were run, and 6 if no
    trial is complete and feasible.
    """
    from tunekit.cli.settings import FILE, checked, read_file

    flags: dict[str, Any] = {
        "name": name,
        "space": space,
        "objectives": _objectives(objective, minimize, maximize),
        "constraints": constraint,
        "trials": trials,
        "timeout": timeout,
        "workers": workers,
        "executor": executor,
        "ray_address": ray_address,
        "max_failed_trials": max_failed,
        "sampler": sampler,
        "stopper": _several(stopper),
        "audit": audit,
        "seed": seed,
        "storage": storage,
        "resources": amounts(resources),
        "devices": devices.split(",") if devices else None,
        "trial_timeout": trial_timeout,
        "memory": memory,
        "enqueue_default": enqueue_default or None,
        **what_to_run(words or []),
    }
    given = {key: value for key, value in flags.items() if value not in (None, [], {})}
    source = "tunekit run"
    if not words or file is not None:
        path = file or Path(FILE)
        from_file = read_file(path)
        if words:  # the flags name a different objective or program
            from_file = {k: v for k, v in from_file.items() if k not in ("objective", "command")}
        given, source = {**from_file, **given}, str(path)
    _carry_out(checked(given, source=source), form)


def resume(
    name: Name,
    trials: Annotated[
        int | None, typer.Option("-n", "--trials", help="Change the total number of trials.")
    ] = None,
    timeout: Annotated[
        str | None, typer.Option("--timeout", help="Change the time limit.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", "-w", help="Change the number of parallel trials.")
    ] = None,
    no_run: Annotated[
        bool, typer.Option("--no-run", help="Only wake the waiting workers.")
    ] = False,
    here: Annotated[
        bool, typer.Option("--here", help="Run in this folder even if it differs.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask, whoever wrote the recipe.")
    ] = False,
    storage: Storage = None,
    form: OneFormat = Format.TABLE,
) -> None:
    """Resume a study: wake its waiting workers and start its run again with the same settings.

    If a run is still alive, only that run continues. The recipe of the run is stored with the
    study; unless you wrote it on this machine, it is shown and you are asked first.
    """
    from tunekit.cli.recipes import checked_recipe
    from tunekit.cli.settings import checked
    from tunekit.cli.stores import alive, open_existing, url_of
    from tunekit.errors import InvalidArgument
    from tunekit.records import StudyState
    from tunekit.studies.labels import check_runs

    opened = open_existing(storage)
    record = opened.get_study(name)
    check_runs(record.spec)
    found = record.spec.attrs.get("run")
    recipe = None if found is None else checked_recipe(found, name)
    edited = None  # the recipe has the space that the study began with
    if recipe is not None and recipe["settings"].get("space") is not None:
        edited = opened.spaces(record.id).get(record.space_version)
    elsewhere = alive(opened, record)
    no_run = no_run or bool(elsewhere)
    if recipe is not None and not no_run and not here and recipe["folder"] != str(Path.cwd()):
        raise InvalidArgument(
            f"study {name!r} ran in {recipe['folder']}, not in this folder; change to it, or give "
            "--here if this folder has the same files."
        )
    if recipe is not None and not no_run and not yes:
        _ask(recipe, name, record.spec.first_name)
    opened.set_state(record.id, StudyState.ACTIVE)
    opened.close()
    if elsewhere:
        terminal.print_line(f"{name} is active; {elsewhere}, so nothing is started here.")
        return
    if recipe is None or no_run:
        why = "" if no_run else " It was not made by `tunekit run`: start its program again."
        terminal.print_line(f"{name} is active; workers that wait go on.{why}")
        return
    flags = {"trials": trials, "timeout": timeout, "workers": workers}
    again = {key: value for key, value in flags.items() if value is not None}
    settings = {**recipe["settings"], **again, "name": name, "storage": url_of(storage)}
    _carry_out(checked(settings, source=f"the recipe of study {name!r}"), form, space=edited)


def _ask(recipe: Mapping[str, Any], name: str, sealed_for: str) -> None:
    """Show a recipe that somebody else may have written, and ask whether to run it.

    Raises:
        Abort: the answer is no, or stdin gives no answer.
    """
    from tunekit.cli.recipes import described, is_own
    from tunekit.shown import printable

    if is_own(recipe, sealed_for):
        return
    typer.echo(
        printable(
            f"The storage says how study {name} is run; that was not written by you on this "
            f"machine:\n{described(recipe)}"
        ),
        err=True,
    )
    typer.confirm("Run that? (--yes does not ask)", abort=True, err=True)


def _carry_out(settings: Any, form: Format, *, space: Space | None = None) -> None:
    from tunekit.cli.runner import carry_out

    raise typer.Exit(carry_out(settings, form, space=space))


def what_to_run(words: list[str]) -> dict[str, Any]:
    """Tell a function, one word with a colon, from a program, and return the setting.

    Raises:
        InvalidArgument: it is neither.
    """
    import shutil

    from tunekit.errors import InvalidArgument

    if not words:
        return {}
    if len(words) > 1 or (":" not in words[0] and shutil.which(words[0])):
        return {"command": words}
    if ":" not in words[0]:
        raise InvalidArgument(
            f'"{words[0]}" is neither a function nor a program: write {words[0]}:function, or a '
            "program after --, as in `tunekit run -- python train.py --lr {lr}`."
        )
    return {"objective": words[0]}


def _objectives(
    named: list[str] | None, minimize: list[str] | None, maximize: list[str] | None
) -> dict[str, str]:
    from tunekit.errors import InvalidArgument

    pairs: list[tuple[str, str]] = []
    for text in named or ():
        metric, _, direction = text.partition("=")
        pairs.append((metric, direction))
    pairs += [(metric, "minimize") for metric in minimize or ()]
    pairs += [(metric, "maximize") for metric in maximize or ()]
    for metric, direction in pairs:
        if not metric or direction not in ("minimize", "maximize"):
            raise InvalidArgument(
                f'--objective "{metric}={direction}": expected METRIC=minimize or METRIC=maximize.'
            )
    if len(dict(pairs)) < len(pairs):
        raise InvalidArgument(
            f"the objectives {[m for m, _ in pairs]} name a metric twice; remove one."
        )
    return dict(pairs)


def _several(names: str | None) -> str | list[str] | None:
    return names.split(",") if names is not None and "," in names else names


def amounts(texts: list[str] | None) -> dict[str, str]:
    """Return the amounts of resources given as `gpu=1`, as texts.

    Raises:
        InvalidArgument: one is written in another way.
    """
    from tunekit.errors import InvalidArgument

    given: dict[str, str] = {}
    for text in ",".join(texts or ()).split(",") if texts else ():
        name, found, amount = text.partition("=")
        if not found or not name.strip():
            raise InvalidArgument(
                f'--resources "{text}": expected NAME=AMOUNT, for example gpu=1.'
            )
        given[name.strip()] = amount.strip()
    return given
