"""The first points of a study: the default configuration, then walks that cover every branch."""

from __future__ import annotations
