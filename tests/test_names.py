"""One name stands for one thing: no two public classes of the packages share theirs."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = (
    "tunekit",
    "surrogates/tunekit_surrogates",
    "integrations/tunekit_integrations",
    "dashboard/tunekit_dashboard",
)


def test_no_two_public_classes_share_a_name() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert len(places) > 500, "the packages were not found"
    assert {name: at for name, at in places.items() if len(at) > 1} == {}
