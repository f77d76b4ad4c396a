"""Replays what a server has been asked most of its time, as pg_stat_statements recorded it."""
