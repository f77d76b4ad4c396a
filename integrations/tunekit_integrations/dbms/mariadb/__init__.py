"""Tunes MariaDB and MySQL: private servers of its own, and servers that somebody else runs."""
