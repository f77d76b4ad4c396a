"""The search space: a frozen tree of parameters whose choices open child spaces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from tunekit.checks import several, shown
from tunekit.errors import InvalidParams, InvalidSpace, did_you_mean
from tunekit.spaces import words
from tunekit.spaces.constant import Constant
from tunekit.spaces.domains import Float, Int, Opening, Scalar, plain, typed
from tunekit.spaces.flatten import collect_constraints, collect_parameters, fidelity_of, scales_of
from tunekit.spaces.parameters import Parameter
from tunekit.spaces.point import Params
from tunekit.spaces.validate import resolved, resolved_name, validated, with_defaults

if TYPE_CHECKING:
    from tunekit.spaces.constraints import Constraint

MAX_REPEAT = 1000


@dataclass(frozen=True, init=False, eq=False)
class Categorical:
    """One of several values, each of which may open a child space.

    Args:
        choices: a sequence of scalars, or a mapping from a choice (or a tuple of choices that
            share one child) to its child space or `None`.
        ordered: the choices have an order (small, medium, large) that samplers may use.
        default: one of the choices; by default the first.

    Raises:
        InvalidSpace: there are no choices, a choice appears twice, or the default is none.
    """

    choices: tuple[Scalar, ...]
    branches: tuple[tuple[tuple[Scalar, ...], Space], ...]
    ordered: bool
    default: Scalar
    _places: ClassVar[Mapping[tuple[bool, object], int]]  # of the instance, and no field

    def __init__(
        self,
        choices: Sequence[object] | Mapping[Any, Space | Mapping[str, Any] | None],
        *,
        ordered: bool = False,
        default: object = ...,
    ) -> None:
        flat, branches = _branches(choices)
        words.check_choices(flat)
        object.__setattr__(self, "choices", tuple(flat))
        object.__setattr__(self, "branches", tuple(branches))
        object.__setattr__(self, "ordered", bool(ordered))
        object.__setattr__(self, "default", flat[0])
        object.__setattr__(self, "_places", words.places_of(flat))
        if default is not ...:
            try:
                object.__setattr__(self, "default", self.validate(default, "default"))
            except InvalidParams as error:
                raise InvalidSpace(f"Categorical: {error.message}") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Categorical) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        # The branches hold no values that are not among the choices, so `==` will do for them.
        return (typed(*self.choices), self.branches, self.ordered, typed(self.default))

    @property
    def domain(self) -> Categorical:
        """Return itself, the domain of its parameter."""
        return self

    def openings(self) -> Iterator[Opening]:
        """Yield (label in paths, values, child space) of each branch."""
        for group, child in self.branches:
            yield "|".join(str(v) for v in group), group, child

    def mapping(self) -> dict[tuple[Scalar, ...], Space | None]:
        """Return the choices as the mapping that would declare them."""
        groups = {group[0]: (group, child) for group, child in self.branches}
        shared = {v for group, _ in self.branches for v in group[1:]}
        pairs = (groups.get(c, ((c,), None)) for c in self.choices if c not in shared)
        return dict(pairs)

    @property
    def size(self) -> float:
        """Return the number of choices."""
        return len(self.choices)

    def default_value(self) -> Scalar:
        """Return the declared default, else the first choice."""
        return self.default

    def index(self, value: object) -> int:
        """Return the position of a choice, -1 if it is unknown."""
        return words.place_of(value, self._places)

    def validate(self, value: object, path: str) -> Scalar:
        """Return the choice equal to `value`, or raise `InvalidParams`."""
        try:
            i = self.index(plain(value))
        except TypeError:
            i = -1
        if i < 0:
            hint = did_you_mean(
                value if isinstance(value, str) else shown(value),
                [str(c) for c in self.choices[:1000]],
            )
            known = f"{words.listed(self.choices)}{hint}"
            raise InvalidParams(
                f'parameter "{path}": got {shown(value)}, expected one of {known}.'
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
            raise InvalidSpace(f"Repeat({self.lo}, {self.hi}): expected counts of 0 or more.")
        if isinstance(self.block, Mapping):
            object.__setattr__(self, "block", Space(self.block))
        if not isinstance(self.block, Space):
            raise InvalidSpace(f"Repeat: the block is {shown(self.block)}, expected a Space.")
        if count.hi > MAX_REPEAT:
            raise InvalidSpace(f"Repeat: {self.hi} copies, expected at most {MAX_REPEAT}.")
        object.__setattr__(self, "lo", int(count.lo))
        object.__setattr__(self, "hi", int(count.hi))

    @property
    def domain(self) -> Int:
        """Return the counts."""
        return Int(self.lo, self.hi)

    def openings(self) -> Iterator[Opening]:
        """Yield (label in paths, counts that include it, block) of each copy."""
        for i in range(self.hi):
            yield str(i), tuple(range(max(self.lo, i + 1), self.hi + 1)), self.block


@dataclass(frozen=True, init=False, eq=False)
class When:
    """A child space that is active when a parent on the same level has one of given values.

    Its parameters live on the level of the parent (no prefix of their own). The parent may be
    a categorical, a bool or an int; several of its values may share the child.

    Args:
        parent: the name of a parameter that is declared before.
        values: one value, or several.
        space: the child space.
        also: parent -> values of further conditions, all of which must hold too.
    """

    parent: str
    values: tuple[Scalar, ...]
    space: Space
    also: tuple[tuple[str, tuple[Scalar, ...]], ...]

    def __init__(
        self,
        parent: str,
        values: object,
        space: Space | Mapping[str, Any],
        *,
        also: Mapping[str, object] | None = None,
    ) -> None:
        conditions = {parent: values, **(also or {})}
        if parent in (also or {}) or not all(isinstance(name, str) for name in conditions):
            raise InvalidSpace(
                f"When: the parents are {[parent, *(also or {})]!r}, expected different names."
            )
        checked = tuple((name, words.checked_values(name, v)) for name, v in conditions.items())
        object.__setattr__(self, "parent", parent)
        object.__setattr__(self, "values", checked[0][1])
        object.__setattr__(self, "space", space if isinstance(space, Space) else Space(space))
        object.__setattr__(self, "also", checked[1:])

    @property
    def conditions(self) -> tuple[tuple[str, tuple[Scalar, ...]], ...]:
        """Return (parent, values) of all conditions; that of `parent` is the last."""
        return (*self.also, (self.parent, self.values))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, When) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        return (tuple((name, typed(*values)) for name, values in self.conditions), self.space)


Node: TypeAlias = Float | Int | Categorical | Constant | Repeat


@dataclass(frozen=True, init=False)
class Space:
    """A frozen, hashable tree of parameters.

    Args:
        parameters: name -> node, for names that are no Python identifiers or are taken.
        constraints: expressions that every point must satisfy, such as
            `"batch * steps <= 4096"` or `"sum(layers[*].units) <= 512"` (see `Constraint`).
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
            raise InvalidSpace(f"Space: got {shown(parameters)}, expected a mapping name -> node.")
        merged = {**(parameters or {}), **named}
        constraints = (constraints,) if isinstance(constraints, str) else constraints
        if not isinstance(constraints, Sequence):
            raise InvalidSpace(
                f"Space: constraints={shown(constraints)}, expected a list of strings."
            )
        children = several(when, is_one=isinstance(when, When))
        if not all(isinstance(w, When) for w in children):
            raise InvalidSpace(f"Space: when={shown(when)}, expected When(parent, values, space).")
        nodes = tuple((words.checked_name(n), _node(n, node)) for n, node in merged.items())
        object.__setattr__(self, "nodes", nodes)
        object.__setattr__(self, "when", children)
        object.__setattr__(self, "constraints", tuple(constraints))
        self.compiled_constraints  # noqa: B018 - fails here, at the door
        self.fidelity, self.scales  # noqa: B018 - likewise

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self.parameters)

    def __len__(self) -> int:
        return len(self.parameters)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters in traversal order, parents before children."""
        return tuple(collect_parameters(self).values())

    @cached_property
    def by_path(self) -> dict[str, Parameter]:
        """The parameters by their dotted path."""
        return {p.path: p for p in self.parameters}

    @cached_property
    def fidelity(self) -> str | None:
        """The path of the fidelity parameter, `None` without one."""
        return fidelity_of(self.parameters)

    @cached_property
    def scales(self) -> dict[str, str]:
        """The paths of the scale axes by their role ("N", "D", ...); empty without one."""
        return scales_of(self.parameters)

    @property
    def target(self) -> Params:
        """The largest value of the fidelity and of each scale axis, by path; empty without one."""
        axes = {p.path: p.domain for p in self.parameters if isinstance(p.domain, Float | Int)}
        return Params({path: d.default_value() for path, d in axes.items() if d.has_target})

    @cached_property
    def compiled_constraints(self) -> tuple[Constraint, ...]:
        """The constraints of this space and of all child spaces, with resolved names."""
        return collect_constraints(self, self.by_path)

    def __getstate__(self) -> dict[str, Any]:
        # Without what is cached: hashes of strings differ from process to process.
        return {"nodes": self.nodes, "when": self.when, "constraints": self.constraints}

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.nodes, self.when, self.constraints))

    def resolve(self, name: str) -> str:
        """Return the dotted path for a path or a unique short name.

        Raises:
            UnknownParameter: no parameter has the name, or several have it.
        """
        return resolved_name(name, self.by_path)

    def validate(self, params: Mapping[str, object]) -> Params:
        """Return a complete point in canonical form and traversal order.

        Raises:
            UnknownParameter: a name that the space does not have.
            InvalidParams: a value outside its domain, an active parameter without a value,
                a value for an inactive parameter, or a constraint that does not hold.
        """
        point = validated(resolved(params, self.by_path), self.parameters).belongs_to(self)
        if broken := self.violated(point):
            raise InvalidParams(f'the constraint "{broken[0]}" does not hold for {dict(point)}.')
        return point

    def complete(self, params: Mapping[str, object]) -> Params:
        """Return the point with the given values and the defaults for all others.

        Raises:
            UnknownParameter, InvalidParams: as `validate`.
        """
        given = resolved(params, self.by_path)
        return self.validate({**with_defaults(given, self.parameters), **given})

    def default(self) -> Params:
        """Return the point of all defaults, which may violate a constraint."""
        return with_defaults({}, self.parameters).belongs_to(self)

    def violated(self, params: Mapping[str, Scalar]) -> list[str]:
        """Return the constraints that do not hold in a point."""
        return [c.text for c in self.compiled_constraints if not c.holds(params)]


def _branches(choices: object) -> tuple[list[Scalar], list[tuple[tuple[Scalar, ...], Space]]]:
    """Return all choices, and the groups of them that open a child space."""
    keys: Any = choices if isinstance(choices, Mapping) else words.checked_sequence(choices)
    flat: list[Scalar] = []
    branches: list[tuple[tuple[Scalar, ...], Space]] = []
    for key in keys:
        is_group = isinstance(choices, Mapping) and isinstance(key, tuple)
        group = tuple(words.checked_choice(k) for k in (key if is_group else (key,)))
        flat.extend(group)
        child = choices[key] if isinstance(choices, Mapping) else None
        if child is None:
            continue
        if not isinstance(child, Mapping | Space):
            raise InvalidSpace(
                f"Categorical: the choice {shown(key)} opens {shown(child)}, expected a Space or "
                "None."
            )
        branches.append((group, child if isinstance(child, Space) else Space(child)))
    words.check_labels([group for group, _ in branches])
    return flat, branches


def _node(name: str, node: object) -> Node:
    if isinstance(node, Float | Int | Categorical | Constant | Repeat):
        return node
    if node is bool:
        return Categorical([False, True])
    if isinstance(node, list | tuple):
        return Categorical(node)
    if isinstance(node, Mapping | Space):
        raise InvalidSpace(
            f'parameter "{name}": a child space needs a choice to open it; use '
            'Categorical({"a": Space(...)}), Repeat or when=.'
        )
    try:
        plain(node)
        return Constant(words.checked_choice(node))
    except TypeError:
        raise InvalidSpace(
            f'parameter "{name}": got {shown(node)}, expected Float, Int, Categorical, Repeat, '
            "bool, a list of choices or a constant."
        ) from None
