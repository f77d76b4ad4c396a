"""Opens a wind tunnel of a storage, or makes one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunekit.api import Objectives
from tunekit.api import study as make_study
from tunekit.checkpoints.base import Checkpoints
from tunekit.checks import check_text, shown
from tunekit.errors import InvalidArgument, StudyExists, UnknownStudy
from tunekit.samplers.coordinate.rules import CoordinateRules
from tunekit.scaling.rung_space import rung_space
from tunekit.scaling.rungs import KEY
from tunekit.scaling.tunnel import WindTunnel
from tunekit.scaling.tunnel_plan import (
    TunnelPlan,
    descent_to_dict,
    make_plan,
    rung_name,
    stored_plan,
)
from tunekit.spaces import Scalar, Space
from tunekit.storages.base import Storage
from tunekit.studies.catalogue import storage_of


def wind_tunnel(
    name: str,
    *,
    space: Space | Mapping[str, object] | None = None,
    rungs: Sequence[Mapping[str, float]] | None = None,
    transfer: Mapping[str, object] | None = None,
    multiplier: str | None = None,
    objectives: Objectives | None = None,
    storage: str | Path | Storage | None = None,
    n_trials: int | Sequence[int | None] | None = None,
    sampler: str = "coordinate",
    sampler_options: Mapping[str, Any] | None = None,
    n_points: int = 5,
    values: Mapping[str, Sequence[Scalar]] | None = None,
    vary: Sequence[str] | None = None,
    reach: int | None = None,
    tolerance: float = 0.0,
    n_blocks: int = 1,
    alpha: float = 0.05,
    priors: Mapping[str, object] | None = None,
    freeze_stable: bool = False,
    stability: float = 1e-3,
    constraints: Sequence[str] | None = None,
    stopper: str | Sequence[str] | None = None,
    stopper_options: Mapping[str, Any] | None = None,
    checkpoints: str | Path | Checkpoints | None = None,
    seed: int | None = None,
) -> WindTunnel:
    """Open a wind tunnel, or make one: tune at a small size, carry the best point up, check it.

    Args:
        name: of the tunnel; its studies are `NAME-rung0`, `NAME-rung1` and so on.
        space: of the first rung; without it, an existing tunnel is opened.
        rungs: the sizes from small to large, such as `[{"width": 64, "N": 1e6, "D": 2e7}, ...]`.
            The objective finds them in `trial.params`.
        transfer: parameter -> rule: "constant" (the default), "1/m", "1/sqrt(m)", "m",
            "sqrt(m)", "m^-0.7"; size -> exponent such as `{"N": -0.713, "D": 0.307}`; a published
            law such as "step_law"; or "law", fitted over N and D (or m) to the rungs so far.
        multiplier: the size that m is the ratio of, where the rungs have several.
        objectives: as in `tunekit.study`, a single one.
        storage: as in `tunekit.study`.
        n_trials: most trials a rung, or a list of them; by default until its certificate holds.
        sampler: of the first rung; later ones descend by coordinates.
        sampler_options: of that sampler.
        n_points: values of a numeric parameter that a descent compares.
        values: parameter -> values in place of those, in units of the first rung; the rules carry
            them up.
        vary: the parameters to vary; by default all.
        reach: of later rungs, how many values to either side of the best they look; by default 1.
        tolerance: in the objective's unit; a change counts as better only by more than this.
        n_blocks: seeds or folds (`trial.block`) that a point is measured on at most.
        alpha: with several blocks, the probability that any change is wrongly called better.
        priors: parameter -> size -> (mean, sd) of the exponent of a "law"; for lr and batch size
            the defaults are those of `tunekit.scaling.fit`.
        freeze_stable: from the third rung on, vary only what the earlier ones have not shown to
            be stable.
        stability: relative loss excess that still counts as stable.
        constraints: as in `tunekit.study`.
        stopper: as in `tunekit.study`, by short name.
        stopper_options: as in `tunekit.study`.
        checkpoints: as in `tunekit.study`; not stored, so give it again to open the tunnel.
        seed: of the first rung; a later one adds its index.

    Raises:
        InvalidArgument: an argument that cannot be right.
        StudyExists: the tunnel exists with another plan.
        UnknownStudy: there is no such tunnel and no space to make it with.

    Reference: Hu et al., 2024, "MiniCPM", sections 3 and 4 (model wind tunnel).
    """
    check_text(name, "name")
    opened = storage_of(storage)
    if space is None and rungs is None:
        return WindTunnel(_kept(opened, name), opened, checkpoints)
    if space is None or rungs is None:
        raise InvalidArgument(
            "wind_tunnel: give space= and rungs= together, or neither to open an existing one."
        )
    _check_single(objectives)
    plan = make_plan(
        name,
        space if isinstance(space, Space) else Space(space),
        rungs,
        transfer=transfer,
        multiplier=multiplier,
        priors=priors,
        n_trials=n_trials,
        sampler=sampler,
        sampler_options=sampler_options,
        descent=CoordinateRules(
            n_points=n_points,
            values=values or {},
            vary=None if vary is None else tuple(vary),
            reach=reach,
            tolerance=tolerance,
            n_blocks=n_blocks,
            alpha=alpha,
        ),
        freeze_stable=freeze_stable,
        stability=stability,
    )
    _make_first(
        plan,
        opened,
        sampler,
        sampler_options or {},
        objectives=objectives,
        constraints=constraints,
        stopper=stopper,
        stopper_options=stopper_options,
        seed=seed,
        checkpoints=checkpoints,
    )
    return WindTunnel(plan, opened, checkpoints)


def _check_single(objectives: Objectives | None) -> None:
    if objectives is not None and not isinstance(objectives, str) and len(objectives) != 1:
        raise InvalidArgument(
            f"wind_tunnel: objectives={shown(objectives)}, expected one objective, by which the "
            "rungs compare points."
        )


def _make_first(
    plan: TunnelPlan,
    storage: Storage,
    sampler: str,
    sampler_options: Mapping[str, Any],
    **options: Any,
) -> None:
    """Make the study of the first rung, which keeps the plan; one with the same plan is taken.

    Raises:
        StudyExists: it exists with another plan.
    """
    first = plan.rungs[0]
    attrs = plan.attrs(first, {})
    own = {**descent_to_dict(plan.descent), "reach": None} if sampler == "coordinate" else {}
    made = make_study(
        plan.study_name(0),
        space=rung_space(plan.space, {}, first.sizes),
        storage=storage,
        sampler=sampler,
        sampler_options={**own, **sampler_options},
        attrs=attrs,
        **options,
    )
    if made.user_attrs.get(KEY, {}).get("plan") != attrs[KEY]["plan"]:
        raise StudyExists(
            f"the wind tunnel {plan.name!r} exists with another plan; open it with its name "
            "alone, or choose another name."
        )


def _kept(storage: Storage, name: str) -> TunnelPlan:
    """Return the plan of an existing tunnel."""
    try:
        record = storage.get_study(rung_name(name, 0))
    except UnknownStudy:
        raise UnknownStudy(
            f"there is no wind tunnel {name!r}; give space= and rungs= to make it."
        ) from None
    if record.spec.space is None:
        raise InvalidArgument(f"study {record.spec.name!r} is not a rung of a wind tunnel.")
    return stored_plan(record.spec.attrs, record.spec.space, record.spec.name)
