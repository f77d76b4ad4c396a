"""Stoppers end hopeless trials early, with a reason."""
