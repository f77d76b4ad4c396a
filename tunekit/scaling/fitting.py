"""Fits a law to the runs of studies or tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from tunekit.checks import shown
from tunekit.errors import InvalidArgument
from tunekit.scaling import roles as plays
from tunekit.scaling.law import Law
from tunekit.scaling.options import FitOptions, priors_of
from tunekit.scaling.published import counting_doubts, priors_from
from tunekit.scaling.reading import read
from tunekit.scaling.roles import Roles
from tunekit.scaling.tables import Data, RunTable, tables_of
from tunekit_surrogates.scaling import Priors
from tunekit_surrogates.scaling.design import Exponents
from tunekit_surrogates.scaling.fit import Method
from tunekit_surrogates.scaling.runs import Counting


def fit(
    data: Data,
    *,
    lr: plays.Source | None = None,
    bs: plays.Source | None = None,
    n: plays.Source | None = None,
    d: plays.Source | None = None,
    loss: plays.Source | None = None,
    wd: plays.Source | None = None,
    factor: str | None = None,
    sequence_length: int | None = None,
    counting: Counting = "non-embedding",
    priors: Priors | Mapping[str, Any] | str | None = None,
    method: Method = "auto",
    exponents: Exponents = "shared",
    n_bootstraps: int = 1000,
    seed: int = 0,
) -> Law:
    """Return the law of learning rate, batch size, weight decay and loss that runs support.

    A role is played by a parameter, an attribute or a metric of a study's trials, or by a column
    of a table; by one number, where it was the same for all runs; or by a function of the row. A
    role that is not given is looked for: scale axes of the space (`tk.Int(..., scale="N")`), the
    objective of the study, and the usual names.

    Args:
        data: a study, a `.csv` or `.parquet` file, a DataFrame, a list of mappings (one a run),
            columns by name, or several of these.
        lr: the peak learning rate.
        bs: the batch size, in tokens, or in sequences where `sequence_length` is given.
        n: the number of parameters N.
        d: the number of training tokens D.
        loss: the final loss, of which less is better.
        wd: the weight decay, by default one that all runs have.
        factor: the label of the optimiser or schedule; "study" is the name of the run's study.
        sequence_length: tokens of a sequence, where `bs` counts sequences.
        counting: whether N leaves out the embeddings ("non-embedding") or not ("total").
        priors: on the exponents, as exponent -> (mean, sd) or `None` for none (see
            `tunekit_surrogates.scaling.Priors`), or the name of a published law.
        method: how to fit, see `tunekit_surrogates.scaling.fit_law`; "auto" takes one surface
            through all runs unless another way foresees the largest cells clearly better.
        exponents: whether the labels of `factor` have the same exponents ("shared") or each
            its "own".
        n_bootstraps: resamples of the methods that resample.
        seed: of the bootstraps.

    Raises:
        InvalidArgument: a role is played by nothing, a value cannot be right, units are mixed
            beyond doubt, or there are too few cells.
        MissingExtra: a Parquet file, and pyarrow is not installed.
    """
    roles = Roles(
        lr=lr, bs=bs, n=n, d=d, loss=loss, wd=wd, factor=factor, sequence_length=sequence_length
    )
    preset = priors if isinstance(priors, str) else None
    beliefs = Priors() if isinstance(priors, str) else priors_of(priors)
    options = FitOptions(beliefs, method, exponents, n_bootstraps, seed)
    return fit_tables(tables_of(data), roles, counting=counting, options=options, preset=preset)


def fit_tables(
    tables: Sequence[RunTable],
    roles: Roles,
    *,
    counting: Counting = "non-embedding",
    options: FitOptions | None = None,
    preset: str | None = None,
) -> Law:
    """Return the law of the runs in tables; see `fit`.

    Args:
        tables: of all sources.
        roles: as given, to be found in each table.
        counting: see `fit`.
        options: how to fit.
        preset: name of a published law whose exponents are the priors.
    """
    if counting not in get_args(Counting):
        known = " or ".join(get_args(Counting))
        raise InvalidArgument(f"scaling: counting={shown(counting)}, expected {known}.")
    options = options or FitOptions()
    found = read(tables, roles, counting=counting)
    runs = found.runs
    if preset is not None:
        options = replace(options, priors=priors_from(preset, runs))
        runs = replace(runs, cautions=(*runs.cautions, *counting_doubts(preset, runs)))
    return Law(options.fit(runs), runs, found.roles, options, found.target)
