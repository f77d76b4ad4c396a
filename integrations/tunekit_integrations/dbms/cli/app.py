"""`tunekit knobs`: tune, check, apply and roll back the knobs of a database server, and report."""

from __future__ import annotations

import typer

from tunekit.cli.command import command
from tunekit_integrations.dbms.cli import changes, report, rollback, tune

app = typer.Typer(
    help="Tune the knobs of a database server, with a verdict and a way back.",
    no_args_is_help=True,
    rich_help_panel="Start here",
)
command(app, "tune")(tune.tune)
command(app, "check")(changes.check)
command(app, "apply")(changes.apply)
command(app, "rollback")(rollback.rollback)
command(app, "report")(report.report)
