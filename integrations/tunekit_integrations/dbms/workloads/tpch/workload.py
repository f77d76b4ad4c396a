"""TPC-H as a workload: all 22 queries, one pass a slice."""

from __future__ import annotations

from importlib.resources import files

from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.workloads.query_set import Query, QuerySet
from tunekit_integrations.dbms.workloads.statements import is_limited, order_columns
from tunekit_integrations.dbms.workloads.tpch.data import is_loaded, load, schema_of

QUERIES = 22
SMALLEST_SCALE = 0.01
"""Below it the generator makes pairs of part and supplier twice, which are a key."""


class TPCH(QuerySet):
    """Runs the 22 queries with the parameters that the specification validates them by.

    The tables live in a schema of their own; nothing else in the database is touched. The
    refresh functions of the specification are left out, so that a pass changes no data.

    Args:
        scale: factor; 1 is about 1 GB of raw data, 0.1 loads in seconds.
        clients: sessions that share a pass.

    Raises:
        InvalidArgument: the scale is below 0.01.

    Reference: TPC Benchmark H, standard specification, revision 3.0.1, section 2.4.
    """

    def __init__(self, *, scale: float = 0.1, clients: int = 1) -> None:
        if not scale >= SMALLEST_SCALE:
            raise InvalidArgument(
                f"TPC-H got scale factor {scale}, expected {SMALLEST_SCALE} or more."
            )
        self.scale = scale
        super().__init__(f"tpch scale {scale:g}", tpch_queries(scale), clients=clients)

    def prepare(self, url: str) -> None:
        """Generate and load the tables; does nothing if they are there."""
        if not is_loaded(url, self.scale):
            load(url, self.scale)


def tpch_queries(scale: float) -> dict[str, Query]:
    """Return the queries, q01 to q22."""
    folder = files(__package__).joinpath("queries")
    found = {}
    for number in range(1, QUERIES + 1):
        sql = folder.joinpath(f"q{number:02}.sql").read_text(encoding="utf-8").strip()
        sql = sql.replace(":fraction", f"{0.0001 / scale:.10f}")
        sql = sql.replace("tpch.", f"{schema_of(scale)}.")
        found[f"q{number:02}"] = Query(sql, order=order_columns(sql), is_limited=is_limited(sql))
    return found
