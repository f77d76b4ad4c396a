"""Tells whether the planner would do a query otherwise."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tunekit_integrations.dbms.postgresql.session import ReconnectingSession

_ESTIMATES = ("Startup Cost", "Total Cost", "Plan Rows", "Plan Width")
"""What may differ between equal plans. `COSTS OFF` would also hide whether code is compiled (JIT),
which hangs on the costs and takes longer than many a query."""


def plan_digests(session: ReconnectingSession, queries: Mapping[str, str]) -> dict[str, str]:
    """Return query -> digest of its plan without costs.

    Raises:
        TargetFailure: the server refuses a query, or is lost.
    """
    digests = {}
    for name, sql in queries.items():
        ((plan,),) = session.run(f"EXPLAIN (FORMAT JSON) {sql}")
        text = json.dumps(_shape(plan), sort_keys=True)
        digests[name] = hashlib.sha256(text.encode()).hexdigest()[:16]
    return digests


def _shape(plan: Any) -> Any:
    if isinstance(plan, dict):
        return {k: _shape(v) for k, v in plan.items() if k not in _ESTIMATES}
    return [_shape(part) for part in plan] if isinstance(plan, list) else plan
