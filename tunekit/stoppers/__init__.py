"""Stoppers end hopeless trials early and say why."""
