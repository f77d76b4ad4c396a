"""The flat mapping that represents a point of a space."""

from __future__ import annotations

from collections.abc import Hashable, ItemsView, Iterable, Iterator, KeysView, Mapping
from typing import TYPE_CHECKING, Any

from tunekit.errors import UnknownParameter, did_you_mean
from tunekit.spaces.domains import Scalar
from tunekit.spaces.nesting import nested

if TYPE_CHECKING:
    from tunekit.spaces.tree import Space


class Params(dict[str, Scalar]):
    """A point of a space: dotted path -> value of every active parameter.

    A short name stands for its path in all methods alike, where it is unique among the active
    parameters: `params["C"]`, `params.get("C")`, `"C" in params` and `params["C"] = 2.0` are
    about `model.svm.C`. A path of the space is never taken as a short name. Iteration,
    equality and length go by the paths.

    Args:
        values: path -> value, as they stand; another point hands on its space.
        space: what it is a point of; a point of none has no structure to nest by.
        named: further values by name, as `dict` takes them.

    Raises:
        UnknownParameter: (from every method) the name is short for several active parameters.
    """

    __slots__ = ("_space",)

    def __init__(
        self,
        values: Mapping[str, Any] | Iterable[tuple[str, Any]] = (),
        space: Space | None = None,
        /,
        **named: Any,
    ) -> None:
        super().__init__(values, **named)
        self._space: Space | None = getattr(values, "_space", None) if space is None else space

    def __missing__(self, key: str) -> Scalar:
        path = self._path(key)
        if path is not None:
            return self[path]
        raise self._unknown(key)

    def __contains__(self, key: object) -> bool:
        return dict.__contains__(self, key) or self._path(key) is not None

    def __setitem__(self, key: str, value: Scalar) -> None:
        path = self._path(key)
        super().__setitem__(key if path is None else path, value)

    def __delitem__(self, key: str) -> None:
        path = self._path(key)
        if path is None:
            raise self._unknown(key)
        super().__delitem__(path)

    def get(self, key: str, default: Any = None, /) -> Any:
        """Return the value of an active parameter, else the default."""
        if dict.__contains__(self, key):
            return self[key]
        path = self._path(key)
        return default if path is None else self[path]

    def setdefault(self, key: str, default: Any = None, /) -> Any:
        """Return the value of an active parameter, first setting it to the default if missing."""
        path = self._path(key)
        return super().setdefault(key if path is None else path, default)

    def pop(self, key: str, /, *default: Any) -> Any:
        """Remove a parameter and return its value, else the given default."""
        path = self._path(key)
        if path is None and not default:
            raise self._unknown(key)
        return super().pop(key if path is None else path, *default)

    def update(self, *others: Any, **named: Any) -> None:
        """Set several values."""
        for path, value in dict(*others, **named).items():
            self[path] = value

    def keys(self) -> KeysView[str]:  # type: ignore[override]
        """Return the paths."""
        return _Keys(self)

    def items(self) -> ItemsView[str, Scalar]:  # type: ignore[override]
        """Return the paths with their values."""
        return _Items(self)

    def copy(self) -> Params:
        """Return another point with the same values."""
        return Params(self)

    def __copy__(self) -> Params:
        return Params(self)

    def __or__(self, other: Any) -> Any:
        if not isinstance(other, Mapping):
            return NotImplemented
        merged = Params(self)
        merged.update(other)
        return merged

    def __ror__(self, other: Any) -> Any:
        if not isinstance(other, Mapping):
            return NotImplemented
        merged = Params(self)
        for key, value in other.items():
            merged.setdefault(key, value)
        return merged

    def __ior__(self, other: Any) -> Params:  # type: ignore[override]
        self.update(other)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (dict(self), self._space)

    def belongs_to(self, space: Space) -> Params:
        """Set the space that it is a point of, and return itself."""
        self._space = space
        return self

    def nested(self) -> dict[str, Any]:
        """Return the point as nested dicts, by the structure of its space.

        A choice that opens a child space becomes the key of its values, as text, and a stack a
        list: `{"model": {"svm": {"C": 1.0}}, "layers": [{"units": 8}]}`. A name is never taken
        apart at its dots, so a point of no declared space (a program's) stays flat.
        """
        if self._space is None:
            return dict(self)
        return nested(self._space, self)

    def _path(self, key: object) -> str | None:
        """Return the path of a name in this point, `None` without one."""
        if dict.__contains__(self, key):
            return key  # type: ignore[return-value]
        if not isinstance(key, str) or (self._space is not None and key in self._space.by_path):
            return None
        tail = f".{key}"
        paths = [p for p in self if p.endswith(tail)]
        if len(paths) > 1:
            raise UnknownParameter(
                f'"{key}" is short for several parameters: {", ".join(paths)}; give a full path.'
            )
        return paths[0] if paths else None

    def _unknown(self, key: Hashable) -> UnknownParameter:
        hint = did_you_mean(str(key), [*self, *(p.rsplit(".", 1)[-1] for p in self)])
        return UnknownParameter(
            f'no active parameter "{key}"{hint}; active: {", ".join(self) or "none"}.'
        )


class _Keys(KeysView[str]):
    """The paths of a point; tests and sets of names also accept short names."""

    _mapping: Params

    def __sub__(self, other: Iterable[Any]) -> set[str]:
        return set(self) - self._paths(other)

    def __or__(self, other: Iterable[Any]) -> set[Any]:
        return set(self) | self._paths(other)

    def __xor__(self, other: Iterable[Any]) -> set[Any]:
        return set(self) ^ self._paths(other)

    def _paths(self, names: Iterable[Any]) -> set[Any]:
        found = ((name, self._mapping._path(name)) for name in names)
        return {name if path is None else path for name, path in found}

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._mapping)


class _Items(ItemsView[str, Scalar]):
    """The items of a point; iteration skips the look-up of names."""

    _mapping: Params

    def __iter__(self) -> Iterator[tuple[str, Scalar]]:
        return iter(dict.items(self._mapping))

    def __reversed__(self) -> Iterator[tuple[str, Scalar]]:
        return reversed(dict.items(self._mapping))


def _restored(values: dict[str, Scalar], space: Space | None) -> Params:
    return Params(values, space)
