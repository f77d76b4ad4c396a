"""Estimates the most memory that a server will use."""

from __future__ import annotations

from collections.abc import Mapping

from tunekit_integrations.dbms.catalogue import UNITS, Catalogue
from tunekit_integrations.dbms.records import Value

BASE_BYTES = 150 * 2**20
"""Of a server with the smallest caches, its dictionary and its performance schema."""

SESSION_BYTES = 1 * 2**20
"""Of a session besides its buffers: stack, network buffers, prepared statements."""

# The control blocks and hash tables of a pool take about a twentieth of it.
_SHARED = {
    "innodb_buffer_pool_size": 1.06,
    "innodb_log_buffer_size": 2,  # MariaDB has two
    "key_buffer_size": 1,
    "aria_pagecache_buffer_size": 1,
    "query_cache_size": 1,
}
_PER_SESSION = {
    "sort_buffer_size": 1,
    "join_buffer_size": 2,  # one for each join without an index; more than two are rare
    "read_buffer_size": 1,
    "read_rnd_buffer_size": 1,
    "mrr_buffer_size": 1,
    "tmp_table_size": 1,
}
_OPEN_TABLE_BYTES = 16 * 2**10


def memory_estimate(
    values: Mapping[str, Value], catalogue: Catalogue, others: Mapping[str, float], *, clients: int
) -> int:
    """Return bytes.

    Args:
        values: of the knobs of the catalogue, in their units.
        catalogue: of the system.
        others: variable -> bytes, for those that are no knobs.
        clients: sessions at once that sort and join. Not `max_connections`: servers are set up
            for many more than ever work at once, and the estimate would forbid every setting.
    """

    def size(name: str) -> float:
        value = values.get(name)
        if value is None or name not in catalogue.knobs or isinstance(value, str):
            return others.get(name, 0)
        return max(float(value), 0) * UNITS[catalogue.knobs[name].unit]

    shared = sum(factor * size(name) for name, factor in _SHARED.items())
    session = sum(factor * size(name) for name, factor in _PER_SESSION.items())
    tables = size("table_open_cache") * _OPEN_TABLE_BYTES
    return int(BASE_BYTES + shared + tables + clients * (SESSION_BYTES + session))
