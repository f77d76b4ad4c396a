"""The directive `error-catalogue`: one entry a code, read from tunekit/errors.py."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from tunekit import errors

EXIT_STATUS = {
    1: "the command failed",
    2: "wrong input",
    3: "not found",
    4: "not permitted",
    6: "no result yet",
    7: "the storage does not answer",
    8: "the worker quarantined itself",
}


def classes() -> list[type[errors.TunekitError]]:
    """Return the errors that have a code of their own, by code."""
    found = [
        kind
        for kind in vars(errors).values()
        if inspect.isclass(kind) and issubclass(kind, errors.TunekitError) and "code" in vars(kind)
    ]
    return sorted(found, key=lambda kind: kind.code)


def entry(kind: type[errors.TunekitError]) -> list[str]:
    """Return the lines of Markdown for one error: its code, what it means, what to do."""
    caught = [
        base.__name__
        for base in kind.__mro__[1:]
        if base.__module__ == "builtins" and base not in (Exception, BaseException, object)
    ]
    also = f", caught by `except {caught[0]}` too" if caught else ""
    status = f"{kind.exit_status} ({EXIT_STATUS[kind.exit_status]})"
    return [
        f"({kind.code.lower()})=",
        f"## {kind.code} {kind.__name__}",
        "",
        *inspect.cleandoc(kind.__doc__ or "").splitlines(),
        "",
        f"`tunekit.errors.{kind.__name__}`{also}. The command line exits with status {status}.",
        "",
    ]


class ErrorCatalogue(SphinxDirective):
    """Writes the catalogue where it stands."""

    has_content: ClassVar[bool] = False

    def run(self) -> list[nodes.Node]:
        """Return one section for each error."""
        self.env.note_dependency(errors.__file__)
        lines = [line for kind in classes() for line in entry(kind)]
        root = nodes.Element()
        self.state.nested_parse(StringList(lines, errors.__file__), 0, root, match_titles=True)
        return root.children


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("error-catalogue", ErrorCatalogue)
    return {"parallel_read_safe": True}
