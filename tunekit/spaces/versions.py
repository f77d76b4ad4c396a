"""Compares versions of a space: what changed, and which old trials are still valid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from tunekit.errors import InvalidArgument, InvalidParams, InvalidSpace
from tunekit.spaces.domains import Float, Int, Scalar, typed
from tunekit.spaces.parameters import Parameter
from tunekit.spaces.point import Params
from tunekit.spaces.tree import Categorical, Node, Repeat, Space, When
from tunekit.spaces.words import checked_sequence

Effect: TypeAlias = Literal["widening", "narrowing", "neutral"]


@dataclass(frozen=True, slots=True)
class SpaceChange:
    """One difference between two spaces.

    Attributes:
        path: path of the parameter, or text of the constraint.
        text: description of the change.
        effect: widening keeps every old point valid, narrowing may not, neutral moves defaults
            or the scale.
    """

    path: str
    text: str
    effect: Effect

    def __str__(self) -> str:
        return f"{self.path}: {self.text} ({self.effect})"


@dataclass(frozen=True, slots=True)
class SpaceEdit:
    """The effect of a new version of a space.

    Attributes:
        version: number of the new version.
        changes: one sentence per change.
        n_valid: number of trials that are points of the new space, with defaults for new
            parameters.
        n_outside: number of all others; they stay in the study, but no sampler sees them.
    """

    version: int
    changes: tuple[str, ...]
    n_valid: int
    n_outside: int


def diff(old: Space, new: Space) -> list[SpaceChange]:
    """Return the changes, in the order of the old space, then additions."""
    changes: list[SpaceChange] = []
    for path, p in old.by_path.items():
        if path not in new.by_path:
            changes.append(SpaceChange(path, "removed", "narrowing"))
            continue
        changes.extend(_domain_changes(p, new.by_path[path]))
        if p.conditions != new.by_path[path].conditions:
            changes.append(_condition_change(p, new.by_path[path]))
    for path, p in new.by_path.items():
        if path not in old.by_path:
            default = p.domain.default_value()
            changes.append(SpaceChange(path, f"added, old trials take {default!r}", "widening"))
    before = {(c.text, *c.names.values()): c.text for c in old.compiled_constraints}
    after = {(c.text, *c.names.values()): c.text for c in new.compiled_constraints}
    changes += [
        SpaceChange(before[k], "constraint removed", "widening") for k in before if k not in after
    ]
    changes += [
        SpaceChange(after[k], "constraint added", "narrowing") for k in after if k not in before
    ]
    return changes


def is_widening(old: Space, new: Space) -> bool:
    """Return whether every point of the old space is certain to fit the new one."""
    return all(change.effect != "narrowing" for change in diff(old, new))


def fitted(params: Mapping[str, Scalar], space: Space) -> Params | None:
    """Return an old trial's params as a point of a space, `None` if they do not fit.

    Parameters missing from the trial take their defaults.
    """
    if any(path not in space.by_path for path in params):  # no short names here
        return None
    try:
        return space.complete(params)
    except InvalidParams:
        return None


def widen(
    space: Space,
    path: str,
    *,
    lo: float | None = None,
    hi: float | None = None,
    choices: Sequence[Scalar] | Mapping[Any, Space | None] = (),
) -> Space:
    """Return the space with wider bounds, or more choices, for one parameter.

    A path within a stack (`layers.0.units`) changes the block, and so all of its copies.

    Raises:
        UnknownParameter: no such parameter.
        InvalidSpace: the change does not widen, or does not suit the kind of parameter.
    """

    def change(node: Node) -> Node:
        if isinstance(node, Categorical) and lo is None and hi is None:
            added: dict[Any, Any] = (
                dict(choices)
                if isinstance(choices, Mapping)
                else dict.fromkeys(checked_sequence(choices))
            )
            return Categorical(
                {**node.mapping(), **added}, ordered=node.ordered, default=node.default
            )
        return _with_bounds(node, path, lo, hi, bool(choices))

    return _directed(space, path, change, "narrowing", "widen")


def narrow(
    space: Space,
    path: str,
    *,
    lo: float | None = None,
    hi: float | None = None,
    choices: Sequence[Scalar] = (),
) -> Space:
    """Return the space with tighter bounds, or only these `choices`, for one parameter.

    A default outside the remaining values is dropped, as are child spaces that no value opens.

    Raises:
        UnknownParameter: no such parameter.
        InvalidSpace: the change does not narrow, or does not suit the kind of parameter.
    """

    def change(node: Node) -> Node:
        if not isinstance(node, Categorical) or lo is not None or hi is not None:
            return _with_bounds(node, path, lo, hi, bool(choices))
        kept = {node.validate(v, path) for v in checked_sequence(choices)}
        left = {g: child for g, child in node.mapping().items() if kept.issuperset(g)}
        if kept.difference(*left):
            raise InvalidSpace(
                f'narrow "{path}": choices that share a child space form its paths together; '
                "keep or remove all of them."
            )
        default = node.default if node.default in kept else ...
        return Categorical(left, ordered=node.ordered, default=default)

    return _directed(space, path, change, "widening", "narrow")


def _directed(
    space: Space, path: str, change: Callable[[Node], Node], against: Effect, verb: str
) -> Space:
    path = space.resolve(path)
    new = _replaced(space, "", path, change)
    wrong = [c for c in diff(space, new) if c.effect == against]
    if wrong:
        raise InvalidSpace(f'{verb} "{path}": {wrong[0]}; use the opposite of {verb}.')
    if new == space:
        raise InvalidArgument(f'{verb} "{path}": nothing changes; give lo=, hi= or choices=.')
    return new


def _with_bounds(
    node: Node, path: str, lo: float | None, hi: float | None, has_choices: bool
) -> Node:
    if has_choices or not isinstance(node, Float | Int | Repeat):
        raise InvalidSpace(
            f'"{path}" is {type(node).__name__}: '
            "give lo= and hi= for a range, choices= for a Categorical."
        )
    bounds = {"lo": node.lo if lo is None else lo, "hi": node.hi if hi is None else hi}
    if isinstance(node, Repeat):
        return replace(node, **bounds)  # type: ignore[arg-type]
    bare = replace(node, default=None, **bounds)  # type: ignore[arg-type]
    try:
        return bare if node.default is None else replace(bare, default=node.default)
    except InvalidSpace:
        return bare


def _replaced(space: Space, prefix: str, path: str, change: Callable[[Node], Node]) -> Space:
    nodes: dict[str, Node] = {}
    when = list(space.when)
    for name, node in space.nodes:
        here = prefix + name
        nodes[name] = node
        if here == path:
            nodes[name] = change(node)
            when = [w for w in (_kept(w, name, nodes[name]) for w in when) if w is not None]
        elif path.startswith(f"{here}."):
            nodes[name] = _in_child(node, here, path, change)
    when = [
        When(w.parent, w.values, _replaced(w.space, prefix, path, change), also=dict(w.also))
        for w in when
    ]
    return Space(nodes, when=when, constraints=space.constraints)


def _in_child(node: Node, here: str, path: str, change: Callable[[Node], Node]) -> Node:
    for label, values, child in node.openings():
        prefix = f"{here}.{label}."
        if not path.startswith(prefix):
            continue
        new = _replaced(child, prefix, path, change)
        if isinstance(node, Repeat):
            return replace(node, block=new)
        if isinstance(node, Categorical):
            choices = {**node.mapping(), values: new}
            return Categorical(choices, ordered=node.ordered, default=node.default)
    return node


def _kept(when: When, name: str, node: Node) -> When | None:
    """Return the child space with the remaining values of its parent, `None` without any."""
    conditions = dict(when.conditions)
    if name not in conditions or not isinstance(node, Categorical | Int):
        return when
    left = []
    for v in conditions[name]:
        try:
            left.append(node.validate(v, name))
        except InvalidParams:
            continue
    if not left:
        return None
    conditions[name] = tuple(left)
    return When(when.parent, conditions.pop(when.parent), when.space, also=conditions)


def _domain_changes(old: Parameter, new: Parameter) -> list[SpaceChange]:
    a, b, path = old.domain, new.domain, old.path
    if a == b:
        return []
    if isinstance(a, Categorical) and isinstance(b, Categorical):
        return _choice_changes(a, b, path)
    if not isinstance(a, Float | Int) or type(a) is not type(b):
        return [SpaceChange(path, f"changed from {a!r} to {b!r}", "narrowing")]
    return _range_changes(a, b, path)  # type: ignore[arg-type]


def _choice_changes(a: Categorical, b: Categorical, path: str) -> list[SpaceChange]:
    before, after = typed(*a.choices), typed(*b.choices)
    known, wanted = set(before), set(after)
    changes = []
    if added := [v for k, v in after if (k, v) not in known]:
        changes.append(SpaceChange(path, f"choices {added!r} added", "widening"))
    if removed := [v for k, v in before if (k, v) not in wanted]:
        changes.append(SpaceChange(path, f"choices {removed!r} removed", "narrowing"))
    if typed(a.default) != typed(b.default):
        changes.append(SpaceChange(path, f"default {a.default!r} -> {b.default!r}", "neutral"))
    if a.ordered != b.ordered or (not added and not removed and before != after):
        changes.append(SpaceChange(path, "order changed", "neutral"))
    return changes


def _range_changes(a: Float | Int, b: Float | Int, path: str) -> list[SpaceChange]:
    changes = []
    if (a.lo, a.hi) != (b.lo, b.hi):
        text = f"[{a.lo!r}, {a.hi!r}] -> [{b.lo!r}, {b.hi!r}]"
        if b.lo < a.lo or b.hi > a.hi:
            changes.append(SpaceChange(path, f"bounds {text}", "widening"))
        if b.lo > a.lo or b.hi < a.hi:
            changes.append(SpaceChange(path, f"bounds {text}", "narrowing"))
    if (a.step, a.lo if a.step else None) != (b.step, b.lo if b.step else None):
        effect: Effect = "widening" if _is_finer(a, b) else "narrowing"
        if a.step != b.step or effect == "narrowing":
            changes.append(SpaceChange(path, f"step {a.step!r} -> {b.step!r}", effect))
    for name in ("log", "default", "fidelity", "scale"):
        before, after = getattr(a, name), getattr(b, name)
        if before != after:
            changes.append(SpaceChange(path, f"{name} {before!r} -> {after!r}", "neutral"))
    if added := [v for v in b.special if v not in a.special]:
        changes.append(SpaceChange(path, f"special values {added!r} added", "widening"))
    if removed := [v for v in a.special if v not in b.special]:
        changes.append(SpaceChange(path, f"special values {removed!r} removed", "narrowing"))
    return changes


def _is_finer(a: Float | Int, b: Float | Int) -> bool:
    """Return whether every value of the old grid lies on the new one."""
    if b.step is None:
        return True
    step = a.step or (1 if isinstance(a, Int) else None)
    if step is None:
        return False
    ratio, offset = step / b.step, (a.lo - b.lo) / b.step
    return abs(ratio - round(ratio)) < 1e-9 and abs(offset - round(offset)) < 1e-9


def _condition_change(old: Parameter, new: Parameter) -> SpaceChange:
    before = {c.parent: c.values for c in old.conditions}
    wider = all(c.values >= before[c.parent] for c in new.conditions if c.parent in before)
    looser = wider and all(c.parent in before for c in new.conditions)
    text = f"active when {new.requirement() or 'always'}, was {old.requirement() or 'always'}"
    return SpaceChange(old.path, text, "widening" if looser else "narrowing")
