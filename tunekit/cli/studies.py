"""`tunekit studies`: list, show, export and remove studies, and print the best trial."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunekit.cli.command import command, terminal
from tunekit.cli.options import (
    Fields,
    Format,
    Limit,
    ListFormat,
    ManyFormat,
    Name,
    OneFormat,
    Storage,
)

if TYPE_CHECKING:
    from tunekit.history import History
    from tunekit.records import StudyRecord

app = typer.Typer(
    help="Studies: ls, show, health, tag, widen, export, report, ...", no_args_is_help=True
)

STATES = ("complete", "stopped", "running", "failed")
COLUMNS = ("name", "state", "trials", *STATES, "best", "created")


@command(app, "ls")
def ls(
    storage: Storage = None,
    form: ManyFormat = ListFormat.TABLE,
    fields: Fields = None,
    limit: Limit = None,
    tag: Annotated[str | None, typer.Option("--tag", help="Only studies with this tag.")] = None,
    archived: Annotated[
        bool, typer.Option("--archived", help="Archived studies in place of others.")
    ] = False,
) -> None:
    """List the studies of a storage, by name."""
    from tunekit.cli.output import emit_list
    from tunekit.cli.stores import open_existing
    from tunekit.studies.histories import read_history
    from tunekit.studies.labels import is_archived, tags_of

    opened = open_existing(storage)
    found = [r for r in opened.list_studies() if is_archived(r.spec) == archived]
    found = [r for r in found if tag is None or tag in tags_of(r.spec)]
    records = [study_row(r, read_history(opened, r)) for r in found[: limit or None]]
    emit_list("studies", records, form, columns=COLUMNS, fields=fields)


@command(app, "show")
def show(name: Name, storage: Storage = None, form: OneFormat = Format.TABLE) -> None:
    """Show a study's settings, progress, best trial and parameter importance."""
    from tunekit.cli.output import emit_one
    from tunekit.cli.stores import open_existing, read_study

    record, history = read_study(open_existing(storage), name)
    emit_one("study", study_details(record, history), form)


@command(app, "best")
def best(name: Name, storage: Storage = None, form: OneFormat = Format.TABLE) -> None:
    """Print the best trial's result and params, or the Pareto front of several objectives."""
    from tunekit.cli.output import emit_list, emit_one, params_text
    from tunekit.cli.stores import open_existing, read_study

    record, history = read_study(open_existing(storage), name)
    front = best_rows(record, history)
    if len(record.spec.objectives) == 1:
        emit_one("best", front[0], form)
        return
    if form is Format.TABLE:
        front = [
            {"number": t["number"], **t["metrics"], "params": params_text(t["params"])}
            for t in front
        ]
    emit_list("best", front, ListFormat(form.value), columns=list(front[0]))


@command(app, "audit")
def audit(
    name: Name,
    tolerance: Annotated[
        float,
        typer.Option("--tolerance", help="Relative gap to the best that still counts as best."),
    ] = 0.0,
    storage: Storage = None,
    form: OneFormat = Format.TABLE,
) -> None:
    """Show how often the stopper erred on audited trials, and how much it saved."""
    from tunekit.analysis.audit import stop_audit
    from tunekit.cli.output import emit_found
    from tunekit.cli.stores import open_existing, read_study

    opened = open_existing(storage)
    record, history = read_study(opened, name)
    found = stop_audit(history, opened.reports(record.id), tolerance=tolerance)
    emit_found("audit", found, found.to_dict(), form)


@command(app, "health")
def health(
    name: Name,
    trials: Annotated[
        int | None,
        typer.Option("--trials", min=1, help="Number of trials the study is to have in the end."),
    ] = None,
    storage: Storage = None,
    form: OneFormat = Format.TABLE,
) -> None:
    """Check what goes wrong in a study, and say one thing to do about each."""
    from tunekit.cli.output import emit_one, print_table, text
    from tunekit.cli.stores import open_existing
    from tunekit.driver.study_reader import StudyReader
    from tunekit.shown import printable
    from tunekit.studies.health import health_of

    opened = open_existing(storage)
    found = health_of(StudyReader(opened, opened.get_study(name)), max_trials=trials)
    if form is not Format.TABLE:
        emit_one("health", found.to_dict(), form)
        return
    rows = [[f.check, f.verdict, text(f.number), f.text] for f in found.findings]
    print_table(("check", "verdict", "number", "finding"), rows)
    for f in found.sick:
        terminal.print_line(f"{f.check}: {printable(f.advice)}")
        if f.command:
            terminal.print_line(f"  {printable(f.command)}")


@command(app, "llm")
def llm(name: Name, storage: Storage = None, form: OneFormat = Format.TABLE) -> None:
    """Show what a language model did for a study: hit rate, price, best by sampler."""
    from dataclasses import asdict

    from tunekit.analysis.llm_report import llm_report
    from tunekit.cli.output import emit_found
    from tunekit.cli.stores import open_existing, read_study

    _, history = read_study(open_existing(storage), name)
    found = llm_report(history)
    if not found.spent.calls:
        terminal.print_line(f"no language model has been asked for study {name} yet")
    emit_found("llm", found, asdict(found), form)


@command(app, "export")
def export(
    name: Name,
    path: Annotated[Path, typer.Argument(help="File ending in .json, .csv or .parquet.")],
    storage: Storage = None,
) -> None:
    """Write all trials of a study to a file, in the format of its extension."""
    from tunekit.cli.stores import open_existing, read_study
    from tunekit.shown import counted
    from tunekit.studies import export as files

    opened = open_existing(storage)
    record, history = read_study(opened, name)
    written = files.write(path, record, list(history), opened.reports(record.id))
    terminal.print_line(f"{counted(len(history), 'trial')} of {name} written to:")
    typer.echo(str(written))


@command(app, "report")
def report(
    name: Name,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write.  [default: report.html or .ipynb]"),
    ] = None,
    notebook: Annotated[
        bool, typer.Option("--notebook", help="Write a Jupyter notebook instead.")
    ] = False,
    storage: Storage = None,
) -> None:
    """Write a report on a study as one HTML file that opens offline, or as a notebook."""
    from tunekit.cli.stores import open_existing, url_of
    from tunekit.driver.study_reader import StudyReader
    from tunekit.errors import InvalidArgument
    from tunekit.studies.export import write_whole
    from tunekit.studies.report import report_html
    from tunekit.studies.report_notebook import notebook_json

    suffix = ".ipynb" if notebook else ".html"
    path = output or Path(f"report{suffix}")
    if path.suffix != suffix:
        raise InvalidArgument(f"-o {str(path)!r}: expected a name ending in {suffix}.")
    opened = open_existing(storage)
    reader = StudyReader(opened, opened.get_study(name))
    text = notebook_json(reader, url_of(storage)) if notebook else report_html(reader)
    typer.echo(str(write_whole(path, lambda partial: partial.write_text(text, "utf-8"))))


@command(app, "rm")
def rm(
    name: Name,
    storage: Storage = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a study and all its trials permanently."""
    from tunekit.cli.stores import open_existing
    from tunekit.shown import counted, printable

    opened = open_existing(storage)
    record = opened.get_study(name)
    if not yes:
        typer.confirm(
            f"Delete the study {printable(name)} with {counted(record.n_trials, 'trial')}?",
            abort=True,
            err=True,
        )
    opened.delete_study(name)
    terminal.print_line(f"deleted {name} with {counted(record.n_trials, 'trial')}.")


def study_row(record: StudyRecord, history: History) -> dict[str, Any]:
    """Return a study's state as one row of the list."""
    from tunekit.cli.output import moment

    spec = record.spec
    counts = {str(state): n for state, n in history.counts().items()}
    front = history.pareto() if len(spec.objectives) > 1 else []
    first = spec.objectives[0].metric
    return {
        "name": spec.name,
        "state": str(record.state),
        "trials": len(history),
        **{state: counts.get(state, 0) for state in STATES},
        "best": history.best.metrics[first] if history.best else None,
        "best_trial": history.best.number if history.best else None,
        "pareto": [t.number for t in front],
        "objectives": {o.metric: o.direction for o in spec.objectives},
        "created": moment(record.created),
    }


def study_details(record: StudyRecord, history: History) -> dict[str, Any]:
    """Return the details of one study."""
    from tunekit.cli.output import moment
    from tunekit.records import TrialState

    spec = record.spec
    failed = [t for t in history.finished() if t.state is TrialState.FAILED]
    found = history.best
    return {
        "name": spec.name,
        "state": str(record.state),
        "objectives": {o.metric: o.direction for o in spec.objectives},
        "constraints": [str(c) for c in spec.constraints],
        "sampler": spec.sampler,
        "stopper": ", ".join(spec.stopper_options.get("stoppers", [spec.stopper])) or None,
        "seed": spec.seed,
        "space_version": record.space_version,
        "created": moment(record.created),
        "trials": {
            "total": len(history),
            **{str(state): n for state, n in sorted(history.counts().items())},
        },
        "best": trial_row(found) if found is not None else None,
        "pareto": [t.number for t in history.pareto()] if len(spec.objectives) > 1 else [],
        "last_failure": f"trial {failed[-1].number}: {failed[-1].end_reason}" if failed else None,
        "mattered": what_mattered(record, history),
        "run": _run(spec.attrs.get("run")),
    }


def _run(recipe: Any) -> dict[str, Any]:
    """Return a study's recipe without its seal."""
    if not isinstance(recipe, Mapping):
        return {}
    return {k: v for k, v in recipe.items() if k in ("folder", "settings")}


def what_mattered(record: StudyRecord, history: History) -> dict[str, float]:
    """Return path -> importance, the largest first; empty if unknown."""
    from tunekit.analysis.importance import importance
    from tunekit.errors import TunekitError

    if record.spec.space is None or len(record.spec.objectives) > 1:
        return {}
    try:
        return importance(history, record.spec.space)
    except TunekitError:  # too few complete trials, or Optuna is missing
        return {}


def trial_row(trial: Any) -> dict[str, Any]:
    """Return the fields that describe a best trial."""
    return {
        "number": trial.number,
        "metrics": dict(trial.metrics),
        "params": dict(trial.params or {}),
        "sampler": trial.sampler,
        "reason": trial.reason,
    }


def best_rows(record: StudyRecord, history: History) -> list[dict[str, Any]]:
    """Return the best trial, or the Pareto front of several objectives.

    Raises:
        NoCompleteTrial: no complete trial satisfies the constraints.
    """
    from tunekit.errors import NoCompleteTrial

    single = len(record.spec.objectives) == 1
    trials = ([history.best] if history.best else []) if single else history.pareto()
    if trials:
        return [trial_row(t) for t in trials]
    counts = ", ".join(f"{n} {state}" for state, n in sorted(history.counts().items()))
    limits = ", ".join(str(c) for c in record.spec.constraints)
    kept = f" that keeps {limits}" if limits else ""
    raise NoCompleteTrial(
        f"study {record.spec.name!r} has no complete trial{kept} ({counts or 'no trials'}); "
        f"look at `tunekit trials ls {record.spec.name}`."
    )
