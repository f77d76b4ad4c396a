"""DeepArchitect's own tree search, as it was published: to compare with."""

from __future__ import annotations
