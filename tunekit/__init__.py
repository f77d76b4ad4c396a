"""tunekit: tuning over tree-structured search spaces, from a laptop to a cluster.

This module exports the public names. Each is imported on first use, so `import tunekit` is cheap
and loads no engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tunekit import decoding, scaling
    from tunekit.api import load_study, study
    from tunekit.checkpoints.base import Checkpoints
    from tunekit.errors import TrialPaused, TrialPruned, TrialStopped, TunekitError
    from tunekit.executors.prepared import Objective
    from tunekit.executors.trial import Trial
    from tunekit.optuna_studies import from_optuna
    from tunekit.records import Proposal, TrialState
    from tunekit.samplers.base import Sampler
    from tunekit.sharing.shared_run import share
    from tunekit.spaces import Categorical, Float, Int, Repeat, Space, When
    from tunekit.spaces.catalogue import load_space
    from tunekit.stoppers.base import Stopper
    from tunekit.studies.catalogue import copy_study, delete_study, study_names
    from tunekit.studies.study import Study
    from tunekit.tabular.propose import offline

_HOMES = {
    "study": "tunekit.api",
    "load_study": "tunekit.api",
    "copy_study": "tunekit.studies.catalogue",
    "delete_study": "tunekit.studies.catalogue",
    "from_optuna": "tunekit.optuna_studies",
    "study_names": "tunekit.studies.catalogue",
    "offline": "tunekit.tabular.propose",
    "share": "tunekit.sharing.shared_run",
    "Study": "tunekit.studies.study",
    "Trial": "tunekit.executors.trial",
    "Objective": "tunekit.executors.prepared",
    "Space": "tunekit.spaces",
    "Float": "tunekit.spaces",
    "Int": "tunekit.spaces",
    "Categorical": "tunekit.spaces",
    "Repeat": "tunekit.spaces",
    "When": "tunekit.spaces",
    "load_space": "tunekit.spaces.catalogue",
    "Sampler": "tunekit.samplers.base",
    "Stopper": "tunekit.stoppers.base",
    "Checkpoints": "tunekit.checkpoints.base",
    "TrialPaused": "tunekit.errors",
    "TrialPruned": "tunekit.errors",
    "TrialState": "tunekit.records",
    "TrialStopped": "tunekit.errors",
    "Proposal": "tunekit.records",
    "TunekitError": "tunekit.errors",
}

__all__ = [
    "Categorical",
    "Checkpoints",
    "Float",
    "Int",
    "Objective",
    "Proposal",
    "Repeat",
    "Sampler",
    "Space",
    "Stopper",
    "Study",
    "Trial",
    "TrialPaused",
    "TrialPruned",
    "TrialState",
    "TrialStopped",
    "TunekitError",
    "When",
    "__version__",
    "copy_study",
    "decoding",
    "delete_study",
    "from_optuna",
    "load_space",
    "load_study",
    "offline",
    "scaling",
    "share",
    "study",
    "study_names",
]


def __getattr__(name: str) -> Any:
    if name in ("decoding", "scaling"):  # whole modules: import_module sets them here
        return import_module(f"tunekit.{name}")
    if name not in _HOMES:
        from tunekit.optuna_names.words import unknown_name

        raise unknown_name("tunekit", name)
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
