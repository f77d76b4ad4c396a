"""Queries that read reports: whole curves, and additions to curves read before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Select, column, select, union_all, values

from tunekit.storages.checks import STEPS, is_64_bit
from tunekit.storages.sql.schema import reports

CHUNK = 500

_COLUMNS = (reports.c.number, reports.c.step, reports.c.metrics)


def report_queries(
    study_id: int, numbers: Sequence[int] | None, after_step: Mapping[int, int]
) -> Iterator[Select[Any]]:
    """Yield queries of `(number, step, metrics)`, jointly ordered by number and step.

    Args:
        study_id: of the study.
        numbers: trials to read; `None` for all.
        after_step: by trial number, the last step that the caller has.
    """
    # A database compares with 64-bit integers alone; nothing lies beyond them.
    after_step = {n: step for n, step in after_step.items() if is_64_bit(n)}
    after_step = {n: min(max(step, STEPS.start), STEPS.stop - 1) for n, step in after_step.items()}
    if numbers is None:
        others = _of(study_id)
        if after_step:
            others = others.where(reports.c.number.not_in(list(after_step)))
        yield _in_order(others, study_id, after_step)
        return
    asked = sorted({n for n in numbers if is_64_bit(n)})
    for start in range(0, len(asked), CHUNK):
        chunk = asked[start : start + CHUNK]
        known = {n: after_step[n] for n in chunk if n in after_step}
        whole = [n for n in chunk if n not in known]
        yield _in_order(_of(study_id).where(reports.c.number.in_(whole)), study_id, known)


def _of(study_id: int) -> Select[Any]:
    return select(*_COLUMNS).where(reports.c.study_id == study_id)


def _in_order(whole: Select[Any], study_id: int, after_step: Mapping[int, int]) -> Select[Any]:
    """Return whole curves and the ends of others as one query."""
    if not after_step:
        return whole.order_by(reports.c.number, reports.c.step)
    asked = values(column("number", BigInteger), column("step", BigInteger), name="asked")
    read = asked.data(list(after_step.items())).cte("read_before")
    # A join on the primary key skips the steps read before.
    added = (reports.c.number == read.c.number) & (reports.c.step > read.c.step)
    both = union_all(whole, _of(study_id).join(read, added)).subquery()
    return select(both).order_by(both.c.number, both.c.step)
