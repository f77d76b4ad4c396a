"""`tunekit worker`: runs trials of a service's studies on this machine."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from tunekit.cli.command import terminal
from tunekit.cli.options import Devices, Executor, Grace, Memory, Resources, TrialTimeout, Workers
from tunekit.cli.run import COMMAND_HELP

URL = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="http://host:port/project of a service, or any storage. Default: $TUNEKIT_URL.",
    ),
]


def worker(
    words: Annotated[
        list[str], typer.Argument(metavar="OBJECTIVE | -- PROGRAM...", help=COMMAND_HELP)
    ],
    url: URL = None,
    study: Annotated[
        str | None, typer.Option("--study", metavar="NAME", help="Pull trials of this study.")
    ] = None,
    project: Annotated[
        bool, typer.Option("--project", help="Pull trials of all studies of the project.")
    ] = False,
    n_trials: Annotated[
        int | None, typer.Option("--n-trials", "-n", min=1, help="Trials to start, then end.")
    ] = None,
    workers: Workers = None,
    executor: Executor = "process",
    trial_timeout: TrialTimeout = None,
    memory: Memory = None,
    resources: Resources = None,
    devices: Devices = None,
    checkpoints: Annotated[
        str | None,
        typer.Option(
            "--checkpoints",
            metavar="PLACE",
            help="Folder or URI of the trials' checkpoints, which all workers reach.",
        ),
    ] = None,
    grace: Grace = None,
    equal_failures: Annotated[
        int,
        typer.Option(
            "--equal-failures", min=1, help="Equal failures in a row that end this worker."
        ),
    ] = 3,
) -> None:
    """Pull trials of a study, or of all studies of a project, and run them here.

    The studies exist already; their samplers and stoppers decide what runs and what ends early.
    OBJECTIVE and PROGRAM are as for `tunekit run`. A worker of one study ends with it; one of a
    project goes on, studies in fair turns, and takes up new ones.

    SIGTERM or Ctrl-C once finishes the running trials (for --grace at most), twice gives them
    back, to go on elsewhere from their checkpoints. The exit status is 8 if the worker
    quarantined itself because its trials kept failing for the same cause.
    """
    from tunekit.checks import seconds
    from tunekit.cli.pulling import PullingWorker
    from tunekit.cli.quarantine import WorkerQuarantine
    from tunekit.cli.run import amounts, what_to_run
    from tunekit.cli.runner import executor_of, objective_of
    from tunekit.cli.settings import validated
    from tunekit.cli.stores import url_of
    from tunekit.errors import InvalidArgument
    from tunekit.storages.urls import open_storage

    if (study is None) != project:
        raise InvalidArgument(
            "expected one of --study NAME and --project, which pulls from all studies; give one."
        )
    flags: dict[str, Any] = {
        "executor": executor,
        "workers": workers,
        "trial_timeout": trial_timeout,
        "memory": memory,
        "resources": amounts(resources),
        "devices": devices.split(",") if devices else None,
        **what_to_run(words),
    }
    given = {key: value for key, value in flags.items() if value not in (None, {})}
    settings = validated(given, source="tunekit worker")
    folder = Path.cwd()
    puller = PullingWorker(
        open_storage(url_of(url), must_exist=True),
        executor_of(settings),
        lambda study: objective_of(settings, study.space, folder),
        study=study,
        checkpoints=checkpoints,
        n_trials=n_trials,
        quarantine=WorkerQuarantine(equal_failures),
        grace_s=math.inf if grace is None else seconds(grace) or 0.0,
        say=terminal.print_line,
    )
    was_told = puller.run()
    how = "told to stop; nothing runs here any more" if was_told else "done"
    terminal.print_line(f"{how}: {puller.n_ended} trials ended here.")
