"""Tells plans apart, whatever they cost."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from tunekit_integrations.dbms.mariadb.connection import AutocommitConnection

# Estimates that change with statistics and cost constants while the plan stays.
_ESTIMATES = re.compile(
    r"(.*cost.*|.*rows.*|filtered|loops|selectivity_pct|data_read_per_join|r_.*|"
    r"buffer_size|query_optimization|optimizer_trace.*)"
)


def signature(connection: AutocommitConnection, sql: str) -> str:
    """Return a digest of a query's plan.

    Raises:
        TargetFailure: the server cannot explain it.
    """
    # Every percent sign is the query's own: no parameters are given.
    ((text,),) = connection.rows(f"EXPLAIN FORMAT=JSON {sql}")
    plan = json.dumps(_without_estimates(json.loads(text)), sort_keys=True)
    return hashlib.sha256(plan.encode()).hexdigest()[:16]


def _without_estimates(node: Any) -> Any:
    if isinstance(node, dict):
        return {k: _without_estimates(v) for k, v in node.items() if not _ESTIMATES.fullmatch(k)}
    if isinstance(node, list):
        return [_without_estimates(part) for part in node]
    return node
