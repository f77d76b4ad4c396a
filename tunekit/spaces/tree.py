"""The search space: a frozen tree of parameters whose choices open child spaces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from tunekit.errors import InvalidParams, InvalidSpace, UnknownParameter, did_you_mean
from tunekit.spaces.constraints import Constraint
from tunekit.spaces.domains import Constant, Domain, Float, Int, Scalar, plain


def _same(a: object, b: object) -> bool:
    return a == b and isinstance(a, bool) == isinstance(b, bool)


@dataclass(frozen=True, init=False)
class Categorical:
    """One of several values, each of which may open a child space.

    Args:
        choices: a sequence of scalars, or a mapping from a choice (or a tuple of choices that
            share one child) to its child space or `None`.
        ordered: the choices have an order (small, medium, large) that samplers may use.
        default: one of the choices; the first where it is not given.

    Raises:
        InvalidSpace: no choices, a choice twice, or a default that is none of them.
    """

    choices: tuple[Scalar, ...]
    branches: tuple[tuple[tuple[Scalar, ...], Space], ...]
    ordered: bool
    default: Scalar

    def __init__(
        self,
        choices: Sequence[object] | Mapping[Any, Space | Mapping[str, Any] | None],
        *,
        ordered: bool = False,
        default: object = ...,
    ) -> None:
        if isinstance(choices, str) or not isinstance(choices, Mapping | Sequence):
            raise InvalidSpace(f"Categorical: got {choices!r}, expected a list or a mapping.")
        flat: list[Scalar] = []
        branches: list[tuple[tuple[Scalar, ...], Space]] = []
        for key in choices:
            group = tuple(_choice(k) for k in (key if isinstance(key, tuple) else (key,)))
            flat.extend(group)
            child = choices[key] if isinstance(choices, Mapping) else None
            if child is not None:
                branches.append((group, child if isinstance(child, Space) else Space(child)))
        if not flat:
            raise InvalidSpace("Categorical: no choices; give at least one.")
        for i, c in enumerate(flat):
            if any(_same(c, d) for d in flat[:i]):
                raise InvalidSpace(f"Categorical: the choice {c!r} appears twice.")
        for group, _ in branches:
            if any("." in str(v) for v in group):
                raise InvalidSpace(
                    f'Categorical: the choice {group[0]!r} has a child space and a "." in its '
                    "name, which would break dotted paths; rename it."
                )
        object.__setattr__(self, "choices", tuple(flat))
        object.__setattr__(self, "branches", tuple(branches))
        object.__setattr__(self, "ordered", bool(ordered))
        object.__setattr__(self, "default", flat[0])
        if default is not ...:
            try:
                object.__setattr__(self, "default", self.validate(default, "default"))
            except InvalidParams as error:
                raise InvalidSpace(f"Categorical: {error.message}") from None

    @property
    def size(self) -> float:
        """Return the number of choices."""
        return len(self.choices)

    def default_value(self) -> Scalar:
        """Return the declared default, or else the first choice."""
        return self.default

    def index(self, value: object) -> int:
        """Return the position of a choice, or -1."""
        for i, c in enumerate(self.choices):
            if _same(c, value):
                return i
        return -1

    def validate(self, value: object, path: str) -> Scalar:
        """Return the choice that equals `value`, or raise `InvalidParams`."""
        try:
            i = self.index(plain(value))
        except TypeError:
            i = -1
        if i < 0:
            hint = did_you_mean(str(value), [str(c) for c in self.choices])
            raise InvalidParams(
                f'parameter "{path}": got {value!r}, expected one of {list(self.choices)}{hint}.'
            )
        return self.choices[i]

    def to_unit(self, value: Scalar) -> float:
        """Return the middle of the choice's cell in `[0, 1]`."""
        return (self.index(value) + 0.5) / len(self.choices)

    def from_unit(self, u: float) -> Scalar:
        """Return the choice whose cell holds `u`."""
        return self.choices[min(int(u * len(self.choices)), len(self.choices) - 1)]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A stack of `lo` to `hi` copies of a block, each with its own values.

    The count is a parameter itself (`layers`); block i has the paths `layers.i.<name>`.
    """

    lo: int
    hi: int
    block: Space

    def __post_init__(self) -> None:
        count = Int(self.lo, self.hi)  # checks the bounds
        if count.lo < 0:
            raise InvalidSpace(f"Repeat({self.lo}, {self.hi}): expected counts from 0 upwards.")
        if isinstance(self.block, Mapping):
            object.__setattr__(self, "block", Space(self.block))
        if not isinstance(self.block, Space):
            raise InvalidSpace(f"Repeat: the block is {self.block!r}, expected a Space.")


@dataclass(frozen=True, init=False)
class When:
    """A child space that is active when a parent of the same level has one of some values.

    Its parameters live on the level of the parent (no prefix of their own). The parent may be
    a categorical, a bool or an int; several of its values may share the child.
    """

    parent: str
    values: tuple[Scalar, ...]
    space: Space

    def __init__(self, parent: str, values: object, space: Space | Mapping[str, Any]) -> None:
        several = isinstance(values, Iterable) and not isinstance(values, str)
        group = tuple(_choice(v) for v in (values if several else (values,)))  # type: ignore[attr-defined]
        if not group:
            raise InvalidSpace(f'When("{parent}"): no values; give at least one.')
        object.__setattr__(self, "parent", parent)
        object.__setattr__(self, "values", group)
        object.__setattr__(self, "space", space if isinstance(space, Space) else Space(space))


Node: TypeAlias = Float | Int | Categorical | Constant | Repeat


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds when the parameter at `parent` is active and has one of `values`."""

    parent: str
    values: frozenset[Scalar]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One dimension of the space, with everything that a sampler needs to know of it.

    Attributes:
        path: the dotted path, unique in the space.
        domain: its values.
        conditions: all must hold for the parameter to be active; the last is its tree parent.
        depth: how many switches lie above it.
    """

    path: str
    domain: Domain
    conditions: tuple[Condition, ...] = ()
    depth: int = 0

    @property
    def parent(self) -> str | None:
        """Return the path of the parameter whose value opens this one, if there is one."""
        return self.conditions[-1].parent if self.conditions else None

    def is_active(self, chosen: Mapping[str, Scalar]) -> bool:
        """Return whether it has a value in a point, given the values of its parents."""
        # `in` first: Params resolves short names on a missing key, which is not wanted here.
        return all(c.parent in chosen and chosen[c.parent] in c.values for c in self.conditions)


class Params(dict[str, Scalar]):
    """A point of a space: dotted path -> value of every active parameter.

    A short name resolves when it is unique: `params["C"]` is `params["model.svm.C"]`.
    """

    __slots__ = ()

    def __missing__(self, key: str) -> Scalar:
        tail = f".{key}"
        paths = [p for p in self if p.endswith(tail)]
        if len(paths) == 1:
            return self[paths[0]]
        if paths:
            raise UnknownParameter(f'"{key}" is short for several parameters: {", ".join(paths)}.')
        hint = did_you_mean(str(key), [*self, *(p.rsplit(".", 1)[-1] for p in self)])
        raise UnknownParameter(
            f'no active parameter "{key}"{hint}; active: {", ".join(self) or "none"}.'
        )

    def nested(self) -> dict[str, Any]:
        """Return the point as nested dicts: `{"model": {"svm": {"C": 1.0}}, "layers": [{...}]}`."""
        return _nest(list(self.items()))


def _nest(items: list[tuple[str, Scalar]]) -> dict[str, Any]:
    groups: dict[str, list[tuple[str, Scalar]]] = {}
    out: dict[str, Any] = {}
    for path, value in items:
        head, _, rest = path.partition(".")
        if rest:
            groups.setdefault(head, []).append((rest, value))
        else:
            out[head] = value
    for head, children in groups.items():
        inner = _nest(children)
        is_stack = all(k.isdigit() for k in inner) and isinstance(out.get(head), int)
        out[head] = list(inner.values()) if is_stack else inner
    return out


@dataclass(frozen=True, init=False)
class Space:
    """A frozen, hashable tree of parameters.

    Args:
        parameters: name -> node, for names that are no Python identifiers or are taken.
        constraints: expressions that every point must satisfy, such as
            `"batch * steps <= 4096"`; one that names an inactive parameter holds.
        when: child spaces that are active for some values of a parent of this level.
        named: name -> node. A node is `Float`, `Int`, `Categorical`, `Repeat`; `bool` and a
            list are short for a `Categorical`, any other scalar is a constant.

    Raises:
        InvalidSpace: a name, node, condition or constraint that cannot be right.
    """

    nodes: tuple[tuple[str, Node], ...]
    when: tuple[When, ...]
    constraints: tuple[str, ...]

    def __init__(
        self,
        parameters: Mapping[str, object] | None = None,
        /,
        *,
        constraints: Sequence[str] = (),
        when: Sequence[When] | When = (),
        **named: object,
    ) -> None:
        if parameters is not None and not isinstance(parameters, Mapping):
            raise InvalidSpace(f"Space: got {parameters!r}, expected a mapping of name to node.")
        merged = {**(parameters or {}), **named}
        if isinstance(constraints, str):
            constraints = (constraints,)
        nodes = tuple((_name(name), _node(name, node)) for name, node in merged.items())
        object.__setattr__(self, "nodes", nodes)
        object.__setattr__(self, "when", (when,) if isinstance(when, When) else tuple(when))
        object.__setattr__(self, "constraints", tuple(constraints))
        self.compiled_constraints  # noqa: B018 - fails here, at the door

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self.parameters)

    def __len__(self) -> int:
        return len(self.parameters)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters in traversal order: a parent stands before its children."""
        found: dict[str, Parameter] = {}
        _collect(self, "", (), found)
        return tuple(found.values())

    @cached_property
    def by_path(self) -> dict[str, Parameter]:
        """The parameters by their dotted path."""
        return {p.path: p for p in self.parameters}

    @cached_property
    def compiled_constraints(self) -> tuple[Constraint, ...]:
        """The constraints of this space and of all child spaces, with resolved names."""
        found: list[Constraint] = []
        _collect_constraints(self, "", self.by_path, found)
        return tuple(found)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.nodes, self.when, self.constraints))

    def resolve(self, name: str) -> str:
        """Return the dotted path for a path or a unique short name.

        Raises:
            UnknownParameter: none or several parameters have that name.
        """
        if name in self.by_path:
            return name
        tail = f".{name}"
        paths = [p for p in self.by_path if p.endswith(tail)]
        if len(paths) == 1:
            return paths[0]
        if paths:
            raise UnknownParameter(
                f'"{name}" is short for several parameters: {", ".join(paths)}; give a full path.'
            )
        short = [p.rsplit(".", 1)[-1] for p in self.by_path]
        raise UnknownParameter(
            f'unknown parameter "{name}"{did_you_mean(str(name), [*self.by_path, *short])}.'
        )

    def validate(self, params: Mapping[str, object]) -> Params:
        """Return a complete point in canonical form and traversal order.

        Raises:
            UnknownParameter: a name that the space does not have.
            InvalidParams: a value outside its domain, an active parameter without a value,
                a value for an inactive parameter, or a constraint that does not hold.
        """
        given = self._resolved(params)
        point = Params()
        for p in self.parameters:
            active = p.is_active(point)
            if p.path not in given:
                if active and not isinstance(p.domain, Constant):
                    raise InvalidParams(f'no value for the active parameter "{p.path}".')
                if active:
                    point[p.path] = p.domain.default_value()
            elif not active:
                raise InvalidParams(
                    f'parameter "{p.path}" has a value but is inactive: it needs '
                    f"{_requirement(p)}; leave it out."
                )
            else:
                point[p.path] = p.domain.validate(given[p.path], p.path)
        broken = self.violated(point)
        if broken:
            raise InvalidParams(f'the constraint "{broken[0]}" does not hold for {dict(point)}.')
        return point

    def complete(self, params: Mapping[str, object]) -> Params:
        """Return the point with the given values and the defaults for all others.

        Raises:
            UnknownParameter, InvalidParams: as `validate`.
        """
        given = self._resolved(params)
        point = Params()
        for p in self.parameters:
            if p.is_active(point):
                point[p.path] = given.get(p.path, p.domain.default_value())  # type: ignore[assignment]
        return self.validate({**point, **given})

    def default(self) -> Params:
        """Return the point of all defaults, which may violate a constraint."""
        point = Params()
        for p in self.parameters:
            if p.is_active(point):
                point[p.path] = p.domain.default_value()
        return point

    def violated(self, params: Mapping[str, Scalar]) -> list[str]:
        """Return the constraints that do not hold in a point."""
        return [c.text for c in self.compiled_constraints if not c.holds(params)]

    def _resolved(self, params: Mapping[str, object]) -> dict[str, object]:
        if not isinstance(params, Mapping):
            raise InvalidParams(f"got {params!r}, expected a mapping of parameter to value.")
        out: dict[str, object] = {}
        for name, value in params.items():
            path = self.resolve(name)
            if path in out:
                raise InvalidParams(f'parameter "{path}" is given twice.')
            out[path] = value
        return out


def _requirement(p: Parameter) -> str:
    return " and ".join(
        f"{c.parent} in {{{', '.join(sorted(map(repr, c.values)))}}}" for c in p.conditions
    )


def _choice(value: object) -> Scalar:
    try:
        return plain(value)
    except TypeError:
        raise InvalidSpace(
            f"the choice {value!r} is a {type(value).__name__}; choices are strings, numbers, "
            "bools or None. Map a name to the object in your objective."
        ) from None


def _name(name: object) -> str:
    if not isinstance(name, str) or not name or "." in name or name != name.strip():
        raise InvalidSpace(f'the parameter name {name!r} must be a string without ".".')
    return name


def _node(name: str, node: object) -> Node:
    if isinstance(node, Float | Int | Categorical | Constant | Repeat):
        return node
    if node is bool:
        return Categorical([False, True])
    if isinstance(node, list | tuple):
        return Categorical(node)
    if isinstance(node, Mapping | Space):
        raise InvalidSpace(
            f'parameter "{name}": a space has to hang on a choice; use Categorical({{"a": '
            "Space(...)}), Repeat or when=."
        )
    try:
        return Constant(plain(node))
    except TypeError:
        raise InvalidSpace(
            f'parameter "{name}": got {node!r}, expected Float, Int, Categorical, Repeat, bool, '
            "a list of choices or a constant."
        ) from None


def _add(
    found: dict[str, Parameter], path: str, domain: Domain, conditions: tuple[Condition, ...]
) -> None:
    if path in found:
        raise InvalidSpace(
            f'two parameters have the path "{path}"; rename one, or hang both on branches of a '
            "Categorical, which have paths of their own."
        )
    depth = 1 + found[conditions[-1].parent].depth if conditions else 0
    found[path] = Parameter(path, domain, conditions, depth)


def _collect(
    space: Space, prefix: str, conditions: tuple[Condition, ...], found: dict[str, Parameter]
) -> None:
    for name, node in space.nodes:
        path = prefix + name
        if isinstance(node, Repeat):
            lo, hi = node.lo, node.hi
            _add(found, path, Int(lo, hi), conditions)
            for i in range(hi):
                counts = frozenset(range(max(lo, i + 1), hi + 1))
                _collect(node.block, f"{path}.{i}.", (Condition(path, counts),), found)
            continue
        _add(found, path, node, conditions)
        if isinstance(node, Categorical):
            for group, child in node.branches:
                label = "|".join(str(v) for v in group)
                condition = Condition(path, frozenset(group))
                _collect(child, f"{path}.{label}.", (condition,), found)
    for when in space.when:
        _collect_when(when, prefix, conditions, found)


def _collect_when(
    when: When, prefix: str, conditions: tuple[Condition, ...], found: dict[str, Parameter]
) -> None:
    path = prefix + when.parent
    if path not in found:
        level = [p.removeprefix(prefix) for p in found if p.startswith(prefix)]
        raise InvalidSpace(
            f'when: no parameter "{when.parent}" on this level{did_you_mean(when.parent, level)}; '
            "declare it before the children that need it."
        )
    domain = found[path].domain
    if not isinstance(domain, Categorical | Int):
        raise InvalidSpace(f'when: the parent "{path}" must be a Categorical, a bool or an Int.')
    values = []
    for v in when.values:
        try:
            values.append(domain.validate(v, path))
        except InvalidParams as error:
            raise InvalidSpace(f"when: {error.message}") from None
    own = Condition(path, frozenset(values))
    _collect(when.space, prefix, (*conditions, own), found)


def _collect_constraints(
    space: Space, prefix: str, known: Mapping[str, Parameter], found: list[Constraint]
) -> None:
    found.extend(Constraint.parse(text, prefix=prefix, paths=known) for text in space.constraints)
    for name, node in space.nodes:
        if isinstance(node, Repeat):
            for i in range(node.hi):
                _collect_constraints(node.block, f"{prefix}{name}.{i}.", known, found)
        elif isinstance(node, Categorical):
            for group, child in node.branches:
                label = "|".join(str(v) for v in group)
                _collect_constraints(child, f"{prefix}{name}.{label}.", known, found)
    for when in space.when:
        _collect_constraints(when.space, prefix, known, found)
