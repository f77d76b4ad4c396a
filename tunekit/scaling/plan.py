"""The next runs of a law, as points that a study can enqueue."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tunekit.errors import InvalidArgument
from tunekit.scaling.roles import Roles
from tunekit.spaces import Categorical, Domain, Float, Int, Space
from tunekit_surrogates.scaling import PlannedRun

COLUMNS = ("N", "D", "lr", "bs", "flops", "purpose")

Sizes = Mapping[float, Mapping[str, Any]] | Callable[[float], Mapping[str, Any]]
"""N -> the params that make a model of this size, where N is not a parameter of the space."""

BEYOND = 4.0
"""Factor by which a learning rate, batch size or weight decay may lie beyond the range of its
parameter, whose end it then takes: runs of a plan lie around the law's choice."""

SAME_SIZE = 0.05
"""Relative difference up to which a given size stands for the N of a planned run."""


class EnqueuingStudy(Protocol):
    """The part of a study that a plan needs."""

    name: str

    @property
    def space(self) -> Space: ...  # noqa: D102
    def enqueue_trial(  # noqa: D102
        self, params: Mapping[str, object], *, user_attrs: Mapping[str, Any] | None = None
    ) -> int: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """Runs that are worth their compute, in the order in which to run them.

    Attributes:
        runs: small cells first, those at the target last; batch sizes in tokens.
        budget_flops: the compute that they may take together.
        roles: of the law, which say what the parameters are called.
    """

    runs: tuple[PlannedRun, ...]
    budget_flops: float
    roles: Roles

    def __len__(self) -> int:
        return len(self.runs)

    @property
    def flops(self) -> float:
        """Return the compute of all runs."""
        return sum(run.flops for run in self.runs)

    def rows(self) -> list[dict[str, Any]]:
        """Return one mapping for each run, with the names of the law's roles."""
        return [
            {
                "N": run.n,
                "D": run.d,
                "lr": run.lr,
                "bs": run.bs,
                "flops": run.flops,
                "purpose": run.purpose,
                **({} if run.wd is None else {"wd": run.wd}),
                **({"factor": run.factor} if run.factor else {}),
            }
            for run in self.runs
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain JSON."""
        return {"budget_flops": self.budget_flops, "flops": self.flops, "runs": self.rows()}

    def params(self, space: Space, *, sizes: Sizes | None = None) -> list[dict[str, Any]]:
        """Return a point, or a part of one, for each run.

        Each value is the nearest that its parameter has.

        Args:
            space: of the study that is to run them.
            sizes: N -> the params that make a model of this size, needed where N is an
                attribute or a metric; the nearest size in the mapping is taken, or it is a
                function of N.

        Raises:
            InvalidArgument: a role is played by no parameter of the space, or a value lies far
                outside its range.
        """
        return [self._point(run, space, sizes) for run in self.runs]

    def enqueue(self, study: EnqueuingStudy, *, sizes: Sizes | None = None) -> list[int]:
        """Enqueue each run as a trial of a study; return the numbers of the trials.

        What the law says nothing of is proposed by the study's sampler. Each trial keeps its
        purpose in the attribute "scaling".

        Raises:
            InvalidArgument, InvalidParams: as `params`; nothing is enqueued then.
        """
        points = self.params(study.space, sizes=sizes)
        return [
            study.enqueue_trial(point, user_attrs={"scaling": run.purpose})
            for run, point in zip(self.runs, points, strict=True)
        ]

    def _point(self, run: PlannedRun, space: Space, sizes: Sizes | None) -> dict[str, Any]:
        bs = run.bs / self.roles.tokens_per_batch_unit
        wanted = {"n": run.n, "d": run.d, "lr": run.lr, "bs": bs}
        if run.wd is not None:
            wanted["wd"] = run.wd
        point: dict[str, Any] = {}
        for role, value in wanted.items():
            if role == "n" and sizes is not None:
                point.update(_of_size(sizes, run.n))
                continue
            path = _path(role, self.roles, space)
            if path is not None:
                point[path] = nearest(space.by_path[path].domain, value, path, role)
        return point

    def __str__(self) -> str:
        head = (
            f"{len(self.runs)} runs of {self.flops:.3g} FLOPs in all, of a budget of "
            f"{self.budget_flops:.3g}:"
        )
        lines = [
            f"  N={r.n:.4g} D={r.d:.4g}: lr {r.lr:.3g}, bs {r.bs:.3g} tokens ({r.purpose})"
            for r in self.runs
        ]
        return "\n".join([head, *lines])


def _path(role: str, roles: Roles, space: Space) -> str | None:
    """Return the path of the parameter that plays a role; `None` if the role is one number."""
    source = getattr(roles, role)
    if role.upper() in space.scales and role in ("n", "d"):
        return space.scales[role.upper()]
    if isinstance(source, str):
        name = source.removeprefix("params.")
        matching = [p for p in space.by_path if p == name or p.endswith(f".{name}")]
        if len(matching) == 1:
            return matching[0]
    elif source is not None and not callable(source):
        return None
    what = f'"{source}"' if isinstance(source, str) else "a function"
    advice = (
        "give sizes={N: {parameter: value, ...}}"
        if role == "n"
        else "fit the law with the name of the parameter"
    )
    raise InvalidArgument(
        f"scaling: the law reads {role} from {what}, not a parameter of this space, so no "
        f"trial can be enqueued with it; {advice}."
    )


def _of_size(sizes: Sizes, n: float) -> Mapping[str, Any]:
    if callable(sizes):
        return sizes(n)
    best = min(sizes, key=lambda size: abs(math.log(size / n)))
    if abs(math.log(best / n)) > math.log1p(SAME_SIZE):
        known = ", ".join(f"{size:g}" for size in sorted(sizes))
        raise InvalidArgument(
            f"scaling: a run of N={n:g} is planned, but sizes= has {known}; add this size, or "
            "plan with cells= of the sizes that you have."
        )
    return sizes[best]


def nearest(domain: Domain, value: float, path: str, role: str) -> Any:
    """Return the value of a domain that is nearest to a positive number on a log scale.

    Raises:
        InvalidArgument: the number lies far outside the range, or no choice is one above 0.
    """
    if isinstance(domain, Categorical):
        numbers = [c for c in domain.choices if isinstance(c, int | float) and c > 0]
        if numbers:
            return min(numbers, key=lambda c: abs(math.log(c / value)))
    if not isinstance(domain, Float | Int):
        raise InvalidArgument(f'scaling: the parameter "{path}" has no numbers to be {role}.')
    step = float(domain.step or (1.0 if isinstance(domain, Int) else 0.0)) / 2
    slack = BEYOND if role in ("lr", "bs", "wd") else 1.0
    if not (domain.lo - step) / slack <= value <= (domain.hi + step) * slack:
        raise InvalidArgument(
            f'scaling: the plan has {role}={value:g}, but "{path}" ranges over [{domain.lo:g}, '
            f"{domain.hi:g}]; widen it with study.edit_space(...)."
        )
    return domain.from_unit(domain.to_unit(min(max(value, domain.lo), domain.hi)))
