"""`tunekit trials`: list, show, enqueue, retry and stop trials."""

from __future__ import annotations

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
    from tunekit.records import Report, TrialRecord

app = typer.Typer(help="Trials: ls, show, enqueue, retry, stop.", no_args_is_help=True)

TABLE_ROWS = 50
"""Default number of trials in a table, the latest ones."""

Number = Annotated[int, typer.Argument(min=0, help="Number of the trial.")]


@command(app, "ls")
def ls(
    name: Name,
    storage: Storage = None,
    state: Annotated[
        list[str] | None, typer.Option("--state", help="Only these states, e.g. failed.")
    ] = None,
    form: ManyFormat = ListFormat.TABLE,
    fields: Fields = None,
    limit: Limit = None,
) -> None:
    """List the trials of a study by number; with --limit, the latest."""
    from tunekit.cli.output import emit_list, params_text
    from tunekit.cli.stores import open_existing, read_study

    record, history = read_study(open_existing(storage), name)
    wanted = _states(state)
    trials = [t for t in history if not wanted or t.state in wanted]
    if limit is None and form is ListFormat.TABLE:
        limit = TABLE_ROWS
    shown = trials[-limit:] if limit else trials
    rows = [trial_record(t) for t in shown]
    metrics = [o.metric for o in record.spec.objectives]
    columns = ["number", "state", *metrics, "params", "duration_s", "end_reason"]
    if form is ListFormat.TABLE and fields is None:
        rows = [{**row, **row["metrics"], "params": params_text(row["params"])} for row in rows]
    emit_list("trials", rows, form, columns=columns, fields=fields)
    if len(shown) < len(trials):
        terminal.print_line(
            f"the latest {len(shown)} of {len(trials)} trials; --limit 0 shows all."
        )


@command(app, "show")
def show(
    name: Name,
    number: Number,
    storage: Storage = None,
    form: OneFormat = Format.TABLE,
) -> None:
    """Show one trial: its proposal and reason, its reports, its result."""
    from tunekit.cli.output import emit_one
    from tunekit.cli.stores import open_existing, read_study
    from tunekit.errors import UnknownTrial

    opened = open_existing(storage)
    record, history = read_study(opened, name)
    trial = history.get(number)
    if trial is None:
        raise UnknownTrial(
            f"no trial {number} in study {name!r}, which has {len(history)} trials numbered from "
            f"0; list them with `tunekit trials ls {name}`."
        )
    reports = opened.reports(record.id, [number]).get(number, ())
    details = {
        **trial_record(trial),
        "worker": trial.worker,
        "evidence": dict(trial.evidence),
        "stop_evidence": dict(trial.stop_evidence),
        "checkpoints": [c.step for c in trial.checkpoints],
        "reports": [_report(r, form) for r in reports],
    }
    emit_one("trial", details if form is not Format.TABLE else {**details, "error": None}, form)
    if form is Format.TABLE and trial.error:
        from tunekit.shown import printable

        typer.echo(printable(trial.error.rstrip()))


@command(app, "enqueue")
def enqueue(
    name: Name,
    params: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PARAM=VALUE...",
            help="For example model=svm C=10; the sampler proposes the rest.",
        ),
    ] = None,
    default: Annotated[
        bool, typer.Option("--default", help="Use the default for every other parameter.")
    ] = False,
    storage: Storage = None,
) -> None:
    """Enqueue a point before new proposals, and print its trial number."""
    from tunekit.api import load_study
    from tunekit.cli.stores import open_existing
    from tunekit.errors import InvalidArgument

    point = dict(_assignment(text) for text in params or ())
    if not point and not default:
        raise InvalidArgument("enqueue: no values given; give PARAM=VALUE, or --default.")
    study = load_study(name, storage=open_existing(storage))
    if default:
        point = dict(study.space.complete(point))
    typer.echo(study.enqueue_trial(point))


@command(app, "retry")
def retry(
    name: Name,
    numbers: Annotated[list[int], typer.Argument(min=0, help="Numbers of ended trials.")],
    from_checkpoint: Annotated[
        bool, typer.Option("--from-checkpoint", help="Go on from the last checkpoint of each.")
    ] = False,
    storage: Storage = None,
) -> None:
    """Run the points of ended trials again, and print the numbers of the new trials."""
    from tunekit.api import load_study
    from tunekit.cli.stores import open_existing

    study = load_study(name, storage=open_existing(storage))
    for number in numbers:
        typer.echo(study.retry_trial(number, from_checkpoint=from_checkpoint))


@command(app, "stop")
def stop(
    name: Name,
    number: Number,
    storage: Storage = None,
    reason: Annotated[str, typer.Option("--reason", help="Stored with the trial.")] = "",
) -> None:
    """End one unfinished trial as CANCELLED; its worker notices within seconds."""
    from tunekit.cli.stores import open_existing

    opened = open_existing(storage)
    record = opened.get_study(name)
    said = reason or "stopped by the user"
    if opened.cancel_trial(record.id, number, said):
        terminal.print_line(f"trial {number} is cancelled.")
    else:
        terminal.print_line(f"trial {number} had ended already; nothing is changed.")


def trial_record(trial: TrialRecord) -> dict[str, Any]:
    """Return a trial with the documented keys of the JSON format."""
    from tunekit.cli.output import moment

    return {
        "number": trial.number,
        "state": str(trial.state),
        "metrics": dict(trial.metrics),
        "params": dict(trial.params or {}),
        "sampler": trial.sampler,
        "reason": trial.reason,
        "end_reason": trial.end_reason,
        "error": trial.error,
        "branch": None
        if trial.branch is None
        else {"number": trial.branch.number, "step": trial.branch.step},
        "user_attrs": dict(trial.user_attrs),
        "duration_s": trial.duration_s,
        "created": moment(trial.created),
        "started": moment(trial.started),
        "finished": moment(trial.finished),
    }


def _report(report: Report, form: Format) -> Any:
    if form is Format.TABLE:
        values = " ".join(f"{k}={v:.6g}" for k, v in report.metrics.items())
        return f"step {report.step}: {values}"
    return {"step": report.step, "metrics": dict(report.metrics)}


def _states(given: list[str] | None) -> set[str]:
    from tunekit.errors import InvalidArgument, did_you_mean
    from tunekit.records import TrialState

    known = [s.value for s in TrialState]
    for state in given or ():
        if state.lower() not in known:
            raise InvalidArgument(
                f'--state: unknown state "{state}"{did_you_mean(state.lower(), known)}; expected '
                f"{', '.join(known)}."
            )
    return {state.lower() for state in given or ()}


def _assignment(text: str) -> tuple[str, object]:
    """Split `name=value`; the value is read as JSON if it parses, else as text."""
    from tunekit.cli.space_edits import read_value
    from tunekit.errors import InvalidArgument

    name, found, value = text.partition("=")
    if not found or not name:
        raise InvalidArgument(f'enqueue: "{text}", expected PARAM=VALUE, for example lr=0.01.')
    return name, read_value(value)
