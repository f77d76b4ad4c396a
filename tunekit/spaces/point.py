"""A point of a space: the flat mapping that samplers propose and objectives read."""

from __future__ import annotations

from typing import Any

from tunekit.errors import UnknownParameter, did_you_mean
from tunekit.spaces.domains import Scalar


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
        """Return the point as nested dicts.

        A choice that opened a child space becomes the key of its values, a stack a list:
        `{"model": {"svm": {"C": 1.0}}, "layers": [{"units": 8}]}`.
        """
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
        chosen = str(out[head]) if head in out else None
        if all(k.isdigit() for k in inner) and type(out.get(head)) is int:
            out[head] = list(inner.values())
        elif chosen is not None and len(inner) == 1 and chosen in next(iter(inner)).split("|"):
            out[head] = {chosen: next(iter(inner.values()))}  # "a|b" opened by "a"
        else:
            out[head] = inner
    return out
