"""A small shop in a SQLite file: reports over its orders, and bookings that commit."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator, Mapping

import numpy as np

from tunekit_integrations.dbms.latencies import percentiles
from tunekit_integrations.dbms.records import Measurement
from tunekit_integrations.dbms.sqlite.connection import connected

_COMMITS = 20
_CUSTOMERS_PER_ITEM = 0.02
_OPCODES_BETWEEN_CHECKS = 10_000

_TABLES = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, region TEXT, name TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, day INTEGER);
CREATE TABLE items (id INTEGER PRIMARY KEY, "order" INTEGER, product INTEGER, amount INTEGER,
                    cents INTEGER, note TEXT);
CREATE INDEX items_order ON items ("order");
"""

_QUERIES = {
    "revenue by region": """
        SELECT region, sum(cents * amount) FROM items JOIN orders ON orders.id = items."order"
        JOIN customers ON customers.id = orders.customer GROUP BY region ORDER BY region""",
    "best products": """
        SELECT product, sum(amount) AS n, count(DISTINCT "order") FROM items
        GROUP BY product ORDER BY n DESC, product LIMIT 10""",
    "notes in order": """
        SELECT count(*), max(place) FROM
        (SELECT row_number() OVER (ORDER BY note, id DESC) AS place FROM items)""",
    "customers without a June": """
        SELECT count(*) FROM customers WHERE id NOT IN
        (SELECT customer FROM orders WHERE day BETWEEN 151 AND 180)""",
    "one order": """
        SELECT sum(cents), count(*) FROM items WHERE "order" IN
        (SELECT id FROM orders WHERE id % 17 = 3)""",
}

# Writes pages and leaves the data as they are, so that every slice finds the same.
_BOOKING = "UPDATE items SET amount = amount WHERE id = ?"
_BOOKINGS = f"{_COMMITS} bookings"


class ShopWorkload:
    """Runs five reports and twenty bookings, in an order that the seed draws.

    Args:
        items: rows of the largest table; 100,000 make a file of about 8 MB.
    """

    name = "sqlite shop"
    is_query_set = True
    clients = 1

    def __init__(self, *, items: int = 100_000) -> None:
        self._items = items

    def queries(self) -> Mapping[str, str]:
        """Return the reports."""
        return _QUERIES

    def prepare(self, url: str) -> None:
        """Make the tables, unless they are there."""
        with connected(url) as connection:
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'items'").fetchone():
                return
            connection.execute("BEGIN")
            for statement in _TABLES.split(";"):
                connection.execute(statement)
            self._fill(connection)
            connection.execute("COMMIT")

    def _fill(self, connection: sqlite3.Connection) -> None:
        rng = np.random.default_rng(0)
        n, customers = self._items, max(1, int(self._items * _CUSTOMERS_PER_ITEM))
        orders = max(1, n // 4)
        regions = rng.choice(["east", "north", "south", "west"], customers).tolist()
        people = [(i, region, f"customer {i}") for i, region in enumerate(regions)]
        connection.executemany("INSERT INTO customers VALUES (?, ?, ?)", people)
        of, days = rng.integers(0, customers, orders), rng.integers(0, 365, orders)
        rows = zip(range(orders), of.tolist(), days.tolist(), strict=True)
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
        columns = [rng.integers(0, most, n).tolist() for most in (orders, 500, 9, 10_000)]
        notes = (rng.bytes(16).hex() for _ in range(n))
        items = zip(range(n), *columns, notes, strict=True)
        connection.executemany("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?)", items)

    def warm(self, url: str) -> None:
        """Run every report once."""
        with connected(url) as connection:
            for sql in _QUERIES.values():
                connection.execute(sql).fetchall()

    def reset(self, url: str) -> None:
        """Do nothing: bookings write what is there already."""

    def run(self, url: str, *, seconds: float, deadline_s: float, seed: int) -> Measurement:
        """Run all once; at the deadline the query that is on its way is cut off.

        Raises:
            TargetFailure: SQLite failed.
        """
        took: dict[str, float] = {}
        digests: dict[str, str] = {}
        started = time.perf_counter()
        is_censored = False
        with connected(url) as connection:
            ends = started + deadline_s
            connection.set_progress_handler(
                lambda: time.perf_counter() > ends, _OPCODES_BETWEEN_CHECKS
            )
            try:
                for name, digest, spent in self._pass(connection, seed):
                    took[name], digests[name] = spent, digest
            except sqlite3.OperationalError as error:
                if "interrupted" not in str(error):
                    raise
                is_censored = True
        return Measurement(
            units=len(took),
            seconds=time.perf_counter() - started,
            latency_s=percentiles(list(took.values())),
            per_query=took,
            digests=digests,
            is_censored=is_censored,
        )

    def _pass(self, connection: sqlite3.Connection, seed: int) -> Iterator[tuple[str, str, float]]:
        names = [*_QUERIES, _BOOKINGS]
        for i in np.random.default_rng(seed).permutation(len(names)):
            started = time.perf_counter()
            rows = (
                self._book(connection)
                if names[i] == _BOOKINGS
                else connection.execute(_QUERIES[names[i]]).fetchall()
            )
            spent = time.perf_counter() - started
            yield names[i], hashlib.sha256(repr(rows).encode()).hexdigest()[:16], spent

    def _book(self, connection: sqlite3.Connection) -> list[int]:
        step = max(1, self._items // _COMMITS)
        ids = range(0, _COMMITS * step, step)
        return [connection.execute(_BOOKING, (i,)).rowcount for i in ids]
