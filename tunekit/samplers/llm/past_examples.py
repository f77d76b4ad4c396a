"""Shows a model the best points of earlier studies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tunekit.records import ObjectiveSpec
from tunekit.samplers.bayesian.past_studies import PastStudy
from tunekit.samplers.llm.prompt import MAX_TEXT_CHARS
from tunekit.spaces import Space

MAX_STUDIES = 10
MAX_CHARS = 20_000
"""Characters of all examples together, as JSON."""

N_POINTS = 5
"""Points of one study that are shown: its best ones that fit the space."""


def past_examples(
    past: Sequence[PastStudy], space: Space, objective: ObjectiveSpec
) -> list[dict[str, Any]]:
    """Return the best points of the earlier studies with the most parameters in common.

    Args:
        past: earlier studies.
        space: of the new study, into which their points are moved.
        objective: whose direction the results are shown in.
    """
    ranked = sorted(past, key=lambda study: -_n_shared(study, space))
    shown: list[dict[str, Any]] = []
    for study in ranked:
        points = study.points(space)[:N_POINTS]
        rows = [{"params": dict(p), "result": objective.loss(loss)} for p, loss in points]
        example = {"study": study.name[:MAX_TEXT_CHARS], "best points": rows}
        if rows and len(json.dumps([*shown, example])) <= MAX_CHARS:
            shown.append(example)
    return shown[:MAX_STUDIES]


def _n_shared(study: PastStudy, space: Space) -> int:
    return len({path for params, _ in study.trials for path in params} & set(space.by_path))
