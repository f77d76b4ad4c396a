"""Names of Optuna that stand for something else here, each with what to use in its place."""

from __future__ import annotations

from collections.abc import Mapping

_CONSTRAINTS = (
    'measure it as a metric and bound it: tk.study(constraints=["latency_ms <= 8"]); bounds on '
    "params belong in the space: tk.Space(..., constraints=[...])"
)
_ATTRS = "keep plain JSON with set_user_attr and read it from user_attrs"

INSTEAD: Mapping[str, Mapping[str, str]] = {
    "tunekit": {
        "create_study": "tk.study(...) makes a study, and opens it where it exists",
        "get_all_study_names": "tk.study_names(storage=...) gives them",
        "get_all_study_summaries": "tk.study_names(storage=...) gives the names, load_study each",
        "create_trial": "study.add_trial takes what optuna.trial.create_trial gives",
        "samplers": "keep importing optuna for them; tk.study(sampler=...) takes its objects",
        "pruners": "keep importing optuna for them; tk.study(pruner=...) takes its objects",
        "visualization": "give study.to_optuna() to the functions of optuna.visualization",
        "importance": "study.importance() gives the shares",
        "logging": 'tunekit logs under the name "tunekit" of the module logging',
        "storages": "tk.study(storage=...) takes a URL or a path",
        "artifacts": "trial.save_checkpoint keeps files with a trial",
        "distributions": "tk.Float, tk.Int and tk.Categorical are the domains",
    },
    "Study": {
        "system_attrs": _ATTRS,
        "set_system_attr": _ATTRS,
        "set_metric_names": 'name them at the start: tk.study(objectives={"error": "minimize"})',
        "pruner": "study.stopper is it",
    },
    "Trial": {
        "system_attrs": _ATTRS,
        "set_system_attr": _ATTRS,
        "set_constraint": _CONSTRAINTS,
        "constraints": _CONSTRAINTS,
        "suggest_uniform": "use suggest_float(name, low, high)",
        "suggest_loguniform": "use suggest_float(name, low, high, log=True)",
        "suggest_discrete_uniform": "use suggest_float(name, low, high, step=q)",
        "relative_params": "trial.params has the whole point",
        "distributions": "trial.domains has what the program asked for",
        "datetime_start": "study.trials[trial.number].datetime_start has it",
    },
    "TrialRecord": {
        "system_attrs": "sampler, reason, evidence, end_reason and stop_evidence say it",
        "constraints": "metrics has what was measured, study.history.violation(trial) by how much",
        "set_user_attr": "a record does not change; study.storage.set_trial_attrs does it",
        "report": "a record does not change; study.ask() gives a trial that reports",
        "should_prune": "a record does not change; study.ask() gives a trial that is judged",
    },
}


def unknown_name(owner: str, name: str) -> AttributeError:
    """Return the error for a name that `owner` does not have, with what to use in its place."""
    instead = INSTEAD.get(owner, {}).get(name)
    has = f"module {owner!r}" if owner == "tunekit" else f"{owner!r} object"
    why = f"; {instead}." if instead else ""
    return AttributeError(f"{has} has no attribute {name!r}{why}")
