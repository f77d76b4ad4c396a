"""Spaces of others: ConfigSpace's JSON files and Optuna's distributions.

Neither package is imported; ConfigSpace is read from its file, Optuna's distributions by their
public attributes.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tunekit.errors import InvalidSpace
from tunekit.spaces.constant import Constant
from tunekit.spaces.domains import Float, Int, Scalar
from tunekit.spaces.tree import Categorical, Space, When

MAX_VALUES = 1000
"""Values that an int parent may have where a condition compares it with `<` or `!=`."""

Leaf = Float | Int | Categorical | Constant


def from_optuna(distributions: Mapping[str, Any]) -> Space:
    """Return the flat space of Optuna's `{name: distribution}`.

    Raises:
        InvalidSpace: a distribution of an unknown class.
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
    """Return the space of a parsed ConfigSpace JSON file (of version 0.4 to 1.x).

    Conditions become `When`, forbidden clauses constraints. What has no counterpart is dropped
    where points stay the same (weights, normal and beta priors of bounded parameters) and
    refused where not.

    Raises:
        InvalidSpace: no such file, or a condition, clause or type without counterpart.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("hyperparameters"), list):
        raise InvalidSpace(
            'ConfigSpace: no list under "hyperparameters"; give the content of a file that '
            "ConfigurationSpace.to_json wrote."
        )
    try:
        leaves = {str(hp["name"]): _leaf(hp) for hp in data["hyperparameters"]}
        conditions: dict[str, dict[str, tuple[Scalar, ...]]] = {}
        for c in data.get("conditions") or ():
            _add_condition(c, leaves, conditions.setdefault(str(c["child"]), {}))
        if unknown := [name for name in conditions if name not in leaves]:
            raise InvalidSpace(f"ConfigSpace: a condition on {unknown[0]!r}, which is missing.")
        constraints = [f"not ({_clause(c)})" for c in data.get("forbiddens") or ()]
    except (KeyError, TypeError) as error:
        raise InvalidSpace(
            f"ConfigSpace: the file lacks or misuses {error}; write it again with to_json."
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
                f"ConfigSpace: the conditions of {', '.join(waiting)} form a circle or name no "
                "parameter; mend the file."
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
            raise InvalidSpace(f"the type {kind!r} is unknown; expected one of ConfigSpace's own.")
        return _range(hp, Float if number == "float" else Int, default)
    except InvalidSpace as error:
        raise InvalidSpace(f'ConfigSpace: parameter "{name}": {error.message}') from None


def _constant(value: object) -> Constant:
    ((_, node),) = Space(value=value).nodes
    if not isinstance(node, Constant):
        raise InvalidSpace(f"the constant {value!r} is no scalar.")
    return node


def _range(hp: Mapping[str, Any], kind: type[Float] | type[Int], default: Any) -> Float | Int:
    if hp.get("lower") is None or hp.get("upper") is None:
        raise InvalidSpace(f"a {hp['type']} without bounds has no counterpart; add bounds.")
    lo, hi, step = hp["lower"], hp["upper"], hp.get("q")
    if step is not None:
        cells = (hi - lo) / step
        if hp.get("log") or abs(cells - round(cells)) > 1e-9:
            raise InvalidSpace(
                f"q={step!r} with a log scale, or no divisor of the range, has no counterpart."
            )
    return kind(lo, hi, log=bool(hp.get("log")), step=None if step == 1 else step, default=default)


def _add_condition(
    c: Mapping[str, Any], leaves: Mapping[str, Leaf], found: dict[str, tuple[Scalar, ...]]
) -> None:
    """Add what one condition demands to parent -> values."""
    kind = c["type"]
    if kind == "AND":
        for part in c.get("conditions") or c["components"]:
            _add_condition(part, leaves, found)
        return
    if kind == "OR":
        parts: list[dict[str, tuple[Scalar, ...]]] = []
        for part in c.get("conditions") or c["components"]:
            parts.append({})
            _add_condition(part, leaves, parts[-1])
        parents = {tuple(p) for p in parts}
        if len(parents) != 1 or len(next(iter(parents))) != 1:
            raise InvalidSpace(
                f'ConfigSpace: "{c["child"]}" is active when one parent OR another has a value, '
                "which a tree cannot say; split the parameter into one for each parent."
            )
        ((parent,),) = parents
        values = tuple(dict.fromkeys(v for p in parts for v in p[parent]))
    else:
        parent, values = str(c["parent"]), _values(c, leaves)
    if parent in found:
        values = tuple(v for v in found[parent] if v in values)
    if not values:
        raise InvalidSpace(f'ConfigSpace: "{c["child"]}" can never be active; drop it.')
    found[parent] = values


_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "NEQ": lambda a, b: bool(a != b),
    "LT": lambda a, b: bool(a < b),
    "GT": lambda a, b: bool(a > b),
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
    if kind == "EQ":
        return (domain.validate(c["value"], parent),)
    if kind == "IN":
        return tuple(domain.validate(v, parent) for v in c["values"])
    if kind not in _ORDER or domain.size > MAX_VALUES:
        raise InvalidSpace(
            f'ConfigSpace: the condition {kind} on "{parent}" has no counterpart; use EQ or IN.'
        )
    if isinstance(domain, Int):
        lo, step, n = domain.grid()
        return tuple(v for v in range(lo, lo + n * step, step) if _ORDER[kind](v, c["value"]))
    at = domain.index(c["value"])
    return tuple(v for i, v in enumerate(domain.choices) if _ORDER[kind](i, at))


_RELATIONS = {"LT": "<", "LESS": "<", "GT": ">", "GREATER": ">", "EQ": "==", "EQUALS": "=="}


def _clause(c: Mapping[str, Any]) -> str:
    """Return the expression that is true where a forbidden clause applies."""
    kind = str(c["type"])
    if kind == "EQUALS":
        return f"{_reference(c['name'])} == {c['value']!r}"
    if kind == "IN":
        return f"{_reference(c['name'])} in {list(c['values'])!r}"
    if kind in ("AND", "OR"):
        return f" {kind.lower()} ".join(f"({_clause(part)})" for part in c["clauses"])
    if kind.startswith("RELATION"):
        op = _RELATIONS.get(kind.removeprefix("RELATION").strip("_") or str(c.get("lambda")))
        if op is not None:
            return f"{_reference(c['left'])} {op} {_reference(c['right'])}"
    raise InvalidSpace(f"ConfigSpace: the forbidden clause {kind!r} is unknown; leave it out.")


def _reference(name: object) -> str:
    """Return how a constraint names a parameter."""
    text = str(name)
    if text.isidentifier() and not keyword.iskeyword(text):
        return text
    return f"params[{text!r}]"
