"""Begins a tuning study with configurations that a language model chooses for the workload."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tunekit.samplers.llm.chosen_backend import backend_of
from tunekit.samplers.llm.similar import Profile
from tunekit.spaces import Params
from tunekit.studies.first_points import enqueue_first_points
from tunekit.studies.study import Study
from tunekit_integrations.dbms.candidates import changes_of
from tunekit_integrations.dbms.profile import profile_of
from tunekit_integrations.dbms.records import InForce, Instance, TargetFailure
from tunekit_integrations.dbms.target import KnobTarget, Workload
from tunekit_integrations.dbms.trials import NOTE, OBJECTIVE
from tunekit_integrations.dbms.workloads.statements import DIALECTS


def enqueue_advised(
    study: Study,
    target: KnobTarget,
    workload: Workload,
    in_force: Mapping[str, InForce],
    *,
    llm: Mapping[str, Any],
    features: Profile | None = None,
    said: Callable[[str], None] = lambda _: None,
) -> None:
    """Enqueue at most two of eight configurations of a model, all valid for the server.

    Args:
        study: over the knobs.
        target: the server, whose check refuses configurations.
        workload: that it is tuned for.
        in_force: its knobs.
        llm: options of the sampler "llm": of them `model`, `base` and `price` count here.
        features: what else is known of the workload.
        said: takes what happens, one sentence at a time.
    """
    instance = target.instance
    machine = instance.machine
    backend = backend_of(
        str(llm["model"]),
        base=str(llm.get("base", "")),
        temperature=float(llm.get("temperature", 0.7)),
        per_million=llm.get("price"),
    )

    def check(params: Params) -> tuple[str, ...]:
        try:
            return target.check(changes_of(params, in_force)).errors
        except TargetFailure as failure:
            return (failure.message,)

    found = enqueue_first_points(
        study,
        features_of(instance, workload, features),
        backend=backend,
        hardware=f"{machine.cpus} processors, {machine.ram_bytes / 2**30:.1f} GB of memory",
        task=f"minimize {OBJECTIVE}: time of a unit of work as a share of the default's",
        check=check,
        user_attrs={NOTE: {"origin": "language model"}},
    )
    if found is not None:
        said(
            f"a language model chose {len(found.candidates)} configurations, of which "
            f"{len(found.chosen)} run"
            + (f"; {found.problems[-1]}" if found.problems and not found.chosen else "")
        )


def features_of(
    instance: Instance, workload: Workload, features: Profile | None = None
) -> dict[str, Any]:
    """Return the features of a workload on a server, by which similar ones are found."""
    return {
        "system": instance.system,
        "version": instance.version[0],
        "workload": workload.name,
        "kind": "queries" if workload.is_query_set else "transactions",
        "clients": workload.clients,
        "processors": instance.machine.cpus,
        "memory_gb": round(instance.machine.ram_bytes / 2**30, 1),
        **_of_statements(instance.system, workload.queries()),
        **(features or {}),
    }


def _of_statements(system: str, queries: Mapping[str, str]) -> dict[str, float]:
    """Return the features of the statements of a workload, where they can be read."""
    if system not in DIALECTS or not queries:
        return {}
    told = profile_of(queries, system=system).to_dict()
    names = [k for k in told if k.endswith("_ratio")]
    return {k: round(told[k], 4) for k in (*names, "n_queries", "predicates_per_query")}
