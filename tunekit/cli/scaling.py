"""`tunekit scaling`: fit laws to small runs, predict large ones, check and plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunekit.cli.command import command, terminal
from tunekit.cli.options import Format, ListFormat, ManyFormat, OneFormat, Storage
from tunekit.errors import InvalidArgument, UnknownStudy, did_you_mean

if TYPE_CHECKING:
    from tunekit.scaling import Law, Roles

app = typer.Typer(
    help="Laws of learning rate, batch size and loss: fit, predict, plan, validate.",
    no_args_is_help=True,
)

PLAN_COLUMNS = ("N", "D", "lr", "bs", "flops", "purpose")

Source = Annotated[
    str,
    typer.Argument(
        metavar="LAW",
        help="A law of `fit --out`, a published one (step_law), or runs: a file or a study.",
    ),
]
RoleFlags = Annotated[
    list[str] | None,
    typer.Option(
        "--role", metavar="ROLE=COLUMN", help="Of runs: who plays lr, bs, n, d, loss, ... ."
    ),
]
OfN = Annotated[float | None, typer.Option("--n", metavar="N", help="Parameters of the model.")]
OfD = Annotated[float | None, typer.Option("--d", metavar="D", help="Its training tokens.")]
Factor = Annotated[
    str | None, typer.Option("--for", metavar="LABEL", help="Of the optimiser or schedule.")
]


def _column(role: str, meaning: str) -> Any:
    return typer.Option(f"--{role}", metavar="COLUMN", help=f"{meaning}, or one number.")


@command(app, "fit")
def fit(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUNS...", help="Files ending in .csv or .parquet, or names of studies."
        ),
    ],
    lr: Annotated[str | None, _column("lr", "Peak learning rate")] = None,
    bs: Annotated[str | None, _column("bs", "Batch size in tokens")] = None,
    n: Annotated[str | None, _column("n", "Number of parameters")] = None,
    d: Annotated[str | None, _column("d", "Training tokens")] = None,
    loss: Annotated[str | None, _column("loss", "Final loss")] = None,
    wd: Annotated[str | None, _column("wd", "Weight decay")] = None,
    factor: Annotated[
        str | None,
        typer.Option("--factor", metavar="COLUMN", help="Label of the optimiser or schedule."),
    ] = None,
    sequence_length: Annotated[
        int | None,
        typer.Option("--sequence-length", help="Tokens of a sequence, if --bs counts sequences."),
    ] = None,
    counting: Annotated[
        str, typer.Option("--counting", help="How N counts: non-embedding or total.")
    ] = "non-embedding",
    prior: Annotated[
        list[str] | None,
        typer.Option("--prior", metavar="EXPONENT=MEAN,SD", help="Or =none, or a published law."),
    ] = None,
    method: Annotated[str, typer.Option("--method", help="How to fit.")] = "auto",
    exponents: Annotated[
        str, typer.Option("--exponents", help="Of the labels of --factor: shared or own.")
    ] = "shared",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the bootstraps.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the law to a JSON file.")
    ] = None,
    storage: Storage = None,
    form: OneFormat = Format.TABLE,
) -> None:
    """Fit the laws of learning rate, batch size and loss to finished runs."""
    from tunekit.cli.output import emit_found

    flags = {"lr": lr, "bs": bs, "n": n, "d": d, "loss": loss, "wd": wd, "factor": factor}
    law = _fitted(
        runs,
        _roles({k: v for k, v in flags.items() if v is not None}, sequence_length),
        storage,
        counting=counting,
        prior=prior or [],
        method=method,
        exponents=exponents,
        seed=seed,
    )
    if out is not None:
        terminal.print_line(f"written to {law.save(out)}")
    emit_found("law", law, law.summary(), form)


@command(app, "predict")
def predict(
    law: Source,
    n: OfN = None,
    d: OfD = None,
    bs: Annotated[
        float | None, typer.Option("--bs", metavar="TOKENS", help="A batch size already decided.")
    ] = None,
    factor: Factor = None,
    role: RoleFlags = None,
    storage: Storage = None,
    form: OneFormat = Format.TABLE,
) -> None:
    """Predict learning rate, batch size and loss of a model, with intervals and warnings."""
    from tunekit.cli.output import emit_found
    from tunekit.scaling.stored import prediction_to_dict

    at = _law(law, role, storage, n=n, d=d).predict(n, d, bs=bs, factor=factor)
    emit_found("prediction", at, prediction_to_dict(at), form)


@command(app, "validate")
def validate(
    law: Source,
    published: Annotated[
        str | None,
        typer.Option("--published", metavar="NAME", help="Gap of a published law instead."),
    ] = None,
    role: RoleFlags = None,
    storage: Storage = None,
    form: OneFormat = Format.TABLE,
) -> None:
    """Hold out each cell in turn and show the gap of the law of the others there."""
    from tunekit.cli.output import emit_found

    found = _law(law, role, storage).validate(published)
    emit_found("validation", found, found.to_dict(), form)


@command(app, "plan")
def plan(
    law: Source,
    budget: Annotated[
        float, typer.Option("--budget", metavar="FLOPS", help="Compute of all runs together.")
    ],
    n: OfN = None,
    d: OfD = None,
    runs_per_cell: Annotated[
        int, typer.Option("--runs-per-cell", help="Runs of a new cell, 3 to 6.")
    ] = 5,
    max_runs: Annotated[
        int, typer.Option("--max-runs", min=1, help="Maximum number of runs.")
    ] = 40,
    factor: Factor = None,
    enqueue: Annotated[
        str | None, typer.Option("--enqueue", metavar="STUDY", help="Enqueue the runs there.")
    ] = None,
    role: RoleFlags = None,
    storage: Storage = None,
    form: ManyFormat = ListFormat.TABLE,
) -> None:
    """Propose the next runs that are worth their compute, small cells first."""
    from tunekit.cli.output import emit_list

    found = _law(law, role, storage, n=n, d=d).plan(
        budget, N=n, D=d, runs_per_cell=runs_per_cell, max_runs=max_runs, factor=factor
    )
    rows = found.rows()
    if enqueue is not None:
        from tunekit.api import load_study
        from tunekit.cli.stores import open_existing

        numbers = found.enqueue(load_study(enqueue, storage=open_existing(storage)))
        rows = [{"trial": number, **row} for number, row in zip(numbers, rows, strict=True)]
    columns = PLAN_COLUMNS if enqueue is None else ("trial", *PLAN_COLUMNS)
    emit_list("runs", rows, form, columns=columns)


def _law(
    source: str,
    role: list[str] | None,
    storage: str | None,
    *,
    n: float | None = None,
    d: float | None = None,
) -> Law:
    """Return the law in a file, a published one near N and D, or the one of runs."""
    from tunekit.scaling import load, published
    from tunekit_surrogates.scaling import PRESETS

    if source in PRESETS:
        if n is None or d is None:
            raise InvalidArgument(f"{source} is a published law; give --n and --d for it.")
        return published(source, n, d)
    if Path(source).suffix.lower() == ".json":
        if role:
            raise InvalidArgument(
                f"--role with {source}, which is a law with its roles; leave it out."
            )
        return load(source)
    try:
        return _fitted([source], _roles(_pairs(role or [], "--role"), None), storage)
    except UnknownStudy as error:
        hint = did_you_mean(source, PRESETS)
        if not hint:
            raise
        raise InvalidArgument(f'no published law or study is named "{source}"{hint}.') from error


def _fitted(
    runs: list[str],
    roles: Roles,
    storage: str | None,
    *,
    counting: str = "non-embedding",
    prior: list[str] | None = None,
    method: str = "auto",
    exponents: str = "shared",
    seed: int = 0,
) -> Law:
    from tunekit.scaling.fitting import fit_tables
    from tunekit.scaling.options import FitOptions, priors_of
    from tunekit.scaling.tables import of_history, tables_of

    tables = []
    for source in runs:
        if Path(source).suffix.lower() in (".csv", ".parquet"):
            tables += tables_of(source)
            continue
        from tunekit.cli.stores import open_existing, read_study

        opened = open_existing(storage)
        record, history = read_study(opened, source)
        space = record.spec.space and opened.spaces(record.id)[record.space_version]
        tables.append(of_history(source, history, space))
    presets = [text for text in prior or [] if "=" not in text]
    given = [text for text in prior or [] if "=" in text]
    if presets and len(presets) + len(given) > 1:
        raise InvalidArgument(
            f"--prior {presets[0]} is a published law with all its exponents; give it alone."
        )
    beliefs = {k: _numbers(v) for k, v in _pairs(given, "--prior").items()}
    return fit_tables(
        tables,
        roles,
        counting=counting,  # type: ignore[arg-type]  # checked there
        options=FitOptions(priors_of(beliefs), method, exponents, seed=seed),  # type: ignore[arg-type]
        preset=presets[0] if presets else None,
    )


def _roles(given: dict[str, str], sequence_length: int | None) -> Roles:
    from dataclasses import fields

    from tunekit.scaling import Roles

    known = [f.name for f in fields(Roles) if f.name != "sequence_length"]
    sources: dict[str, Any] = {}
    for role, text in given.items():
        if role == "sequence_length":
            if not text.isdecimal():
                raise InvalidArgument(
                    f"--role sequence_length={text}: expected the number of tokens of a sequence."
                )
            sequence_length = int(text)
            continue
        if role not in known:
            raise InvalidArgument(
                f"--role {role}={text}: there is no role {role}, expected one of "
                f"{', '.join(known)} and sequence_length."
            )
        sources[role] = _number(text)
    return Roles(**sources, sequence_length=sequence_length)


def _pairs(given: list[str], flag: str) -> dict[str, str]:
    found = {}
    for text in given:
        name, is_pair, value = text.partition("=")
        if not is_pair or not name or not value:
            raise InvalidArgument(f"{flag} {text}: expected NAME=VALUE.")
        found[name] = value
    return found


def _number(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _numbers(text: str) -> list[str | float] | None:
    return None if text == "none" else [_number(part) for part in text.split(",")]
