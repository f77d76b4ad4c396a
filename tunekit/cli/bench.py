"""`tunekit bench`: which sampler is the best for my problem?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunekit.cli.command import FAILED, command, guarded, terminal
from tunekit.cli.options import Json, ListFormat, ManyFormat

if TYPE_CHECKING:
    from tunekit.bench.contenders import Contender
    from tunekit.bench.runner import Outcome, Plan

app = typer.Typer(
    help="Which sampler is the best for my problem? Compare them under equal budgets.",
    no_args_is_help=True,
)

COLUMNS = (
    "family",
    "contender",
    "problems",
    "runs",
    "auc",
    "final",
    "rank_auc",
    "rank_final",
    "cpu_ms",
)

Samplers = Annotated[
    list[str] | None,
    typer.Option(
        "--sampler",
        metavar="NAME[:OPTION=A|B]",
        help="Of tunekit; | makes one contender of each value. Repeatable.",
    ),
]
Peers = Annotated[
    list[str] | None,
    typer.Option(
        "--peer",
        metavar="NAME[+default][:OPTION=A|B]",
        help="Of another library, such as optuna-tpe; +default starts at the default. Repeatable.",
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
            help="A Problem, or a function that gives one or more; or file.py:name. Repeatable.",
        ),
    ] = None,
    sampler: Samplers = None,
    peer: Peers = None,
    trials: Annotated[int, typer.Option("-n", "--trials", min=1, help="Of each run.")] = 40,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Runs with different seeds.")] = 5,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The first of them.")] = 0,
    suite_seed: Annotated[
        list[int] | None,
        typer.Option("--suite-seed", min=0, help="Of the problems' instances. Repeatable."),
    ] = None,
    workers: Annotated[
        list[int] | None,
        typer.Option("--workers", "-w", min=1, help="Simulated trials at once. Repeatable."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="PATTERN", help="Problems named so: 'trees/*'."),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes at once.")] = 1,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Results; a rerun goes on there.")
    ] = Path("bench"),
    pools: Annotated[
        Path | None,
        typer.Option("--pools", metavar="DIR", help="Random points. Default: pools in --out."),
    ] = None,
    pool_size: Annotated[
        int | None,
        typer.Option("--pool-size", min=2, help="Random points that are the yardstick."),
    ] = None,
    yahpo_data: Annotated[
        Path | None,
        typer.Option("--yahpo-data", metavar="DIR", help="Folder of the suite yahpo's data."),
    ] = None,
    params: Annotated[bool, typer.Option("--params", help="Keep all params too.")] = False,
    form: ManyFormat = ListFormat.TABLE,
    json: Json = False,
) -> None:
    """Compare samplers on problems: regret 0 is the best known, 1 is median random search.

    Every finished run is kept in --out: interrupt it, and the same command goes on. Use another
    folder after you have changed a sampler or a problem.
    """
    if ctx.invoked_subcommand is not None:
        return
    from tunekit.bench.runner import Plan, run
    from tunekit.cli.bench_problems import sources_named

    sources = sources_named(
        suite or [],
        problem or [],
        seeds=suite_seed or [0],
        folder=str(Path.cwd()),
        yahpo_data=str(yahpo_data) if yahpo_data else None,
        only=only or [],
    )
    plan = Plan(
        sources,
        tuple(_contenders(sampler, peer)),
        tuple(range(seed, seed + seeds)),
        n_trials=trials,
        workers=tuple(workers or [1]),
        keep_params=params,
        n_pool=pool_size,
    )
    outcome = run(plan, out, jobs=jobs, pools=pools, listen=_say_progress)
    raise typer.Exit(_conclude(plan, outcome, ListFormat.JSON if json else form))


app.callback(invoke_without_command=True)(guarded(bench))


def _contenders(samplers: list[str] | None, peers: list[str] | None) -> list[Contender]:
    from tunekit.bench.contenders import parse_contenders

    found = [c for text in samplers or [] for c in parse_contenders(text, "sampler")]
    return found + [c for text in peers or [] for c in parse_contenders(text, "peer")]


def _say_progress(what: str, n: int, total: int) -> None:
    terminal.say(f"{n}/{total} {what}")


def _conclude(plan: Plan, outcome: Outcome, form: ListFormat) -> int:
    """Print the standings; return the exit status."""
    from tunekit.bench.standings import Standings, failures
    from tunekit.cli.output import emit_list

    rows = Standings(outcome).table()
    if form is ListFormat.TABLE:
        rows = [_shown(row) for row in rows]
    emit_list("standings", rows, form, columns=COLUMNS)
    for row in failures(outcome.errors):
        terminal.say(f"{row['contender']}: {row['runs']} runs without a result: {row['why']}")
    return FAILED if outcome.errors else 0


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as a person reads it: each measure with its interval in one cell."""
    shown = dict(row)
    for name in ("auc", "final"):
        shown[name] = f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"
    for name in ("rank_auc", "rank_final"):
        shown[name] = f"{row[name]:.2f}" if name in row else "-"
    shown["cpu_ms"] = f"{row['cpu_ms_median']:.1f} / {row['cpu_ms_p95']:.1f}"
    return shown


@command(app, "ls")
def ls(form: ManyFormat = ListFormat.TABLE, json: Json = False) -> None:
    """List the suites, samplers and peers, and which of them are installed."""
    from tunekit.bench.peers.base import PEERS
    from tunekit.bench.suites import SUITES
    from tunekit.cli.output import emit_list
    from tunekit.registry import names

    rows = [{"kind": "suite", "name": name, "missing": ""} for name in SUITES]
    rows += [{"kind": "sampler", "name": name, "missing": ""} for name in names("sampler")]
    rows += [
        {"kind": "peer", "name": name, "missing": peer.missing()} for name, peer in PEERS.items()
    ]
    columns = ("kind", "name", "missing")
    emit_list("parts", rows, ListFormat.JSON if json else form, columns=columns)
