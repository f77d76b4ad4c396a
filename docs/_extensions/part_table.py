"""Directives for samplers and stoppers, which read the registry and the code.

`part-table` has a line `name: when to use it` for each short name in its body; the options and
their defaults come from the signatures. `part-reference` writes the docstring of each part.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any, ClassVar, cast

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from tunekit import registry


def factory(kind: registry.Kind, name: str) -> Any:
    """Return the class, or the function, that a short name stands for."""
    target, _ = registry._BUILT_IN[kind][name]
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def path(kind: registry.Kind, name: str) -> str:
    """Return the dotted path of what a short name stands for."""
    return registry._BUILT_IN[kind][name][0].replace(":", ".")


def options(kind: registry.Kind, name: str) -> str:
    """Return the options of a part with their defaults, as they are written in a call."""
    preset = registry._BUILT_IN[kind][name][1]
    shown = []
    for parameter in inspect.signature(factory(kind, name)).parameters.values():
        if parameter.name in preset:
            continue
        if parameter.kind is parameter.VAR_KEYWORD:
            shown.append(f"`**{parameter.name}`")
        elif parameter.default is parameter.empty:
            shown.append(f"`{parameter.name}` (required)")
        else:
            shown.append(f"`{parameter.name}={parameter.default!r}`")
    return ", ".join(shown) or "none"


class PartTable(SphinxDirective):
    """Writes the table of one kind of part where it stands."""

    required_arguments: ClassVar[int] = 1
    has_content: ClassVar[bool] = True

    def run(self) -> list[nodes.Node]:
        """Return the table.

        Raises:
            ExtensionError: a short name of the registry has no line, or a line no short name.
        """
        kind = cast("registry.Kind", self.arguments[0])
        when = dict(line.split(": ", 1) for line in self.content if line.strip())
        known = registry._BUILT_IN[kind]
        if wrong := sorted(set(when) ^ set(known)):
            raise ExtensionError(f"{self.env.docname}: the table of {kind}s differs in {wrong}.")
        lines = ["| name | use it when | options |", "|---|---|---|"]
        lines += [
            f"| {{py:obj}}`{name} <{path(kind, name)}>` | {text} | {options(kind, name)} |"
            for name, text in when.items()
        ]
        root = nodes.Element()
        self.state.nested_parse(StringList(lines, registry.__file__), 0, root)
        return root.children


class PartReference(SphinxDirective):
    """Writes the docstring of every part of one kind where it stands."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """Return the descriptions, each class once."""
        kind = cast("registry.Kind", self.arguments[0])
        found = {path(kind, name): factory(kind, name) for name in registry._BUILT_IN[kind]}
        lines = ["```{eval-rst}"]
        for where, made in found.items():
            lines.append(f".. auto{'class' if inspect.isclass(made) else 'function'}:: {where}")
        root = nodes.Element()
        self.state.nested_parse(StringList([*lines, "```"], registry.__file__), 0, root)
        return root.children


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("part-table", PartTable)
    app.add_directive("part-reference", PartReference)
    return {"parallel_read_safe": True}
