"""Converts ConfigSpace files and Optuna distributions to spaces.

Neither package is imported: ConfigSpace is read from its files, Optuna's distributions by their
public attributes.
"""

from __future__ import annotations

import keyword
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from tunekit.errors import InvalidParams, InvalidSpace
from tunekit.spaces.constant import Constant
from tunekit.spaces.domains import Float, Int, Scalar
from tunekit.spaces.tree import Categorical, Space, When

MAX_VALUES = 1000
"""Maximum number of values of an int parent in a condition with `<` or `!=`."""

Leaf = Float | Int | Categorical | Constant


def from_optuna(distributions: Mapping[str, Any]) -> Space:
    """Return the flat space of Optuna's `{name: distribution}`.

    Raises:
        InvalidSpace: a distribution has an unknown class.
    """
    nodes: dict[str, Leaf] = {}
    for name, d in distributions.items():
        kind = type(d).__name__
        if kind == "FloatDistribution":
            nodes[name] = Float(d.low, d.high, log=d.log, step=d.step)
        elif kind == "IntDistribution":
            nodes[name] = Int(d.low, d.high, log=d.log, step=None if d.step == 1 else d.step)
        elif kind == "CategoricalDistribution":
            nodes[name] = Categorical(list(d.choices))
        else:
            raise InvalidSpace(
                f'parameter "{name}": got {kind}, expected a FloatDistribution, IntDistribution '
                "or CategoricalDistribution; convert the study to Optuna 3 or newer."
            )
    return Space(nodes)


def from_configspace(data: Mapping[str, Any]) -> Space:
    """Return the space of a parsed ConfigSpace file, JSON or YAML (of version 0.4 to 1.x).

    Conditions become `When`, forbidden clauses constraints. What has no counterpart is dropped
    where points stay the same (weights, normal and beta priors of bounded parameters) and
    refused where not.

    Raises:
        InvalidSpace: no such file, or a condition, clause or type without counterpart.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("hyperparameters"), list):
        raise InvalidSpace(
            'ConfigSpace: no list under "hyperparameters"; give the content of a file written by '
            "ConfigurationSpace.to_json or to_yaml."
        )
    try:
        leaves = {str(hp["name"]): _leaf(hp) for hp in data["hyperparameters"]}
        conditions: dict[str, Needs] = {}
        for c in data.get("conditions") or ():
            child = str(c["child"])
            conditions[child] = _both(conditions.get(child, {}), _needs(c, leaves))
            if not all(conditions[child].values()):
                raise InvalidSpace(f'ConfigSpace: "{child}" can never be active; remove it.')
        if unknown := [name for name in conditions if name not in leaves]:
            raise InvalidSpace(
                f"ConfigSpace: a condition names the missing parameter {unknown[0]!r}."
            )
        constraints = [f"not ({_clause(c, leaves)})" for c in data.get("forbiddens") or ()]
    except (KeyError, TypeError) as error:
        raise InvalidSpace(
            f"ConfigSpace: the file lacks or misuses {error}; rewrite it with to_json."
        ) from None
    return _assembled(leaves, conditions, constraints)


def _assembled(
    leaves: Mapping[str, Leaf],
    conditions: Mapping[str, Mapping[str, tuple[Scalar, ...]]],
    constraints: Sequence[str],
) -> Space:
    """Return the space with each child after all of its parents."""
    free = {name: leaf for name, leaf in leaves.items() if not conditions.get(name)}
    placed = dict.fromkeys(free)
    waiting = [name for name in leaves if name not in placed]
    when: list[When] = []
    while waiting:
        ready = [n for n in waiting if conditions[n].keys() <= placed.keys()]
        if not ready:
            raise InvalidSpace(
                f"ConfigSpace: the conditions of {', '.join(waiting)} are circular or name a "
                "missing parameter; correct the file."
            )
        for name in ready:
            # The tree parent is the nearest one: that which was placed last.
            *also, (parent, values) = (
                (p, conditions[name][p]) for p in placed if p in conditions[name]
            )
            when.append(When(parent, values, Space({name: leaves[name]}), also=dict(also)))
        placed |= dict.fromkeys(ready)
        waiting = [n for n in waiting if n not in placed]
    return Space(free, when=when, constraints=constraints)


def _leaf(hp: Mapping[str, Any]) -> Leaf:
    name, kind = hp["name"], str(hp.get("type"))
    default = hp.get("default_value", hp.get("default"))
    try:
        if kind in ("constant", "unparametrized"):
            return _constant(hp["value"])
        if kind == "categorical":
            default = hp["choices"][0] if default is None else default
            return Categorical(hp["choices"], default=default)
        if kind == "ordinal":
            default = hp["sequence"][0] if default is None else default
            return Categorical(hp["sequence"], ordered=True, default=default)
        family, _, number = kind.partition("_")
        if family not in ("uniform", "normal", "beta") or number not in ("float", "int"):
            raise InvalidSpace(f"the type {kind!r} is unknown; expected a ConfigSpace type.")
        return _range(hp, Float if number == "float" else Int, default)
    except InvalidSpace as error:
        raise InvalidSpace(f'ConfigSpace: parameter "{name}": {error.message}') from None


def _constant(value: object) -> Constant:
    ((_, node),) = Space(value=value).nodes
    if not isinstance(node, Constant):
        raise InvalidSpace(f"the constant {value!r} is not a scalar.")
    return node


def _range(hp: Mapping[str, Any], kind: type[Float] | type[Int], default: Any) -> Float | Int:
    if hp.get("lower") is None or hp.get("upper") is None:
        raise InvalidSpace(f"a {hp['type']} without bounds is not supported; add bounds.")
    lo, hi, step = hp["lower"], hp["upper"], hp.get("q")
    if step is not None:
        cells = (hi - lo) / step
        if hp.get("log") or abs(cells - round(cells)) > 1e-9:
            raise InvalidSpace(
                f"q={step!r} with a log scale, or not dividing the range, is not supported."
            )
    return kind(lo, hi, log=bool(hp.get("log")), step=None if step == 1 else step, default=default)


Needs: TypeAlias = dict[str, tuple[Scalar, ...]]
"""Parent -> values for which a parameter is active; never, if there are none."""


def _needs(c: Mapping[str, Any], leaves: Mapping[str, Leaf]) -> Needs:
    """Return the values of each parent that one condition requires."""
    if c["type"] not in ("AND", "OR"):
        return {str(c["parent"]): _values(c, leaves)}
    parts = [_needs(part, leaves) for part in c.get("conditions") or c["components"]]
    if c["type"] == "AND":
        found: Needs = {}
        for part in parts:
            found = _both(found, part)
        return found
    possible = [part for part in parts if all(part.values())]
    if not possible:
        return parts[0]
    found = possible[0]
    for part in possible[1:]:
        found = _either(found, part, str(c["child"]))
    return found


def _both(a: Needs, b: Needs) -> Needs:
    shared = {p: tuple(v for v in a[p] if v in b[p]) for p in a if p in b}
    return {**a, **b, **shared}


def _either(a: Needs, b: Needs, child: str) -> Needs:
    """Return the union of two requirements, which may differ in at most one parent."""
    differing = [p for p in a if p in b and set(a[p]) != set(b[p])]
    if a.keys() != b.keys() or len(differing) > 1:
        raise InvalidSpace(
            f'ConfigSpace: "{child}" is active when one parent OR another has a value, '
            "which a tree cannot express; split the parameter into one for each parent."
        )
    return {**a, **{p: tuple(dict.fromkeys((*a[p], *b[p]))) for p in differing}}


_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "NEQ": operator.ne,
    "LT": operator.lt,
    "GT": operator.gt,
}


def _values(c: Mapping[str, Any], leaves: Mapping[str, Leaf]) -> tuple[Scalar, ...]:
    """Return the values of the parent for which a simple condition holds."""
    kind, parent = c["type"], str(c["parent"])
    domain = leaves.get(parent)
    if isinstance(domain, Constant | Float) or domain is None:
        raise InvalidSpace(
            f'ConfigSpace: "{c["child"]}" depends on "{parent}", which is {domain!r}; a '
            "condition needs a categorical, an ordinal or an int."
        )
    if kind in ("EQ", "IN"):
        return _known(domain, parent, (c["value"],) if kind == "EQ" else c["values"])
    if kind not in _ORDER or domain.size > MAX_VALUES:
        raise InvalidSpace(
            f'ConfigSpace: the condition {kind} on "{parent}" is not supported; use EQ or IN.'
        )
    if isinstance(domain, Int):
        lo, step, n = domain.grid()
        return tuple(v for v in range(lo, lo + n * step, step) if _ORDER[kind](v, c["value"]))
    at = domain.index(c["value"])
    return tuple(v for i, v in enumerate(domain.choices) if _ORDER[kind](i, at))


def _known(domain: Categorical | Int, name: str, values: Sequence[Any]) -> tuple[Scalar, ...]:
    """Return the values that a domain has; with the others a condition does not hold."""
    found = []
    for v in values:
        try:
            found.append(domain.validate(v, name))
        except InvalidParams:
            continue
    return tuple(found)


_RELATIONS = {
    "LT": "<", "LESS": "<", "LE": "<=", "LESSEQUAL": "<=", "EQ": "==", "EQUALS": "==",
    "GT": ">", "GREATER": ">", "GE": ">=", "GREATEREQUAL": ">=",
    "<": "<", "<=": "<=", ">": ">", ">=": ">=", "==": "==",
}  # fmt: skip
_CLAUSES = {
    "CLAUSE_LT": "<", "CLAUSE_LE": "<=", "CLAUSE_GT": ">", "CLAUSE_GE": ">=",
    "LESS": "<", "LESSEQUAL": "<=", "GREATER": ">", "GREATEREQUAL": ">=",
}  # fmt: skip
_COMPARED: dict[str, Callable[[int, int], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge
}  # fmt: skip


def _clause(c: Mapping[str, Any], leaves: Mapping[str, Leaf]) -> str:
    """Return the expression that is true if a forbidden clause applies.

    An inactive parameter makes a clause neither true nor false, so that `not` of it holds, as if
    it were false; clauses are never negated within others.
    """
    kind = str(c["type"])
    if kind == "EQUALS":
        return f"{_reference(c['name'])} == {c['value']!r}"
    if kind == "IN":
        return f"{_reference(c['name'])} in {list(c['values'])!r}"
    if kind in ("AND", "OR"):
        parts = c.get("clauses") or c["components"]
        return f" {kind.lower()} ".join(f"({_clause(part, leaves)})" for part in parts)
    if kind in _CLAUSES:
        return _ordered_clause(c, _CLAUSES[kind], leaves)
    if kind.startswith("RELATION"):
        op = _RELATIONS.get(kind.removeprefix("RELATION").strip("_") or str(c.get("lambda")))
        if op is not None:
            return f"{_reference(c['left'])} {op} {_reference(c['right'])}"
    raise InvalidSpace(f"ConfigSpace: the forbidden clause {kind!r} is unknown; remove it.")


def _ordered_clause(c: Mapping[str, Any], op: str, leaves: Mapping[str, Leaf]) -> str:
    """Return `name < value`, where an ordinal's values are ordered by its sequence."""
    domain = leaves.get(str(c["name"]))
    if not isinstance(domain, Categorical):
        return f"{_reference(c['name'])} {op} {c['value']!r}"
    at = domain.index(c["value"])
    if not domain.ordered or at < 0:
        raise InvalidSpace(
            f'ConfigSpace: a clause compares "{c["name"]}" {op} {c["value"]!r}, which has no '
            "order; list the forbidden values with IN."
        )
    worse = [v for i, v in enumerate(domain.choices) if _COMPARED[op](i, at)]
    return f"{_reference(c['name'])} in {worse!r}"


def _reference(name: object) -> str:
    """Return a parameter's name as written in a constraint."""
    text = str(name)
    if text.isidentifier() and not keyword.iskeyword(text):
        return text
    return f"params[{text!r}]"
