"""The plan of a wind tunnel, which is stored with each of its rungs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunekit.checks import check_flag, check_number, is_whole, shown
from tunekit.errors import InvalidArgument, StorageError, TunekitError
from tunekit.samplers.coordinate.rules import CoordinateRules
from tunekit.scaling.rung_space import check_rules
from tunekit.scaling.rungs import KEY, Rung, ladder
from tunekit.scaling.transfer import parse_priors, priors_to_dict
from tunekit.scaling.transfer_rules import M, TransferRule, parse_rule
from tunekit.spaces import Scalar, Space
from tunekit_surrogates.scaling import Normal

FORMAT = 1
"""Version of the stored form."""

ENDING = ("coordinate", "grid")
"""Samplers that end by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelPlan:
    """What a wind tunnel does; the same in every process that works on it.

    Attributes:
        name: of the tunnel; its studies are `NAME-rung0` and so on.
        space: of the first rung, without the sizes.
        rungs: from small to large.
        multiplier: the size that `m` is the ratio of, `None` for the first.
        rules: path -> transfer rule of each number; what is missing is constant.
        priors: path -> size -> prior of a fitted rule.
        n_trials: of each rung at most; `None` until its certificate holds.
        sampler: of the first rung, with its options.
        descent: rules of the descents; a later rung takes `reach` from them, the first does not.
        freeze_stable: whether a rung varies only what the earlier ones have not shown as stable.
        stability: the tolerance of that report.
    """

    name: str
    space: Space
    rungs: tuple[Rung, ...]
    multiplier: str | None = None
    rules: Mapping[str, TransferRule] = field(default_factory=dict)
    priors: Mapping[str, Mapping[str, Normal]] = field(default_factory=dict)
    n_trials: tuple[int | None, ...] = ()
    sampler: str = "coordinate"
    sampler_options: Mapping[str, Any] = field(default_factory=dict)
    descent: CoordinateRules = field(default_factory=CoordinateRules)
    freeze_stable: bool = False
    stability: float = 1e-3

    def rule(self, path: str) -> TransferRule:
        """Return the rule of a parameter."""
        return self.rules.get(path, TransferRule("constant"))

    def study_name(self, index: int) -> str:
        """Return the name of a rung's study."""
        return rung_name(self.name, index)

    def attrs(self, rung: Rung, carried: Mapping[str, Scalar]) -> dict[str, Any]:
        """Return the attributes of a rung's study."""
        plan = {
            "rungs": [dict(r.sizes) for r in self.rungs],
            "multiplier": self.multiplier,
            "transfer": {
                p: dict(r.exponents) if r.text.startswith("{") else r.text
                for p, r in self.rules.items()
            },
            "priors": priors_to_dict(self.priors),
            "n_trials": list(self.n_trials),
            "sampler": self.sampler,
            "sampler_options": dict(self.sampler_options),
            "descent": descent_to_dict(self.descent),
            "freeze_stable": self.freeze_stable,
            "stability": self.stability,
        }
        own = {"format": FORMAT, "name": self.name, "rung": rung.to_dict(), "plan": plan}
        return {KEY: {**own, "carried": dict(carried)}}


def rung_name(name: str, index: int) -> str:
    """Return the name of the study of a rung."""
    return f"{name}-rung{index}"


def make_plan(
    name: str,
    space: Space,
    rungs: Sequence[Mapping[str, object]],
    *,
    transfer: Mapping[str, object] | None = None,
    multiplier: str | None = None,
    priors: Mapping[str, object] | None = None,
    n_trials: int | Sequence[int | None] | None = None,
    sampler: str = "coordinate",
    sampler_options: Mapping[str, Any] | None = None,
    descent: CoordinateRules | None = None,
    freeze_stable: bool = False,
    stability: float = 1e-3,
) -> TunnelPlan:
    """Return a checked plan.

    Raises:
        InvalidArgument: an argument that cannot be right; the message says which and why.
    """
    check_flag(freeze_stable, "freeze_stable")
    check_number(stability, "stability", low=0.0)
    names = list(rungs[0]) if isinstance(rungs, Sequence) and rungs else []
    names = [str(n) for n in names] if isinstance(names, list) else []
    rules = _rules(space, transfer, names)
    needs_m = any(M in r.exponents for r in rules.values())
    checked = ladder(rungs, multiplier, needs_m=needs_m)
    check_rules(space, rules, checked[0].sizes)
    descent = descent or CoordinateRules()
    descent.levels(space)  # fails here, at the door
    budgets = _budgets(n_trials, len(checked))
    if budgets[0] is None and sampler not in ENDING:
        raise InvalidArgument(
            f'the sampler "{sampler}" of the first rung does not end by itself; give n_trials=.'
        )
    known = _named(space, priors, "priors")
    for path in known:
        if path not in rules or not rules[path].is_fitted:
            raise InvalidArgument(
                f'priors: "{path}" has no rule to be fitted; give it transfer "law", or remove it.'
            )
    return TunnelPlan(
        name=name,
        space=space,
        rungs=checked,
        multiplier=multiplier,
        rules=rules,
        priors={path: parse_priors(given, path, names) for path, given in known.items()},
        n_trials=budgets,
        sampler=sampler,
        sampler_options=dict(sampler_options or {}),
        descent=descent,
        freeze_stable=freeze_stable,
        stability=float(stability),
    )


def stored_plan(attrs: Mapping[str, Any], space: Space, study: str) -> TunnelPlan:
    """Return the plan that is stored with the first rung.

    Raises:
        InvalidArgument: the study is not a rung of a wind tunnel.
        StorageError: a newer version of tunekit wrote it.
    """
    found = attrs.get(KEY)
    if not isinstance(found, Mapping):
        raise InvalidArgument(
            f"study {study!r} is not a rung of a wind tunnel; give space= and rungs= to make one "
            "of another name."
        )
    if found["format"] > FORMAT:
        raise StorageError(
            f"the wind tunnel of study {study!r} has the format {found['format']}, and this "
            f"version of tunekit knows {FORMAT}; update tunekit."
        )
    plan = dict(found["plan"])
    sizes = set(plan["rungs"][0])
    nodes = {name: node for name, node in space.nodes if name not in sizes}
    return make_plan(
        found["name"],
        Space(nodes, when=space.when, constraints=space.constraints),
        plan.pop("rungs"),
        descent=CoordinateRules.of(plan.pop("descent")),
        **plan,
    )


def descent_to_dict(rules: CoordinateRules) -> dict[str, Any]:
    """Return the rules of a descent as plain JSON, which are also the options of its sampler."""
    return {
        "n_points": rules.n_points,
        "values": {path: list(values) for path, values in rules.values.items()},
        "vary": None if rules.vary is None else list(rules.vary),
        "reach": rules.reach,
        "tolerance": rules.tolerance,
        "n_blocks": rules.n_blocks,
        "alpha": rules.alpha,
    }


def _rules(space: Space, given: object, names: Sequence[str]) -> dict[str, TransferRule]:
    return {
        path: parse_rule(rule, path, names)
        for path, rule in _named(space, given, "transfer").items()
    }


def _named(space: Space, given: object, what: str) -> dict[str, object]:
    """Return a mapping by full paths."""
    if given is not None and not isinstance(given, Mapping):
        raise InvalidArgument(f"{what}={shown(given)}, expected a mapping by parameter.")
    out: dict[str, object] = {}
    for name, value in (given or {}).items():
        try:
            out[space.resolve(name)] = value
        except (TunekitError, TypeError) as error:
            raise InvalidArgument(f"{what}: {getattr(error, 'message', error)}") from None
    return out


def _budgets(given: object, n: int) -> tuple[int | None, ...]:
    several: list[Any] = list(given) if isinstance(given, list | tuple) else [given] * n
    if len(several) != n or not all(v is None or (is_whole(v) and v >= 1) for v in several):
        raise InvalidArgument(
            f"n_trials={shown(given)}, expected a whole number of 1 or more, or a list with one "
            f"of these (or None) for each of the {n} rungs."
        )
    return tuple(several)
