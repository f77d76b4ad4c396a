"""Defines the roles of users and tokens in a project."""

from __future__ import annotations

from enum import IntEnum


class Role(IntEnum):
    """What somebody may do in a project; each role includes those before it."""

    ANYONE = 0  # also a caller without a token
    CALLER = 1  # whoever is logged in, in no particular project
    VIEWER = 2  # reads studies
    WORKER = 3  # runs trials: asks, reports, tells
    EDITOR = 4  # creates, edits, stops and deletes studies; enqueues trials
    ADMIN = 5  # gives roles, tokens, quotas and share links
    OPERATOR = 6  # runs the service: users, projects, the audit log of all

    @property
    def label(self) -> str:
        """Its name in requests and answers."""
        return self.name.lower()
