"""`tunekit knobs tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tunekit.cli.command import terminal
from tunekit.cli.options import Format, OneFormat, Storage
from tunekit_integrations.dbms.cli.flags import Opened, Restart, Target, TargetOptions


def tune(
    target: Target,
    workload: Annotated[
        str,
        typer.Option(
            "--workload", "-w", help="tpch:0.1, pgbench, sysbench, shop, or a .sql file."
        ),
    ],
    trials: Annotated[int, typer.Option("--trials", "-n", min=1, help="Of the whole study.")] = 20,
    name: Annotated[str | None, typer.Option("--name", help="Of the study.")] = None,
    knob: Annotated[
        list[str] | None, typer.Option("--knob", metavar="KNOB", help="Search only these.")
    ] = None,
    tier: Annotated[int, typer.Option("--tier", min=1, help="Search knobs up to it.")] = 1,
    opened: Opened = None,
    restart: Restart = None,
    clients: Annotated[int | None, typer.Option("--clients", min=1, help="Sessions.")] = None,
    slice_s: Annotated[float, typer.Option("--slice", metavar="SECONDS", help="Of a turn.")] = 1.5,
    sampler: Annotated[str, typer.Option("--sampler", help="Short name.")] = "auto",
    llm: Annotated[
        str | None, typer.Option("--llm", metavar="MODEL", help="Ask a language model, too.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the report there.")
    ] = None,
    target_option: TargetOptions = None,
    storage: Storage = None,
    form: OneFormat = Format.TABLE,
) -> None:
    """Search the knobs of a server, then measure the best candidates again and judge them.

    The server ends with its own configuration, whatever happens; `apply` is another step. On a
    server that runs already nothing is restarted unless --restart says how.
    """
    from tunekit.cli.stores import url_of
    from tunekit_integrations.dbms.cli.failures import failures_told
    from tunekit_integrations.dbms.cli.report import show
    from tunekit_integrations.dbms.cli.targets import close, open_target, open_workload
    from tunekit_integrations.dbms.protocol_options import ProtocolOptions
    from tunekit_integrations.dbms.tuning import tune_knobs

    work = open_workload(workload, clients)
    advice: dict[str, Any] | None = None if llm is None else {"model": llm}
    options = ProtocolOptions(slice_s=slice_s)
    with failures_told():
        kind, server = open_target(
            target, target_option, restart, opened=opened or [], clients=work.clients
        )
        try:
            found = tune_knobs(
                server, work, n_trials=trials, storage=url_of(storage), name=name, kind=kind,
                only=knob or (), opened=opened or (), max_tier=tier, sampler=sampler, llm=advice,
                options=options, seed=seed, said=terminal.print_line,
            )  # fmt: skip
        finally:
            close(server)
    show(found.study.storage, found.study.name, html, form)
    if found.settings:
        terminal.print_line(f"to apply it: tunekit knobs apply TARGET --study {found.study.name}")
