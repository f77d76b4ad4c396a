"""Known bad configurations, and a catalogue that refuses none of them."""

from __future__ import annotations

from dataclasses import replace

from tunekit_integrations.dbms.catalogue import Knob, load_catalogue
from tunekit_integrations.dbms.records import ApplyMode, FailureKind

INVALID, NO_START, OOM = FailureKind.INVALID, FailureKind.NO_START, FailureKind.OUT_OF_MEMORY
REAL = load_catalogue("postgresql")
RAM_KB = 4 * 2**20
STARTS = None

BAD = [
    # What ALTER SYSTEM takes, and the server does not start with.
    ({"huge_pages": "on"}, OOM, "huge_pages = 'on'"),
    ({"wal_level": "minimal"}, NO_START, "wal_level = 'minimal'"),
    ({"shared_preload_libraries": "no_such_library"}, NO_START, ""),
    ({"superuser_reserved_connections": 100}, NO_START, ""),
    ({"max_wal_size": 16}, NO_START, ""),
    ({"max_locks_per_transaction": 2147483647}, OOM, ""),
    # What the server refuses at once, and does not start with where a file says it.
    ({"shared_buffers": 10 * 2**30}, INVALID, "shared_buffers = '10TB'"),
    ({"max_connections": 262143}, INVALID, ""),
    ({"wal_buffers": 64 * 2**20}, INVALID, "wal_buffers = '64GB'"),
    ({"max_worker_processes": 262143}, INVALID, ""),
    ({"work_mem": -5}, INVALID, ""),
    ({"wal_compression": "gzip"}, INVALID, ""),
    ({"no_such_knob": 1}, INVALID, ""),
    # What starts without a word.
    ({"shared_buffers": RAM_KB * 85 // 100}, STARTS, ""),
    ({"random_page_cost": 1e308}, STARTS, ""),
    ({"max_wal_size": 2147483647}, STARTS, ""),
    ({"autovacuum_naptime": 2147483}, STARTS, ""),
]
IDS = [",".join(f"{n}={v}" for n, v in settings.items()) for settings, _, _ in BAD]


def unwary(name: str, value: object) -> Knob:
    """Return an entry that a careless author of a catalogue would write."""
    there = REAL.knobs.get(name)
    unit = there.unit if there else ""
    if isinstance(value, str):
        choices = (value, "off", "try", "", "replica", "pglz")
        return Knob(name, "enum", choices=choices, mode=ApplyMode.RESTART, why="careless")
    kind, limits = there.kind if there else "int", {"lo": ("0",), "hi": ("1e308",)}
    return Knob(name, kind, unit=unit, special=(-5,), why="careless", **limits)


CARELESS = replace(
    REAL,
    knobs={n: unwary(n, v) for settings, _, _ in BAD for n, v in settings.items()},
    constraints=(),
    closed=(),
)
