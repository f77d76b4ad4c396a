"""A study begun with a model's configurations: similar workloads, a check, a rank, two runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument
from tunekit.samplers.llm.buckets import LABELS, BucketCodec
from tunekit.samplers.llm.earlier_runs import EarlierRuns
from tunekit.samplers.llm.endpoint import OpenAIEndpoint
from tunekit.samplers.llm.similar import EarlierWorkload, distance, nearest
from tunekit.spaces import Params
from tunekit.studies.first_points import FIRST, PROFILE, enqueue_first_points
from tunekit.studies.tuning_pairs import tuning_pairs
from tunekit.testing.openai_server import Said, running_endpoint

SPACE = tk.Space(buffers=tk.Int(1, 10_000, log=True), workers=tk.Int(1, 8))


def loss(params: Any, read_ratio: float) -> float:
    """Best at buffers 100 for writes, 5,000 for reads."""
    best = 0.5 + 0.4 * (read_ratio - 0.1)
    place = BucketCodec(SPACE).encode(params)["buffers"]
    return abs(LABELS.index(str(place)) / 10 - best) + 0.01 * params["workers"]


def tuned(storage: Any, name: str, read_ratio: float, n: int = 12) -> tk.Study:
    study = tk.study(
        name, space=SPACE, storage=storage, sampler="random", seed=int(read_ratio * 10)
    )
    study.set_user_attr(PROFILE, {"read_ratio": read_ratio, "kind": "oltp"})
    study.optimize(lambda t: loss(t.params, read_ratio), n_trials=n, progress=False)
    return study


def reply(*points: dict[str, Any]) -> Said:
    document = {"rationale": "As for the similar workload.", "points": list(points)}
    return Said(json.dumps(document), usage={"prompt_tokens": 50, "completion_tokens": 20})


EIGHT = [{"buffers": LABELS[i + 1], "workers": 1 + i % 3} for i in range(8)]


def begun(storage: Any, answer: Any, name: str = "new", **options: Any) -> Any:
    study = tk.study(name, space=SPACE, storage=storage, sampler="random", seed=5)
    with running_endpoint(answer) as endpoint:
        backend = OpenAIEndpoint("m", base=endpoint.base)
        profile = {"read_ratio": 0.85, "kind": "oltp"}
        found = enqueue_first_points(study, profile, backend=backend, **options)
    return study, found, endpoint.requests


def test_eight_candidates_are_checked_and_ranked_and_two_run_before_the_sampler(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    for ratio in (0.1, 0.5, 0.9):
        tuned(url, f"w{ratio}", ratio)
    refused = []

    def check(params):
        bad = ["three workers are not allowed."] if params["workers"] == 3 else []
        refused.extend(bad)
        return bad

    study, found, requests = begun(
        url, lambda r: reply(*EIGHT), check=check, hardware="8 cores", schema="t(a, b)"
    )
    assert len(found.candidates) == 8 and refused
    assert len(found.chosen) == 2
    assert all(not c.problems and c.params["workers"] != 3 for c in found.chosen)
    expected = [c.expected for c in found.candidates]
    assert expected == sorted(expected)
    # The workload is like that of reads, whose best buffers are in the eighth part.
    assert min(abs(LABELS.index(c.buckets["buffers"]) - 8) for c in found.chosen) <= 1
    prompt = requests[0]["messages"][1]["content"]
    assert prompt.startswith("Choose 8 different configurations.")
    data = json.loads(prompt.split("DATA\n")[1])
    assert data["workload"] == {"read_ratio": 0.85, "kind": "oltp"}
    assert data["hardware"] == "8 cores" and data["schema"] == "t(a, b)"
    assert data["similar workloads"][0]["workload"]["read_ratio"] == 0.9
    assert len(data["similar workloads"]) == 3
    study.optimize(lambda t: loss(t.params, 0.85), n_trials=4, progress=False)
    samplers = [t.sampler for t in study.trials]
    assert samplers == ["user", "user", "random", "random"]
    assert [t.user_attrs.get("origin") for t in study.trials][:3] == ["language model"] * 2 + [
        None
    ]
    assert study.user_attrs[FIRST]["tokens"] == 70
    assert study.replay() == []


def test_a_study_that_was_begun_so_is_not_begun_again(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    begun(url, lambda r: reply(EIGHT[0]))
    study, found, requests = begun(url, lambda r: reply(EIGHT[1]))
    assert found is None and requests == []
    assert len(study.trials) == 1


def test_without_earlier_workloads_the_order_of_the_model_decides():
    _, found, requests = begun(None, lambda r: reply(*EIGHT), n_real=1)
    assert [c.expected for c in found.candidates] == [None] * 8
    assert dict(found.chosen[0].buckets) == EIGHT[0]
    assert "similar workloads" not in requests[0]["messages"][1]["content"]


HOSTILE = [
    Said(""), Said("no JSON here"), Said("{" * 5000), Said(json.dumps({"points": []})),
    Said(json.dumps({"points": [1, None, [], {"buffers": "200%"}]})),
    Said(json.dumps({"points": [{"buffers": "0-10%", "rm -rf /": 1}]})),
    Said(json.dumps({"points": [{"a": {"b": {"c": 1}}}], "rationale": {"x": 1}})),
    Said("no", status=400), Said("busy", status=500), Said(body=b"\\xff\\x00"),
]  # fmt: skip


@pytest.mark.parametrize("said", HOSTILE)
def test_a_model_that_is_of_no_use_leaves_the_study_as_it_is(said, monkeypatch):
    monkeypatch.setattr("tunekit.samplers.llm.retrying.FIRST_WAIT_S", 0.0)
    study, found, _ = begun(None, lambda r: said)
    assert found.chosen == () and found.problems
    study.optimize(lambda t: loss(t.params, 0.5), n_trials=2, progress=False)
    assert len(study.trials) == 2


def test_points_that_cannot_run_are_told_to_the_model_once():
    answers = [reply({"buffers": "lots"}), reply(EIGHT[0])]
    _, found, requests = begun(None, lambda r: answers[len(r["messages"]) // 4])
    assert [dict(c.buckets) for c in found.chosen] == [EIGHT[0]]
    assert len(requests) == 2 and found.tokens == 140
    assert "expected one of 0-10%" in requests[1]["messages"][-1]["content"]


@pytest.mark.parametrize(
    "profile", [{}, {"a": None}, {"a": [1]}, {1: 2.0}, {"a": float("nan")}, 3]
)
def test_a_profile_is_numbers_and_words(profile):
    study = tk.study(space=SPACE, sampler="random")
    with pytest.raises(InvalidArgument, match="expected a mapping of features"):
        enqueue_first_points(study, profile, backend=OpenAIEndpoint("m", base="http://x/v1"))


def workload(name: str, **profile: Any) -> EarlierWorkload:
    return EarlierWorkload(name, profile, SPACE.default())


def test_the_nearest_profiles_count_numbers_by_their_range_and_words_by_equality():
    known = [
        workload("far", ratio=0.1, size=1e9, kind="olap"),
        workload("near", ratio=0.8, size=2e6, kind="oltp"),
        workload("twin", ratio=0.9, size=1e6, kind="oltp"),
        workload("bare", other=1),
    ]
    new = {"ratio": 0.9, "size": 1e6, "kind": "oltp"}
    assert [w.name for w in nearest(new, known, 2)] == ["twin", "near"]
    among = [new, *(w.profile for w in known)]
    assert distance(new, new, among) == 0.0
    assert distance(new, known[0].profile, among) == pytest.approx(1.0)
    assert distance(new, {"other": 1}, among) == 1.0


def test_the_rank_learns_within_each_workload_whatever_its_unit():
    points = [Params({"buffers": b, "workers": 1}) for b in (2, 5, 30, 90, 300, 900, 2500, 8000)]
    slow = tuple((p, 1000.0 * loss(p, 0.9)) for p in points)
    fast = tuple((p, 0.001 * loss(p, 0.1)) for p in points)
    known = [
        EarlierWorkload("slow", {"read_ratio": 0.9}, points[6], slow),
        EarlierWorkload("fast", {"read_ratio": 0.1}, points[4], fast),
    ]
    assert EarlierRuns(SPACE, known).expected(points, {"read_ratio": 0.9}) is None  # too few
    runs = EarlierRuns(SPACE, [*known, *known])
    for ratio in (0.9, 0.1):
        expected = runs.expected(points, {"read_ratio": ratio})
        assert expected is not None
        best = points[expected.index(min(expected))]
        assert loss(best, ratio) == min(loss(p, ratio) for p in points)


def test_the_pairs_of_all_workloads_are_a_set_to_fine_tune_on(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    studies = [tuned(url, f"w{ratio}", ratio) for ratio in (0.1, 0.9)]
    other = tk.study("plain", space=SPACE, storage=url, sampler="random")
    lines = [json.loads(line) for line in tuning_pairs(other.storage)]
    assert len(lines) == 2
    for line, study in zip(lines, studies, strict=True):
        roles = [m["role"] for m in line["messages"]]
        assert roles == ["system", "user", "assistant"]
        answer = json.loads(line["messages"][2]["content"])
        read = BucketCodec(SPACE).decode(answer["points"][0]).params
        assert BucketCodec(SPACE).encode(read) == BucketCodec(SPACE).encode(study.best_params)
        assert (
            f'"read_ratio": {study.user_attrs[PROFILE]["read_ratio"]}'
            in (line["messages"][1]["content"])
        )
    with pytest.raises(InvalidArgument, match="'plain' has no profile"):
        list(tuning_pairs(other.storage, ["plain"]))
