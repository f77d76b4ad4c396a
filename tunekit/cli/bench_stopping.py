"""`tunekit bench stopping`: find the best stopper for the curves of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tunekit.cli.command import terminal
from tunekit.cli.options import ListFormat, ManyFormat, Name, Storage

if TYPE_CHECKING:
    from tunekit.records import ObjectiveSpec
    from tunekit.studies.study import Study

COLUMNS = ("rule", "slots", "speed_up", "kept", "loss_percent")


def stopping(
    name: Name,
    storage: Storage = None,
    metric: Annotated[
        str | None, typer.Option("--metric", help="Objective. Default: the first one.")
    ] = None,
    streams: Annotated[
        int, typer.Option("--streams", min=2, help="Random orders of the runs.")
    ] = 48,
    slots: Annotated[
        list[int] | None,
        typer.Option("--workers", "-w", min=1, help="Runs at a time. Repeatable."),
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option("--rule", metavar="START", help="Rules whose names begin so. Repeatable."),
    ] = None,
    form: ManyFormat = ListFormat.TABLE,
) -> None:
    """Replay the complete trials of a study under each stopper, and those of Optuna and Ray.

    It shows how many reports each rule would have saved, and how often it would have kept the
    best run. Two thirds of the runs make up a stream; with few runs, or runs that a stopper has
    left over, the figures are rough.
    """
    import warnings

    from tunekit.api import load_study
    from tunekit.bench.stopping import compared, whole_curves
    from tunekit.bench.stopping_rules import rules
    from tunekit.cli.output import emit_list
    from tunekit.cli.stores import open_existing
    from tunekit.errors import InvalidArgument
    from tunekit.records import TrialState

    study = load_study(name, storage=open_existing(storage))
    objective = _objective(study, metric)
    complete = study.get_trials(states=[TrialState.COMPLETE])
    curves = whole_curves(complete, study.reports(), objective)
    made = rules(curves.shape[1])
    if rule:
        made = {label: each for label, each in made.items() if label.startswith(tuple(rule))}
    if not made:
        raise InvalidArgument(f"no rule begins with {' or '.join(rule or ())}.")
    n_runs = max(2, 2 * len(curves) // 3)
    terminal.print_line(
        f"{len(curves)} curves of {curves.shape[1]} reports, {streams} streams of {n_runs}"
    )
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the peers, on curves of NaN
        for o in compared(
            made, [curves], n_streams=streams, n_runs=n_runs, slots=tuple(slots or (1,))
        ):
            shown = {"kept": f"{o.n_kept}/{o.n_streams}"}
            shown["loss_percent"] = f"{100 * o.loss:.3g} +- {100 * o.error:.2g}"
            rows.append({**o.to_dict(), **shown, "speed_up": round(o.speed_up, 2)})
            terminal.print_line(f"{len(rows)}/{len(made) * len(slots or (1,))} {o.rule}")
    rows.sort(key=lambda row: (row["slots"], -row["speed_up"]))
    emit_list("rules", rows, form, columns=COLUMNS)


def _objective(study: Study, metric: str | None) -> ObjectiveSpec:
    from tunekit.errors import InvalidArgument, did_you_mean

    objectives = {o.metric: o for o in study.objectives}
    if metric is not None and metric not in objectives:
        raise InvalidArgument(
            f"--metric {metric}{did_you_mean(metric, objectives)}: expected one of the "
            f"objectives {', '.join(objectives)}."
        )
    return objectives[metric or next(iter(objectives))]
