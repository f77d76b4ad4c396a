"""`tunekit demo`: tune a real pipeline immediately, without a file, a network or an account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tunekit.cli.command import terminal
from tunekit.cli.options import Format, OneFormat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunekit.spaces import Params
    from tunekit.studies.study import Study

NAME = "demo"
URL = "sqlite:///tunekit-demo.db"
SEED = 1
N_SHARES = 6


def demo(
    trials: Annotated[
        int, typer.Option("-n", "--trials", min=1, help="Total number of trials.")
    ] = 60,
    workers: Annotated[int, typer.Option("--workers", "-w", min=1, help="Trials at once.")] = 2,
    storage: Annotated[
        str, typer.Option("--storage", metavar="URL", help="Where to store the study.")
    ] = URL,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Delete the demo of an earlier run first.")
    ] = False,
    form: OneFormat = Format.TABLE,
) -> None:
    """Tune a scikit-learn pipeline: preprocessing, model, and their parameters.

    Interrupt or kill it, then start it again: it resumes where it stopped.
    """
    import os
    from pathlib import Path

    from tunekit.cli.demo_pipeline import objective
    from tunekit.cli.demo_table import make_demo_progress

    study = _opened(storage, fresh=fresh)
    # Workers that all use every core would slow each other down.
    resources = {"cpu": 1.0} if workers <= (os.cpu_count() or 1) else {}
    recipe = {
        "objective": "tunekit.cli.demo_pipeline:objective",
        "space": "tunekit.cli.demo_pipeline:SPACE",
        "trials": trials,
        "workers": workers,
        "resources": resources,
    }
    study.set_user_attr("run", {"folder": str(Path.cwd()), "settings": recipe})
    ending = study.optimize(
        objective,
        total_trials=trials,
        workers=workers,
        executor="process",
        resources=resources,
        progress=make_demo_progress(quiet=terminal.quiet) or False,
    )
    raise typer.Exit(_conclude(study, ending, storage, form))


def _opened(storage: str, *, fresh: bool) -> Study:
    """Return the study, with the default configuration as its first trial."""
    from importlib.util import find_spec

    from tunekit.api import study as open_study
    from tunekit.cli.demo_pipeline import METRIC, SPACE
    from tunekit.errors import MissingExtra, UnknownStudy
    from tunekit.storages.urls import open_storage

    if find_spec("sklearn") is None:
        raise MissingExtra("sklearn", "The demo")
    opened = open_storage(storage)
    if fresh:
        try:
            opened.delete_study(NAME)
        except UnknownStudy:
            pass  # there is nothing to delete
    study = open_study(
        NAME, space=SPACE, objectives={METRIC: "minimize"}, storage=opened, seed=SEED
    )
    n_before = len(study.refresh())
    if n_before:
        terminal.print_line(f"{NAME}: goes on after {study.history.n_finished} finished trials.")
    else:
        terminal.print_line(
            f"{NAME}: which preprocessing and which model read handwritten digits best? The first "
            "trial is the default configuration."
        )
        study.enqueue_trial(SPACE.default())
    return study


def _conclude(study: Study, ending: str, storage: str, form: Format) -> int:
    """Print what was found; return the exit status."""
    from tunekit.cli.output import emit_one
    from tunekit.cli.stores import storage_flag
    from tunekit.cli.studies import best_rows
    from tunekit.shown import shown_url

    best = best_rows(study.record(), study.refresh())[0]
    shares = _importance(study)
    if form is not Format.TABLE:
        default = study.history.get(0)
        result = {
            "ending": ending,
            "best": best,
            "default": dict(default.metrics) if default is not None else {},
            "importance": shares,
            "storage": shown_url(storage),
        }
        emit_one("demo", result, form)
        return 0
    typer.echo(f"\nbest configuration (trial {best['number']}):")
    for line in [f"  {line}" for line in nested_lines(study.best_params)]:
        typer.echo(line)
    for line in improvement_lines(study):
        typer.echo(f"\n{line}")
    if shares:
        typer.echo("\nwhat mattered:")
    for path, share in list(shares.items())[:N_SHARES]:
        if share < 0.005:  # negligible, or active too rarely to judge
            break
        typer.echo(f"  {share:4.0%}  {'#' * round(30 * share):30}  {path}")
    typer.echo(f"\nopen it again:  tunekit studies show {NAME}{storage_flag(storage)}")
    return 0


def _importance(study: Study) -> dict[str, float]:
    """Return path -> importance, the largest first; empty if unknown."""
    from tunekit.errors import TunekitError

    try:
        from tunekit.analysis.importance import importance

        shares = importance(study.refresh(), study.space)
    except TunekitError as error:  # too few trials, or the extra is not installed
        terminal.print_line(f"importance: {error.message}")
        return {}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def improvement_lines(study: Study) -> Sequence[str]:
    """Return the improvement of the best trial over the default configuration, trial 0."""
    default, best = study.history.get(0), study.history.best
    metric = study.objectives[0].metric
    if default is None or best is None or metric not in default.metrics:
        return ()
    was, now = default.metrics[metric], best.metrics[metric]
    gain = f"{(was - now) / was:.0%} less" if was > 0 else "no less"
    return (f"error: {was:.4f} with the defaults, {now:.4f} with the best: {gain}",)


def nested_lines(params: Params) -> list[str]:
    """Return a point as an indented tree, one line per parameter."""
    return _tree(params.nested())


def _tree(node: object, indent: int = 0) -> list[str]:
    from tunekit.cli.output import text

    pad = "  " * indent
    pairs = node.items() if isinstance(node, dict) else enumerate(node)  # type: ignore[arg-type]
    lines = []
    for name, value in pairs:
        if isinstance(value, dict | list):
            lines.append(f"{pad}{name}")
            lines += _tree(value, indent + 1)
        else:
            lines.append(f"{pad}{name} = {text(value)}")
    return lines
