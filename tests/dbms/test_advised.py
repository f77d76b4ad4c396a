"""Tuning begun with a model's configurations: all valid for the server, two of them run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.dbms.simulated import Queries, SimulatedTarget
from tunekit.studies.first_points import FIRST
from tunekit.testing.openai_server import Said, running_endpoint
from tunekit_integrations.dbms.advised import features_of
from tunekit_integrations.dbms.journal import Journals
from tunekit_integrations.dbms.protocol_options import ProtocolOptions
from tunekit_integrations.dbms.records import Instance, Machine
from tunekit_integrations.dbms.tuning import Tuned, tune_knobs

QUICK = ProtocolOptions(n_blocks=1, round_blocks=1, patience_s=0.0)
FAST = {"buffers": "50-60%", "work": "40-50%", "random_page_cost": "0-10%", "turbo": True}
CHOSEN = [{**FAST, "buffers": "90-100%"}, FAST, {**FAST, "turbo": False}, {"fsync": False}]


def answer(request: dict[str, Any]) -> Said:
    in_buckets = "bucket" in request["messages"][0]["content"]
    points = CHOSEN if in_buckets else []
    return Said(json.dumps({"rationale": "Memory first.", "points": points}))


def tuned(target: SimulatedTarget, tmp_path: Path, base: str, name: str = "advised") -> Tuned:
    return tune_knobs(
        target,
        Queries(),
        n_trials=5,
        name=name,
        storage=f"sqlite:///{tmp_path}/knobs.db",
        llm={"model": "any", "base": base},
        options=QUICK,
        journals=Journals(tmp_path / "journals"),
        progress=False,
    )


def test_valid_configurations_of_a_model_run_after_the_rules_of_thumb(tmp_path: Path) -> None:
    target = SimulatedTarget(factor=lambda s: 0.8 if s.get("turbo") else 1.0, slice_sd=0.005)
    with running_endpoint(answer) as endpoint:
        found = tuned(target, tmp_path, endpoint.base)
        again = tuned(target, tmp_path, endpoint.base)
        asked = [r for r in endpoint.requests if "bucket" in r["messages"][0]["content"]]
    assert len(asked) == 1 and found.study.name == again.study.name
    origins = [t.user_attrs["knobs"].get("origin") for t in found.study.trials]
    assert origins[0] == "in force" and origins.count("language model") == 2
    notes = [t.user_attrs["knobs"] for t in found.study.trials]
    advised = [n["settings"] for n in notes if n.get("origin") == "language model"]
    assert [bool(s.get("turbo")) for s in advised] == [True, False]
    kept = found.study.user_attrs[FIRST]
    refused = [c for c in kept["candidates"] if c["problems"]]
    assert [c["problems"] for c in refused] == [["buffers would take 3104 MB of 3000 MB."]]
    assert any("fsync" in problem for problem in kept["problems"])
    told = json.loads(asked[0]["messages"][1]["content"].split("DATA\n")[1])
    assert told["workload"]["system"] == "simulated" and "2 processors" in told["hardware"]
    assert found.settings["turbo"] is True


def test_a_second_workload_learns_from_the_first(tmp_path: Path) -> None:
    target = SimulatedTarget(factor=lambda s: 0.8 if s.get("turbo") else 1.0, slice_sd=0.005)
    with running_endpoint(answer) as endpoint:
        tuned(target, tmp_path, endpoint.base)
        tuned(target, tmp_path, endpoint.base, name="second")
        asked = [r for r in endpoint.requests if "bucket" in r["messages"][0]["content"]]
    told = json.loads(asked[1]["messages"][1]["content"].split("DATA\n")[1])
    (example,) = told["similar workloads"]
    assert example["point"]["turbo"] is True


def test_a_model_that_is_away_changes_nothing(tmp_path: Path) -> None:
    target = SimulatedTarget(slice_sd=0.005)
    with running_endpoint(lambda request: Said("no", status=404)) as endpoint:
        found = tuned(target, tmp_path, endpoint.base)
    assert len(found.study.trials) == 5
    origins = [t.user_attrs["knobs"].get("origin") for t in found.study.trials]
    assert "language model" not in origins


def test_the_features_of_the_statements_are_part_of_the_profile() -> None:
    instance = Instance("postgresql", (15, 8), Machine(4 * 2**30, 2, 2**40))
    found = features_of(instance, Queries(), {"tables": 8})
    assert (found["read_ratio"], found["n_queries"], found["tables"]) == (1.0, 1, 8)
    assert (found["system"], found["version"], found["memory_gb"]) == ("postgresql", 15, 4.0)
