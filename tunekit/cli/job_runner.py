"""`tunekit runner`: runs submitted jobs on this machine or cluster."""

from __future__ import annotations

from typing import Annotated

import typer

from tunekit.cli.command import terminal
from tunekit.cli.options import Devices, Executor, Grace, Memory, Resources, TrialTimeout
from tunekit.cli.worker import URL


def runner(
    allow: Annotated[
        list[str],
        typer.Option("--allow", metavar="FOLDER", help="Run what lies below it. Repeatable."),
    ],
    url: URL = None,
    executor: Executor = "process",
    slots: Annotated[
        int | None, typer.Option("--slots", min=1, help="Number of parallel trials of all jobs.")
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option("--ray-address", help="host:port of the Ray cluster.")
    ] = None,
    quota: Annotated[
        list[str] | None,
        typer.Option("--quota", metavar="OWNER=SLOTS", help="Of all jobs of one. Repeatable."),
    ] = None,
    resources: Resources = None,
    devices: Devices = None,
    trial_timeout: TrialTimeout = None,
    memory: Memory = None,
    grace: Grace = None,
) -> None:
    """Run the jobs that `tunekit submit` queues, in fair shares, until SIGTERM.

    Only programs and functions below the allowed folders run, after all links are resolved;
    another job fails with the reason. Slots go to the jobs by weight, to those of a higher
    priority first, and to all jobs of an owner no more than its quota.

    SIGTERM or Ctrl-C once finishes the running trials (for --grace at most), twice gives them
    back; jobs that have not ended go back to the queue. Its token needs the role editor, because
    it creates the studies.
    """
    import math

    from tunekit.checks import seconds
    from tunekit.cli.allowed import AllowedFolders
    from tunekit.cli.job_running import JobRunner
    from tunekit.cli.quotas import limits_by_owner
    from tunekit.cli.run import amounts
    from tunekit.cli.runner import executor_of
    from tunekit.cli.settings import RunSettings
    from tunekit.cli.stores import url_of
    from tunekit.storages.http.jobs import open_service

    allowed = AllowedFolders(allow)
    limits = limits_by_owner(quota or [], flag="--quota")
    given = {
        "executor": executor, "workers": slots, "ray_address": ray_address,
        "resources": amounts(resources), "devices": devices.split(",") if devices else None,
        "trial_timeout": trial_timeout, "memory": memory,
    }  # fmt: skip
    settings = RunSettings.model_validate({k: v for k, v in given.items() if v is not None})
    storage, jobs = open_service(url_of(url))
    job_runner = JobRunner(
        storage, jobs, executor_of(settings), allowed,
        quotas={owner: n for owner, n in limits.items() if n is not None},
        grace_s=math.inf if grace is None else seconds(grace) or 0.0,
        say=terminal.print_line,
    )  # fmt: skip
    terminal.print_line(f"running jobs below {', '.join(map(str, allowed.folders))}")
    try:
        job_runner.run()
    finally:
        storage.close()
