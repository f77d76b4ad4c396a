"""Resolves names in a constraint to paths of parameters."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence

from tunekit.errors import InvalidSpace, did_you_mean

EACH = "*"
"""The part of a name that matches every entry."""


class Names:
    """Resolves names; `[*]` in a name expands it to every entry.

    Args:
        prefix: path prefix of the space that the names belong to.
        paths: paths of all parameters, in traversal order.
        fault: returns the error for (what is wrong, what to do).
    """

    def __init__(
        self, prefix: str, paths: tuple[str, ...], fault: Callable[[str, str], InvalidSpace]
    ) -> None:
        self.names: dict[str, str] = {}
        self._prefix = prefix
        self._paths = tuple(p for p in paths if p.startswith(prefix))
        self._known = set(self._paths)
        self._fault = fault
        self._entries: dict[str, dict[tuple[str, ...], str]] = {}
        self._labels: list[tuple[str, ...]] = []

    def written(self, node: ast.expr) -> str:
        """Return an expression as originally written."""
        return ast.unparse(node).replace("[...]", "[*]")

    def path(self, node: ast.expr, entry: int | None) -> str:
        """Return the path of a name, for one entry if it contains `[*]`.

        Raises:
            InvalidSpace: no parameter has the name, or several have it.
        """
        parts = self._split(node)
        if EACH in parts:
            return self._path_of_entry(self.written(node), parts, entry)
        written = self.written(node)
        if written not in self.names:
            self.names[written] = self._resolved(parts)
        return self.names[written]

    def entries(self, nodes: Sequence[ast.expr]) -> int | None:
        """Return the common number of entries of names with `[*]`.

        Where one has two of them (`layers[*].heads[*].dim`) and another only the first, this
        is the same for all heads of a layer.

        Raises:
            InvalidSpace: they have no entries, or different numbers of them.
        """
        given = {self.written(n): self._split(n) for n in nodes}
        stars = {w: parts.count(EACH) for w, parts in given.items() if EACH in parts}
        if not stars:
            return None
        most = max(stars.values())
        matches = {w: self._matches(w, given[w]) for w in stars}
        counts = {len(matches[w]) for w, n in stars.items() if n == most}
        if len(counts) > 1:
            raise self._fault(
                f"{' and '.join(stars)} have different numbers of entries",
                "take sums of each",
            )
        self._labels = list(matches[next(w for w, n in stars.items() if n == most)])
        return counts.pop()

    def _path_of_entry(self, written: str, parts: list[str], entry: int | None) -> str:
        if entry is None:
            raise self._fault(
                f'"{written}" has several values',
                f"combine them: sum({written}), max, min, count, any or all",
            )
        found, n = self._matches(written, parts), parts.count(EACH)
        is_full = n == len(self._labels[entry])
        path = list(found.values())[entry] if is_full else found.get(self._labels[entry][:n])
        if path is None:
            raise self._fault(
                f'"{written}" has no entry {".".join(self._labels[entry][:n])}',
                "name the same stack everywhere",
            )
        self.names[path.removeprefix(self._prefix)] = path
        return path

    def _matches(self, written: str, parts: list[str]) -> dict[tuple[str, ...], str]:
        """Return entry -> path of all parameters that a name with `[*]` matches."""
        if written in self._entries:
            return self._entries[written]
        found: dict[tuple[str, ...], str] = {}
        for tail in (0, 1):  # first the path itself, then the last part as a short name
            middle = r"\.(?:.+\.)?" if tail and parts[-1] != EACH else r"\."
            head = r"\.".join(r"([^.]+)" if p == EACH else re.escape(p) for p in parts[:-1])
            last = r"([^.]+)" if parts[-1] == EACH else re.escape(parts[-1])
            pattern = re.compile(f"{re.escape(self._prefix)}{head}{middle}{last}")
            for path in self._paths:
                if match := pattern.fullmatch(path):
                    if match.groups() in found:
                        raise self._ambiguous(written, [found[match.groups()], path])
                    found[match.groups()] = path
            if found:
                self._entries[written] = found
                return found
        raise self._not_found(written)

    def _split(self, node: ast.expr) -> list[str]:
        parts: list[str] = []
        while True:
            match node:
                case ast.Name(id=name):
                    return [name, *reversed(parts)]
                case ast.Attribute(value=base, attr=name):
                    parts.append(name)
                case ast.Subscript(value=base, slice=ast.Constant(value=key)) if (
                    isinstance(key, str | int) or key is ...
                ):
                    parts.append(EACH if key is ... else str(key))
                case _:
                    raise self._fault(
                        f'"{self.written(node)[:60]}" is not allowed here',
                        'a name is written model.svm.C, layers[0].units or params["my name"]',
                    )
            node = base

    def _resolved(self, parts: list[str]) -> str:
        name = ".".join(parts)
        if parts[0] == "params" and len(parts) > 1 and not self._find(name):
            name = ".".join(parts[1:])
        path = self._find(name)
        if path is None:
            raise self._not_found(name)
        return path

    def _find(self, name: str) -> str | None:
        if self._prefix + name in self._known:
            return self._prefix + name
        found = self._ending(name)
        return found[0] if len(found) == 1 else None

    def _ending(self, name: str) -> list[str]:
        return [p for p in self._paths if p.endswith(f".{name}")]

    def _not_found(self, name: str) -> InvalidSpace:
        several = self._ending(name)
        if len(several) > 1:
            return self._ambiguous(name, several)
        short = (p.rsplit(".", 1)[-1] for p in self._paths)
        hint = did_you_mean(name, [*self._paths, *short])
        return self._fault(
            f'it names an unknown parameter "{name}"{hint}',
            "name one of the constraint's own space, or move the constraint to an outer space",
        )

    def _ambiguous(self, name: str, paths: list[str]) -> InvalidSpace:
        return self._fault(
            f'"{name}" is short for several parameters ({", ".join(paths[:5])})',
            "give a full path",
        )
