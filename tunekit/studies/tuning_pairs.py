"""Writes (workload, best configuration) pairs of studies, to fine-tune a language model on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from tunekit.errors import InvalidArgument
from tunekit.records import StudyRecord
from tunekit.samplers.llm.buckets import BucketCodec
from tunekit.samplers.llm.first_points import Situation, prompt_for
from tunekit.storages.base import Storage
from tunekit.studies.first_points import PROFILE, SITUATION, is_profile, workload_of
from tunekit.studies.histories import read_history


def tuning_pairs(storage: Storage, names: Sequence[str] = ()) -> Iterator[str]:
    """Yield a JSON line for each study with a profile and a result.

    Each line is a conversation (`{"messages": [...]}`) as fine-tuning services take it: the
    prompt that `enqueue_first_points` makes, and the best point in buckets as its answer.

    Args:
        storage: with the studies.
        names: of studies; by default all that have a profile.

    Raises:
        UnknownStudy: there is none of a name.
        InvalidArgument: a named study has no profile or no result.
    """
    records = [storage.get_study(n) for n in names] if names else storage.list_studies()
    for record in records:
        line = _pair(storage, record) if is_profile(record.spec.attrs.get(PROFILE)) else None
        if line is None and names:
            raise InvalidArgument(
                f"study {record.spec.name!r} has no profile, declared space or complete trial, "
                "and so no pair; leave it out."
            )
        if line is not None:
            yield line


def _pair(storage: Storage, record: StudyRecord) -> str | None:
    spaces = storage.spaces(record.id)
    if not spaces or record.spec.space is None:
        return None
    space = spaces[max(spaces)]
    workload = workload_of(record, read_history(storage, record), space)
    if workload is None:
        return None
    told = record.spec.attrs.get(SITUATION)
    parts = told if isinstance(told, dict) else {}
    texts = {k: v for k, v in parts.items() if k != "workload" and isinstance(v, str)}
    situation = Situation(workload.profile, **texts)
    best = BucketCodec(space).encode(workload.best)
    answer = {"rationale": "The best configuration measured.", "points": [best]}
    messages = [
        *prompt_for(space, situation),
        {"role": "assistant", "content": json.dumps(answer)},
    ]
    return json.dumps({"messages": messages}, ensure_ascii=False)
