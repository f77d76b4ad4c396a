"""Tunes the knobs of a server: a study that starts from rules of thumb and ends in a verdict."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunekit.analysis.charts.knobs import MARK
from tunekit.api import study as open_study
from tunekit.errors import ExecutorFailed, InvalidArgument, ObjectiveFailed
from tunekit.spaces import Space
from tunekit.storages.base import Storage
from tunekit.studies.study import Study
from tunekit_integrations.dbms.advised import enqueue_advised
from tunekit_integrations.dbms.candidates import point_with
from tunekit_integrations.dbms.evidence import RunFindings, told
from tunekit_integrations.dbms.finalists import Judged, best_first, judge_finalists
from tunekit_integrations.dbms.formulas import formula
from tunekit_integrations.dbms.guard import own_configuration_kept
from tunekit_integrations.dbms.journal import Journals
from tunekit_integrations.dbms.protocol import Protocol
from tunekit_integrations.dbms.protocol_options import ProtocolOptions
from tunekit_integrations.dbms.records import Settings
from tunekit_integrations.dbms.space import space_for
from tunekit_integrations.dbms.target import KnobTarget, Workload
from tunekit_integrations.dbms.trials import COST, NOTE, OBJECTIVE, KnobTrials, TrialFailed


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a tuning run found.

    Attributes:
        study: with all trials, and what the report tells in its attribute "knobs".
        settings: the accepted changes; empty where there is no significant gain.
        judged: the candidates that were measured again, with their verdicts.
    """

    study: Study
    settings: Settings
    judged: tuple[Judged, ...]


def tune_knobs(
    target: KnobTarget,
    workload: Workload,
    *,
    n_trials: int = 20,
    storage: str | Path | Storage | None = None,
    name: str | None = None,
    kind: str = "",
    only: Collection[str] = (),
    opened: Collection[str] = (),
    max_tier: int = 1,
    sampler: str = "auto",
    sampler_options: Mapping[str, Any] | None = None,
    llm: Mapping[str, Any] | None = None,
    options: ProtocolOptions | None = None,
    journals: Journals | None = None,
    seed: int = 0,
    progress: bool | None = None,
    said: Callable[[str], None] = lambda _: None,
) -> Tuned:
    """Tune the knobs of a server, and leave it with its own configuration.

    The trials are the configuration in force, the rules of thumb, and then what the sampler
    proposes, which knows what a restart costs. Each is measured in turns with the default, on a
    twin where the target can make one. The best ones are measured again, across restarts where
    allowed, and accepted only if they beat what the default gains over itself.

    A study of the same name goes on; one that has all its trials is judged again.

    Args:
        target: the server; a restart is possible only where its instance says so.
        workload: that it is measured under.
        n_trials: of the study, the default and the rules of thumb among them.
        storage: of the study.
        name: of the study; by default that of the system and the workload.
        kind: short name of the target, by which `tunekit knobs rollback` opens it again.
        only: knobs to search; all up to `max_tier` if empty.
        opened: durability knobs that are searched all the same; what can be lost is reported.
        max_tier: of the knobs searched.
        sampler: short name of the sampler.
        sampler_options: of the sampler.
        llm: options of the sampler "llm", to let a language model advise; it chooses up to two
            of the first configurations, too.
        options: of the trial protocol.
        journals: where the rollback journal is kept.
        seed: of the study and of the work drawn.
        progress: whether the progress of trials is shown.
        said: takes what happens, one sentence at a time.

    Raises:
        InvalidArgument: nothing can be searched, or the server is managed: its settings can only
            be proposed.
        TargetFailure: the server fails with its own configuration.
        ExecutorFailed: the server does not come back after a failure; the study is intact.
        NotReverted: the server did not take its configuration back; the journal stays.
        KeyboardInterrupt: it was interrupted; the server has its own configuration.
    """
    if target.instance.is_managed:
        raise InvalidArgument(
            "this server is managed by others, so nothing can be changed or measured here; "
            "`tunekit knobs apply` writes a file that a person applies."
        )
    options = options or ProtocolOptions()
    with ExitStack() as held:
        held.enter_context(
            own_configuration_kept(
                target, kind, journals or Journals(), said, patience_s=options.patience_s
            )
        )
        said("preparing the data of the workload")
        workload.prepare(target.url)
        twin = target.clone()
        if twin is not None:
            held.callback(twin.close)
            twin.snapshot()
        protocol = Protocol(target, twin, workload, options, seed=seed, said=said)
        searched = space_for(
            target.catalogue,
            protocol.default.in_force,
            machine=target.instance.machine,
            clients=workload.clients,
            only=only,
            opened=opened,
            max_tier=max_tier,
            may_restart=target.instance.may_restart,
        )
        chosen = _sampler(sampler, sampler_options, llm, n_trials, target, workload)
        study = _opened(name, searched.space, storage, seed, target, workload, chosen)
        protocol.calibrate()
        _enqueue_first(study, searched.space, protocol, workload)
        if llm is not None:
            in_force = protocol.default.in_force
            enqueue_advised(study, target, workload, in_force, llm=llm, said=said)
        _run(study, KnobTrials(protocol, workload), n_trials, progress)
        judged = judge_finalists(protocol, best_first(study, protocol), workload, said)
        accepted = next((j for j in judged if j.is_accepted), None)
        found = RunFindings(
            target, workload, protocol, judged, dict(searched.left_out), tuple(opened)
        )
        study.set_user_attr(NOTE, told(found))
        return Tuned(study, {} if accepted is None else accepted.settings, judged)


def _opened(
    name: str | None,
    space: Space,
    storage: str | Path | Storage | None,
    seed: int,
    target: KnobTarget,
    workload: Workload,
    sampler: tuple[str, dict[str, Any]],
) -> Study:
    plain = re.sub(r"[^\w.-]+", "-", f"knobs-{target.instance.system}-{workload.name}")
    return open_study(
        name or plain,
        space=space,
        objectives={OBJECTIVE: "minimize"},
        storage=storage,
        sampler=sampler[0],
        sampler_options=sampler[1],
        seed=seed,
        attrs=MARK,
    )


def _sampler(
    sampler: str,
    options: Mapping[str, Any] | None,
    llm: Mapping[str, Any] | None,
    n_trials: int,
    target: KnobTarget,
    workload: Workload,
) -> tuple[str, dict[str, Any]]:
    """Return the sampler with the options that the user has not given.

    A language model advises `auto`, which knows the costs; with another sampler it replaces that.
    """
    costs = {"cost": COST, "budget": n_trials} if sampler in ("auto", "bayesian") else {}
    if llm is None:
        return sampler, {**costs, **(options or {})}
    machine = target.instance.machine
    task = (
        f"Knobs of {target.instance.system} {'.'.join(map(str, target.instance.version))} under "
        f"the workload {workload.name} with {workload.clients} clients, on {machine.cpus} "
        f"processors and {machine.ram_bytes / 2**30:.1f} GB of memory. {OBJECTIVE} is the time of "
        "a unit of work as a share of the default configuration's."
    )
    if sampler == "auto":
        return sampler, {**costs, **(options or {}), "llm": {"task": task, **llm}}
    return "llm", {"task": task, **llm}


def _enqueue_first(study: Study, space: Space, protocol: Protocol, workload: Workload) -> None:
    """Enqueue the configuration in force and the rules of thumb, unless they were tried."""
    target = protocol.default.target
    default = {p: v for p, v in space.complete({}).items()}
    first = {NOTE: {"origin": "in force"}}
    study.enqueue_trial(default, user_attrs=first, skip_if_exists=True)
    rules = formula(
        target.catalogue,
        protocol.default.in_force,
        target.instance,
        clients=workload.clients,
        use="queries" if workload.is_query_set else "transactions",
    )
    point = point_with(space, rules)
    if point is not None and dict(point) != default:
        note = {NOTE: {"origin": "rules of thumb"}}
        study.enqueue_trial(point, user_attrs=note, skip_if_exists=True)


def _run(study: Study, trials: KnobTrials, n_trials: int, progress: bool | None) -> None:
    """Run what is missing of the trials; no failure of one ends the run."""
    try:
        study.optimize(
            trials,
            total_trials=n_trials,
            executor="inline",
            catch=(TrialFailed,),
            max_failed_trials=n_trials,
            progress=progress,
        )
    except ObjectiveFailed as error:
        if isinstance(error.__cause__, ExecutorFailed):
            raise error.__cause__ from None
        raise
