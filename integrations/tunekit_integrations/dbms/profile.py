"""Describes a workload in numbers, so that workloads can be told apart and similar ones found."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.workloads.statements import DIALECTS, parse

if TYPE_CHECKING:
    from sqlglot import exp

METRICS = (
    "cache_hit_ratio",
    "logical_reads_per_s",
    "physical_reads_per_s",
    "active_sessions",
    "transactions_per_s",
    "rows_scanned_per_s",
    "rows_fetched_per_s",
    "rows_inserted_per_s",
    "rows_updated_per_s",
    "rows_deleted_per_s",
)
"""What a server counts while it works; reads are pages."""

_RATIOS = ("read_ratio", "group_by_ratio", "order_by_ratio", "aggregation_ratio")
_SIZES = ("n_queries", "data_bytes", "predicates_per_query")
_FOLDS = math.log(1e6)
"""Two amounts that differ by this factor are as different as can be."""


@dataclass(frozen=True, slots=True)
class WorkloadProfile:
    """Features of a workload.

    Attributes:
        system: that it runs on, such as "postgresql".
        n_queries: different statements; two that differ in constants only are one.
        data_bytes: of the database.
        read_ratio: share of executions that only read, 0 to 1, as all of the following.
        group_by_ratio: that group.
        order_by_ratio: that order their result or a part of it.
        aggregation_ratio: that aggregate.
        predicates_per_query: mean number of comparisons in conditions.
        shapes: digest of each statement without its constants -> share of executions.
        metrics: name of `METRICS` -> value; empty where nothing was measured.

    Reference: Huang et al., 2024, E2ETune: end-to-end knob tuning via fine-tuned generative
        language model (arXiv 2404.11581), section 4.
    """

    system: str
    n_queries: int
    data_bytes: int
    read_ratio: float
    group_by_ratio: float
    order_by_ratio: float
    aggregation_ratio: float
    predicates_per_query: float
    shapes: Mapping[str, float]
    metrics: Mapping[str, float]

    @property
    def fingerprint(self) -> str:
        """Return a digest of what the workload asks: equal whatever the data, the load, the time.

        Constants, the order and names of statements, and the schema do not count; how often a
        statement runs does, to a tenth.
        """
        shares = {shape: round(share, 1) for shape, share in self.shapes.items()}
        text = json.dumps([self.system, shares], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def distance(self, other: WorkloadProfile) -> float:
        """Return how different two workloads are, from 0 to 1; 1 on different systems.

        It is the mean over the ratios, the sizes and rates by their factor, and the share of
        executions that the two have no statement in common for.
        """
        if self.system != other.system:
            return 1.0
        parts = [abs(getattr(self, n) - getattr(other, n)) for n in _RATIOS]
        parts += [_folds(getattr(self, n), getattr(other, n)) for n in _SIZES]
        common = (min(s, other.shapes.get(k, 0.0)) for k, s in self.shapes.items())
        if self.shapes or other.shapes:
            parts.append(1.0 - min(math.fsum(common), 1.0))
        for name in self.metrics.keys() & other.metrics.keys():
            mine, theirs = self.metrics[name], other.metrics[name]
            is_ratio = name == "cache_hit_ratio"
            parts.append(abs(mine - theirs) if is_ratio else _folds(mine, theirs))
        return math.fsum(parts) / len(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {**asdict(self), "shapes": dict(self.shapes), "metrics": dict(self.metrics)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> WorkloadProfile:
        """Return the profile that `to_dict` wrote.

        Raises:
            InvalidArgument: a field is missing, or there is one too many.
        """
        names = {f.name for f in fields(cls)}
        if set(data) != names:
            raise InvalidArgument(
                f"a workload profile has the fields {', '.join(sorted(names))}; "
                f"got {', '.join(sorted(map(str, data)))}."
            )
        return cls(**data)


def profile_of(
    queries: Mapping[str, str],
    *,
    weights: Mapping[str, float] | None = None,
    system: str = "postgresql",
    data_bytes: int = 0,
    metrics: Mapping[str, float] | None = None,
) -> WorkloadProfile:
    """Return the profile of statements.

    Without statements, as of pgbench, the read ratio is that of the rows in `metrics`.

    Args:
        queries: name -> SQL; a statement that is not understood counts as one that reads.
        weights: name -> how often it runs, once each if `None`.
        system: whose SQL it is.
        data_bytes: of the database.
        metrics: see `METRICS`.

    Raises:
        InvalidArgument: the system is not known.
        MissingExtra: sqlglot is not installed.
    """
    if system not in DIALECTS:
        raise InvalidArgument(f'system "{system}", expected one of {", ".join(DIALECTS)}.')
    total = math.fsum((weights or {}).get(name, 1.0) for name in queries) or 1.0
    sums = dict.fromkeys((*_RATIOS, "predicates"), 0.0)
    shapes: dict[str, float] = {}
    for name, sql in queries.items():
        runs = (weights or {}).get(name, 1.0)
        features = _features(sql, system)
        for key in sums:
            sums[key] += runs * features[key]
        shape = features["shape"]
        shapes[shape] = shapes.get(shape, 0.0) + runs
    found = WorkloadProfile(
        system=system,
        n_queries=len(shapes),
        data_bytes=data_bytes,
        **{name: sums[name] / total for name in _RATIOS},
        predicates_per_query=sums["predicates"] / total,
        shapes={shape: runs / total for shape, runs in shapes.items()},
        metrics=dict(metrics or {}),
    )
    return found if queries else replace(found, read_ratio=_rows_read(found.metrics))


def _features(sql: str, system: str) -> dict[str, Any]:
    from sqlglot import exp

    trees = parse(sql, system=system)
    if not trees:
        empty = dict.fromkeys((*_RATIOS, "predicates"), 0.0)
        return {**empty, "read_ratio": 1.0, "shape": _digest(" ".join(sql.split()))}
    tree = trees[0]
    return {
        "read_ratio": float(isinstance(tree, exp.Query) and not tree.find(exp.DML)),
        "group_by_ratio": float(tree.find(exp.Group) is not None),
        "order_by_ratio": float(tree.find(exp.Order) is not None),
        "aggregation_ratio": float(tree.find(exp.AggFunc) is not None),
        "predicates": float(_predicates(tree)),
        "shape": _digest(_without_constants(tree, system)),
    }


def _predicates(tree: exp.Expr) -> int:
    """Return the comparisons in WHERE, HAVING and ON, each once."""
    from sqlglot import exp

    places: list[exp.Expr] = [*tree.find_all(exp.Where, exp.Having)]
    places += [on for join in tree.find_all(exp.Join) if (on := join.args.get("on"))]
    found = {id(p) for place in places for p in place.find_all(exp.Predicate)}
    return len(found)


def _without_constants(tree: exp.Expr, system: str) -> str:
    """Return SQL with a mark for each constant, and with no schemas and no comments."""
    from sqlglot import exp

    bare = tree.copy()
    for literal in list(bare.find_all(exp.Literal, exp.Boolean, exp.Placeholder)):
        literal.replace(exp.Placeholder())
    for table in bare.find_all(exp.Table):
        table.set("db", None)
        table.set("catalog", None)
    return bare.sql(dialect=DIALECTS[system], comments=False, normalize=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _rows_read(metrics: Mapping[str, float]) -> float:
    written = math.fsum(
        metrics.get(f"rows_{what}_per_s", 0.0) for what in ("inserted", "updated", "deleted")
    )
    read = metrics.get("rows_fetched_per_s", 0.0)
    return read / (read + written) if read + written else 1.0


def _folds(a: float, b: float) -> float:
    """Return by which factor two amounts differ, from 0 for none to 1 for a million."""
    return min(abs(math.log1p(a) - math.log1p(b)) / _FOLDS, 1.0)
