"""Converts Optuna sampler and pruner objects to parts of a study."""

from __future__ import annotations

from typing import Any

from tunekit.errors import InvalidArgument
from tunekit.identifiers import new_seed


def adopted(part: Any) -> Any:
    """Return a part that works here for an object of Optuna's; anything else as it is.

    Optuna is not imported for it: who has such an object has imported it.

    Raises:
        InvalidArgument: a class, a `BruteForceSampler`, or a sampler that computes constraints
            from the trial.
    """
    if isinstance(part, type) and part.__module__.startswith("optuna."):
        raise InvalidArgument(
            f"got the class {part.__name__}, expected an object of it: write {part.__name__}()."
        )
    if _is_a(part, "BruteForceSampler", "optuna.samplers"):
        raise InvalidArgument('sampler=BruteForceSampler(...): use sampler="grid" instead.')
    if _is_a(part, "GridSampler", "optuna.samplers"):
        from tunekit.samplers.optuna_bridge.grid import OptunaGridObject

        return OptunaGridObject(part)
    if _is_a(part, "BaseSampler", "optuna.samplers"):
        from tunekit.samplers.optuna_bridge.given import OptunaSamplerObject

        return OptunaSamplerObject(part)
    if _is_a(part, "BasePruner", "optuna.pruners"):
        from tunekit.stoppers.optuna_pruner import OptunaPrunerStopper

        return OptunaPrunerStopper(part)
    return part


def own_seed(part: Any) -> int:
    """Return a seed for a new study: that of a sampler of Optuna's, else a random one."""
    found = getattr(part, "seed", None) if type(part).__name__ == "OptunaSamplerObject" else None
    return new_seed() if found is None else int(found)


def _is_a(part: object, name: str, package: str) -> bool:
    return any(c.__name__ == name and c.__module__.startswith(package) for c in type(part).__mro__)
