"""`tunekit bench`: find the best sampler for a problem."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunekit.cli.bench_stopping import stopping
from tunekit.cli.command import FAILED, command, guarded, terminal
from tunekit.cli.options import ListFormat, ManyFormat
from tunekit.errors import InvalidArgument

if TYPE_CHECKING:
    from tunekit.bench.contenders import Contender
    from tunekit.bench.report import ComparisonReport
    from tunekit.records import ObjectiveSpec

app = typer.Typer(
    help="Which sampler is the best for my problem? Compare them under equal budgets.",
    no_args_is_help=True,
)

COLUMNS = (
    "family",
    "contender",
    "runs",
    "auc",
    "final",
    "share",
    "rank_auc",
    "rank_final",
    "cpu_ms",
    "p95",
)
DIFFERENCE_COLUMNS = ("family", "contender", "against", "pairs", "auc", "final")
COST_COLUMNS = (
    "space",
    "contender",
    "n",
    "cpu_ms_median",
    "cpu_ms_p95",
    "cpu_ms_max",
    "max_by_median",
    "first_ms",
)

Samplers = Annotated[
    list[str] | None,
    typer.Option(
        "--sampler",
        metavar="NAME[:OPTION=A|B]",
        help="Of tunekit; | separates values, one contender each. Repeatable.",
    ),
]
Peers = Annotated[
    list[str] | None,
    typer.Option(
        "--peer",
        metavar="NAME[+default][:OPTION=A|B]",
        help="Other library, e.g. optuna-tpe; +default starts at the default. Repeatable.",
    ),
]


def bench(
    ctx: typer.Context,
    suite: Annotated[
        list[str] | None,
        typer.Option(
            "--suite", metavar="NAME[:OPTION=VALUE]", help="`bench ls` lists them. Repeatable."
        ),
    ] = None,
    problem: Annotated[
        list[str] | None,
        typer.Option(
            "--problem",
            metavar="MODULE:NAME",
            help="A Problem, a function that returns problems, or, with --space, an objective; "
            "as file.py:name or an entry point. Repeatable.",
        ),
    ] = None,
    space: Annotated[
        str | None, typer.Option("--space", help="Search space, if --problem is an objective.")
    ] = None,
    minimize: Annotated[
        str | None, typer.Option("--minimize", metavar="METRIC", help="Metric of the objective.")
    ] = None,
    maximize: Annotated[
        str | None, typer.Option("--maximize", metavar="METRIC", help="Metric of the objective.")
    ] = None,
    sampler: Samplers = None,
    peer: Peers = None,
    trials: Annotated[int, typer.Option("-n", "--trials", min=1, help="Trials per run.")] = 40,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Runs with different seeds.")] = 5,
    seed: Annotated[int, typer.Option("--seed", min=0, help="First of the seeds.")] = 0,
    suite_seed: Annotated[
        list[int] | None,
        typer.Option("--suite-seed", min=0, help="Seed of the instances. Repeatable."),
    ] = None,
    workers: Annotated[
        list[int] | None,
        typer.Option("--workers", "-w", min=1, help="Simulated workers. Repeatable."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="PATTERN", help="Problem names: 'trees/*'."),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes at once.")] = 1,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Results; a rerun resumes there.")
    ] = Path("bench-results"),
    pools: Annotated[
        Path | None,
        typer.Option(
            "--pools", metavar="DIR", help="Cache of random points. Default: pools in --out."
        ),
    ] = None,
    pool_size: Annotated[
        int | None,
        typer.Option(
            "--pool-size", min=2, help="Random points that define regret 1; 300 of an objective."
        ),
    ] = None,
    yahpo_data: Annotated[
        Path | None,
        typer.Option("--yahpo-data", metavar="DIR", help="Data folder of the suite yahpo."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="CONTENDER",
            help="Also print paired differences from it, +- standard error.",
        ),
    ] = None,
    params: Annotated[
        bool, typer.Option("--params", help="Also store all params, and count the choices tried.")
    ] = False,
    form: ManyFormat = ListFormat.TABLE,
) -> None:
    """Compare samplers on problems: regret 0 is the best known, 1 is median random search.

    --out stores every finished run; after an interrupt, repeat the command to resume. Use another
    folder after changing a sampler or a problem.
    """
    if ctx.invoked_subcommand is not None:
        return
    from tunekit.bench.differences import check_against
    from tunekit.bench.report import ComparisonReport
    from tunekit.bench.runner import ComparisonPlan, run
    from tunekit.cli.bench_problems import Named

    contenders, left_out = _present(_contenders(sampler, peer))
    named = Named(
        suite or [],
        problem or [],
        seeds=suite_seed or [0],
        folder=str(Path.cwd()),
        yahpo_data=yahpo_data,
        only=only or [],
        space=space,
        objectives=_objectives(minimize, maximize),
    )
    plan = ComparisonPlan(
        named.sources(),
        tuple(contenders),
        tuple(range(seed, seed + seeds)),
        n_trials=trials,
        workers=tuple(workers or [1]),
        keep_params=params,
        n_pool=pool_size,
    )
    if against is not None:
        check_against(against, [c.label for c in contenders])
    _leave_on_sigterm()
    outcome = run(plan, out, jobs=jobs, pools=pools, listen=_say_progress)
    report = ComparisonReport(plan, outcome, _command_line(ctx), left_out, against)
    raise typer.Exit(_conclude(report, out, form))


app.callback(invoke_without_command=True)(guarded(bench))
command(app, "stopping")(stopping)


def _objectives(minimize: str | None, maximize: str | None) -> tuple[ObjectiveSpec, ...]:
    from tunekit.records import ObjectiveSpec

    if minimize is not None and maximize is not None:
        raise InvalidArgument(
            "--minimize and --maximize are both given; give one, since regret uses one metric."
        )
    if maximize is not None:
        return (ObjectiveSpec(maximize, "maximize"),)
    return () if minimize is None else (ObjectiveSpec(minimize),)


def _contenders(samplers: list[str] | None, peers: list[str] | None) -> list[Contender]:
    from tunekit.bench.contenders import parse_contenders

    found = [c for text in samplers or [] for c in parse_contenders(text, "sampler")]
    return found + [c for text in peers or [] for c in parse_contenders(text, "peer")]


def _present(contenders: list[Contender]) -> tuple[list[Contender], dict[str, str]]:
    """Return the contenders with installed packages, and the reason for each missing one.

    Raises:
        InvalidArgument: unknown sampler or peer, or unknown sampler options.
        MissingExtra: no contender is left.
    """
    from tunekit.bench.peers.base import check_contender
    from tunekit.errors import MissingExtra

    present: list[Contender] = []
    left_out: dict[str, str] = {}
    for contender in contenders:
        try:
            check_contender(contender)
            present.append(contender)
        except MissingExtra as error:
            if len(left_out) + 1 == len(contenders):
                raise
            left_out[contender.label] = error.message
    return present, left_out


def _command_line(ctx: typer.Context) -> str:
    """Return the command line with all flags that differ from their defaults."""
    words = ["tunekit", "bench"]
    for parameter in ctx.command.params:
        value = ctx.params.get(str(parameter.name))
        if value in (None, False, [], ()) or value == parameter.default:
            continue
        for each in value if isinstance(value, list | tuple) else [value]:
            flag = max(parameter.opts, key=len)
            words += [flag] if each is True else [flag, str(each)]
    return shlex.join(words)


def _leave_on_sigterm() -> None:
    """Make SIGTERM unwind this process so that it ends its workers, like Ctrl-C."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def _say_progress(what: str, n: int, total: int) -> None:
    terminal.print_line(f"{n}/{total} {what}")


def _conclude(report: ComparisonReport, folder: Path, form: ListFormat) -> int:
    """Write the files, print the standings, and return the exit status."""
    from tunekit.bench.report import shown
    from tunekit.cli.output import emit_list

    tables = report.tables()
    written = report.write(folder)
    rows = tables.get("standings", [])
    if form is ListFormat.TABLE:
        rows = [shown(row) for row in rows]
    columns = [name for name in COLUMNS if name != "share" or any(name in row for row in rows)]
    emit_list("standings", rows, form, columns=columns)
    if form is ListFormat.TABLE and report.against is not None:
        _print_differences(tables.get("differences", []))
    if form is ListFormat.TABLE and "settings" in tables:
        typer.echo()
        settings = tables["settings"]
        emit_list("settings", settings, form, columns=list(settings[0]))
    for row in tables.get("left_out", []):
        terminal.print_line(f"{row['contender']}: {row['runs']} runs have no result: {row['why']}")
    terminal.print_line(f"in {folder}: {', '.join(path.name for path in written)}")
    return FAILED if report.outcome.errors else 0


def _print_differences(rows: list[dict[str, Any]]) -> None:
    from tunekit.bench.differences import shown_difference
    from tunekit.cli.output import emit_list

    typer.echo()
    shown = [shown_difference(row) for row in rows]
    emit_list("differences", shown, ListFormat.TABLE, columns=DIFFERENCE_COLUMNS)


@command(app, "ls")
def ls(form: ManyFormat = ListFormat.TABLE) -> None:
    """List the suites, samplers and peers, with any missing packages."""
    from tunekit.bench.peers.base import PEERS, lacking
    from tunekit.bench.suites import SUITES
    from tunekit.cli.output import emit_list
    from tunekit.registry import names

    rows = [{"kind": "suite", "name": name, "missing": ""} for name in SUITES]
    rows += [
        {"kind": "sampler", "name": name, "missing": lacking(name)} for name in names("sampler")
    ]
    rows += [
        {"kind": "peer", "name": name, "missing": peer.missing()} for name, peer in PEERS.items()
    ]
    columns = ("kind", "name", "missing")
    emit_list("parts", rows, form, columns=columns)


@command(app, "cost")
def cost(
    sampler: Samplers = None,
    peer: Peers = None,
    n: Annotated[
        list[int] | None,
        typer.Option("-n", min=1, help="Past trials. Default: 100, 500, 1000."),
    ] = None,
    space: Annotated[
        list[str] | None, typer.Option("--space", help="flat-10d or tree-200. Default: both.")
    ] = None,
    repeats: Annotated[int, typer.Option("--repeats", min=2, help="Suggestions to time.")] = 10,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes at once.")] = 1,
    form: ManyFormat = ListFormat.TABLE,
) -> None:
    """Measure the CPU milliseconds of one suggestion after n random trials, on one thread."""
    from tunekit.bench.cost import PROBLEMS, CostTask
    from tunekit.bench.workforce import perform
    from tunekit.cli.output import emit_list

    contenders, left_out = _present(_contenders(sampler, peer))
    if unknown := [name for name in space or [] if name not in PROBLEMS]:
        raise InvalidArgument(f"--space {unknown[0]}: expected {' or '.join(PROBLEMS)}.")
    tasks = [
        CostTask(contender, name, k, repeats)
        for name in space or PROBLEMS
        for k in n or (100, 500, 1000)
        for contender in contenders
    ]
    rows, n_errors = [], 0
    for done in perform(tasks, jobs=jobs):
        task = done.task
        terminal.print_line(
            f"{task.problem} n={task.n} {task.contender.label} {done.error}".rstrip()
        )
        n_errors += bool(done.error)
        rows += [] if done.error else [done.result]
    for label, why in left_out.items():
        terminal.print_line(f"{label}: {why}")
    rows.sort(key=lambda row: (row["space"], row["n"], row["cpu_ms_median"]))
    emit_list("costs", rows, form, columns=COST_COLUMNS)
    raise typer.Exit(FAILED if n_errors else 0)
