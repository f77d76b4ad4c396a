"""Converts spaces to plain JSON values and back, exactly.

People can read and write the format as well; search_spaces/README.md describes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from tunekit.checks import shown
from tunekit.errors import InvalidSpace, did_you_mean
from tunekit.spaces.constant import Constant
from tunekit.spaces.domains import Domain, Float, Int, Scalar
from tunekit.spaces.tree import Categorical, Node, Repeat, Space, When

FORMAT = "tunekit.space/1"
_FAMILY = "tunekit.space/"
_T = TypeVar("_T")
_NUMBER_KEYS = ("lo", "hi", "log", "step", "default", "special", "fidelity", "scale")


def space_to_dict(space: Space) -> dict[str, Any]:
    """Return the space as plain JSON values; `space_from_dict` restores the same space.

    The order of the keys is the order of the parameters: store the text, or preserve the order.
    """
    return {"format": FORMAT, **_body(space)}


def space_from_dict(data: object) -> Space:
    """Return the space from the form written by `space_to_dict` or a person.

    Raises:
        InvalidSpace: the format is unknown or newer, a word is unknown, or the space contradicts
            itself; the message gives the location, such as `parameters.model.choices[0]`.
    """
    mapping = _mapping(data, "the space")
    found = mapping.get("format")
    if found != FORMAT:
        if isinstance(found, str) and found.startswith(_FAMILY):
            raise InvalidSpace(
                f"the space has the format {shown(found)}, but this tunekit reads {FORMAT!r}; "
                "upgrade tunekit."
            )
        raise InvalidSpace(
            f'the space has format={shown(found)}, expected "format: {FORMAT}" as its first line.'
        )
    try:
        return _space({k: v for k, v in mapping.items() if k != "format"}, "")
    except RecursionError:
        raise InvalidSpace("the space is nested too deeply; flatten it.") from None


def domain_to_dict(domain: Domain) -> dict[str, Any]:
    """Return one leaf domain as plain JSON values.

    Raises:
        InvalidSpace: a choice opens a child space, so the domain is not a leaf.
    """
    if isinstance(domain, Categorical) and domain.branches:
        raise InvalidSpace("a Categorical with child spaces is not a leaf; use space_to_dict.")
    if not isinstance(domain, Float | Int | Categorical | Constant):
        raise InvalidSpace(f"got {domain!r}, expected Float, Int, Categorical or Constant.")
    return _node_to_dict(domain)


def domain_from_dict(data: object) -> Float | Int | Categorical | Constant:
    """Return the leaf domain from the form written by `domain_to_dict`.

    Raises:
        InvalidSpace: a word is unknown, or values contradict each other.
    """
    node = _node(data, "domain")
    if isinstance(node, Repeat) or (isinstance(node, Categorical) and node.branches):
        raise InvalidSpace("domain: got a Categorical with child spaces, expected a leaf.")
    return node


def _body(space: Space) -> dict[str, Any]:
    out: dict[str, Any] = {"parameters": {name: _node_to_dict(node) for name, node in space.nodes}}
    if space.when:
        out["when"] = [_when_to_dict(w) for w in space.when]
    if space.constraints:
        out["constraints"] = list(space.constraints)
    return out


def _when_to_dict(when: When) -> dict[str, Any]:
    out: dict[str, Any] = {"parent": when.parent, "values": list(when.values)}
    if when.also:
        out["also"] = {parent: list(values) for parent, values in when.also}
    return {**out, **_body(when.space)}


def _node_to_dict(node: Node) -> dict[str, Any]:
    if isinstance(node, Constant):
        return {"type": "constant", "value": node.value}
    if isinstance(node, Repeat):
        return {"type": "repeat", "lo": node.lo, "hi": node.hi, "space": _body(node.block)}
    if isinstance(node, Categorical):
        return _categorical_to_dict(node)
    out: dict[str, Any] = {"type": type(node).__name__.lower(), "lo": node.lo, "hi": node.hi}
    if node.log:
        out["log"] = True
    if node.step is not None:
        out["step"] = node.step
    if node.default is not None:
        out["default"] = node.default
    if node.special:
        out["special"] = list(node.special)
    if node.fidelity:
        out["fidelity"] = True
    if node.scale is not None:
        out["scale"] = node.scale
    return out


def _categorical_to_dict(node: Categorical) -> dict[str, Any]:
    choices: list[Any] = []
    for group, child in node.mapping().items():
        if child is None:
            choices.append(group[0])
        else:
            head = {"value": group[0]} if len(group) == 1 else {"values": list(group)}
            choices.append({**head, "space": _body(child)})
    out: dict[str, Any] = {"type": "categorical", "choices": choices}
    if node.ordered:
        out["ordered"] = True
    if node.index(node.default) != 0:
        out["default"] = node.default
    return out


def _space(data: object, place: str) -> Space:
    mapping = _mapping(data, place)
    _known(mapping, ("parameters", "when", "constraints"), place)
    inner = f"{place}.parameters" if place else "parameters"
    nodes = {
        name: _node(node, f"{inner}.{name}")
        for name, node in _mapping(mapping.get("parameters") or {}, inner).items()
    }
    outer = f"{place}." if place else ""
    when = [
        _when(item, f"{outer}when[{i}]")
        for i, item in enumerate(_list(mapping.get("when"), f"{outer}when"))
    ]
    constraints = _list(mapping.get("constraints"), f"{outer}constraints")
    return _made(lambda: Space(nodes, when=when, constraints=constraints), place or "the space")


def _when(data: object, place: str) -> When:
    mapping = _mapping(data, place)
    own = ("parent", "values", "also")
    _known(mapping, (*own, "parameters", "when", "constraints"), place)
    _needed(mapping, ("parent", "values"), place)
    child = _space({k: v for k, v in mapping.items() if k not in own}, place)
    also = {
        parent: _list(values, f"{place}.also.{parent}")
        for parent, values in _mapping(mapping.get("also") or {}, f"{place}.also").items()
    }
    values = _list(mapping["values"], f"{place}.values")
    if not isinstance(mapping["parent"], str):
        raise InvalidSpace(
            f"{place}.parent: got {shown(mapping['parent'])}, expected the name of a parameter."
        )
    return _made(lambda: When(mapping["parent"], values, child, also=also), place)


def _node(data: object, place: str) -> Node:
    """Return the node of a mapping with `type:`, of a list of choices, or of a constant."""
    if isinstance(data, list):
        return _made(lambda: Categorical(data), place)
    if not isinstance(data, Mapping):
        return _made(lambda: _constant(data), place)
    kind = data.get("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise InvalidSpace(
            f"{place}: type: {shown(kind)}{did_you_mean(str(kind), _READERS)}, expected one of "
            f"{', '.join(_READERS)}."
        )
    return reader(data, place)


def _constant(value: object) -> Constant:
    ((_, node),) = Space(value=value).nodes
    if not isinstance(node, Constant):
        raise InvalidSpace(f"got {shown(value)}, expected a constant.")
    return node


def _numeric(kind: type[Float] | type[Int]) -> Callable[[Mapping[str, Any], str], Float | Int]:
    def read(data: Mapping[str, Any], place: str) -> Float | Int:
        _known(data, ("type", *_NUMBER_KEYS), place)
        _needed(data, ("lo", "hi"), place)
        options = {k: data[k] for k in _NUMBER_KEYS if k in data}
        return _made(lambda: kind(**options), place)

    return read


def _bool(data: Mapping[str, Any], place: str) -> Categorical:
    _known(data, ("type", "default"), place)
    default = data.get("default", False)
    return _made(lambda: Categorical([False, True], default=default), place)


def _categorical(data: Mapping[str, Any], place: str) -> Categorical:
    _known(data, ("type", "choices", "ordered", "default"), place)
    _needed(data, ("choices",), place)
    choices: dict[Any, Space | None] = {}
    for i, item in enumerate(_list(data["choices"], f"{place}.choices")):
        key, child = _branch(item, f"{place}.choices[{i}]")
        if key in choices:
            raise InvalidSpace(
                f"{place}.choices[{i}]: {shown(item)} duplicates a choice above; remove one."
            )
        choices[key] = child
    ordered = data.get("ordered", False)
    if not isinstance(ordered, bool):
        raise InvalidSpace(f"{place}: ordered: {shown(ordered)}, expected true or false.")
    default = data.get("default", ...)
    return _made(lambda: Categorical(choices, ordered=ordered, default=default), place)


def _branch(item: object, place: str) -> tuple[Scalar | tuple[Scalar, ...], Space | None]:
    if not isinstance(item, Mapping):
        if isinstance(item, list):
            raise InvalidSpace(f"{place}: got {shown(item)}, expected one value or values: [...].")
        return item, None  # type: ignore[return-value]
    _known(item, ("value", "values", "space"), place)
    if ("value" in item) == ("values" in item):
        raise InvalidSpace(f"{place}: expected either value: or values:; give one of them.")
    child = _space(item["space"], f"{place}.space") if item.get("space") is not None else None
    if "value" in item:
        if isinstance(item["value"], list | dict):
            raise InvalidSpace(f"{place}: value: {shown(item['value'])}, expected one value.")
        return item["value"], child
    values = _list(item["values"], f"{place}.values")
    if any(isinstance(v, list | dict) for v in values):
        raise InvalidSpace(f"{place}: values: {shown(values)}, expected a list of single values.")
    if not values:
        raise InvalidSpace(f"{place}: values: is empty; give one or more, or remove the branch.")
    return tuple(values), child


def _repeat(data: Mapping[str, Any], place: str) -> Repeat:
    _known(data, ("type", "lo", "hi", "space"), place)
    _needed(data, ("lo", "hi", "space"), place)
    block = _space(data["space"], f"{place}.space")
    return _made(lambda: Repeat(data["lo"], data["hi"], block), place)


def _constant_node(data: Mapping[str, Any], place: str) -> Constant:
    _known(data, ("type", "value"), place)
    _needed(data, ("value",), place)
    return _made(lambda: _constant(data["value"]), place)


_READERS: dict[str, Callable[[Mapping[str, Any], str], Node]] = {
    "float": _numeric(Float),
    "int": _numeric(Int),
    "bool": _bool,
    "categorical": _categorical,
    "repeat": _repeat,
    "constant": _constant_node,
}


def _made(make: Callable[[], _T], place: str) -> _T:
    """Return `make()`, adding the location to its errors."""
    try:
        return make()
    except InvalidSpace as error:
        raise InvalidSpace(f"{place}: {error.message}") from None


def _mapping(data: object, place: str) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise InvalidSpace(f"{place or 'the space'}: got {shown(data)}, expected a mapping.")
    for key in data:
        if not isinstance(key, str):
            raise InvalidSpace(f"{place}: the key {key!r} is not a string; put it in quotes.")
    return data


def _list(data: object, place: str) -> list[Any]:
    if data is None:
        return []
    if not isinstance(data, list | tuple):
        raise InvalidSpace(f"{place}: got {shown(data)}, expected a list.")
    return list(data)


def _known(data: Mapping[str, Any], keys: Iterable[str], place: str) -> None:
    for key in data:
        if key not in keys:
            is_bare = "parameters" in keys and "parameters" not in data
            nested = "; put the parameters below parameters:" if is_bare else ""
            raise InvalidSpace(
                f'{place or "the space"}: unknown word "{key}"{did_you_mean(str(key), keys)}, '
                f"expected {', '.join(keys)}{nested}."
            )


def _needed(data: Mapping[str, Any], keys: Iterable[str], place: str) -> None:
    for key in keys:
        if key not in data:
            raise InvalidSpace(f"{place}: {key}: is missing; add it.")
