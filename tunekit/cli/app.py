"""Builds the tree of commands from modules that import only Typer and light parts of tunekit."""

from __future__ import annotations

from typing import Annotated

import typer

from tunekit.cli import (
    audit,
    bench,
    certificates,
    completion,
    control,
    dashboard,
    database,
    demo,
    doctor,
    init,
    job_runner,
    jobs,
    login,
    mcp,
    projects,
    run,
    scales,
    scaling,
    serve,
    share_links,
    space_edits,
    studies,
    study_labels,
    tokens,
    trials,
    tuning_pairs,
    users,
    worker,
)
from tunekit.cli.command import command
from tunekit.cli.plugged import PluggedGroup

app = typer.Typer(
    cls=PluggedGroup,
    help="Tune hyperparameters and configurations over tree-structured search spaces.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(value: bool) -> None:
    if value:
        from tunekit import __version__

        typer.echo(f"tunekit {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Tune hyperparameters and configurations over tree-structured search spaces."""


command(app, "demo", rich_help_panel="Start here")(demo.demo)
command(app, "init", rich_help_panel="Start here")(init.init)
command(app, "run", rich_help_panel="Start here")(run.run)
command(app, "dashboard", rich_help_panel="Start here")(dashboard.dashboard)
command(app, "serve", rich_help_panel="Teams")(serve.serve)
app.add_typer(database.app, name="db", rich_help_panel="Teams")
command(app, "login", rich_help_panel="Teams")(login.login)
command(app, "whoami", rich_help_panel="Teams")(login.whoami)
app.add_typer(projects.app, name="project", rich_help_panel="Teams")
app.add_typer(share_links.app, name="share", rich_help_panel="Teams")
command(app, "audit", rich_help_panel="Teams")(audit.audit)
app.add_typer(tokens.app, name="token", rich_help_panel="Teams")
app.add_typer(users.app, name="user", rich_help_panel="Teams")
command(app, "worker", rich_help_panel="Teams")(worker.worker)
command(app, "mcp", rich_help_panel="Teams")(mcp.mcp)
command(app, "submit", rich_help_panel="Teams")(jobs.submit)
app.add_typer(jobs.app, name="jobs", rich_help_panel="Teams")
command(app, "runner", rich_help_panel="Teams")(job_runner.runner)
app.add_typer(studies.app, name="studies", rich_help_panel="Results")
study_labels.add_to(studies.app)
space_edits.add_to(studies.app)
certificates.add_to(studies.app)
tuning_pairs.add_to(studies.app)
app.add_typer(trials.app, name="trials", rich_help_panel="Results")
app.add_typer(bench.app, name="bench", rich_help_panel="Results")
scales.add_to(scaling.app)
app.add_typer(scaling.app, name="scaling", rich_help_panel="Results")
command(app, "resume", rich_help_panel=control.PANEL)(run.resume)
control.add_to(app)
command(app, "doctor", rich_help_panel="This installation")(doctor.doctor)
app.add_typer(completion.app, name="completion", rich_help_panel="This installation")
