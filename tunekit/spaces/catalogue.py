"""Loads bundled spaces, and the user's own, from YAML or JSON files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Hashable, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from tunekit.checks import shown
from tunekit.errors import InvalidSpace, did_you_mean
from tunekit.spaces.interop import from_configspace
from tunekit.spaces.serialize import space_from_dict
from tunekit.spaces.tree import Space

MAX_BYTES = 10_000_000

YAML_SCALAR_ERRORS = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)
"""Exceptions of PyYAML besides its own, for values such as `!!int abc` or `!!bool maybe`."""


def catalogue_root() -> Traversable:
    """Return the folder of bundled spaces, in the wheel or next to the package in a checkout."""
    package = files("tunekit")
    bundled = package / "search_spaces"
    return bundled if bundled.is_dir() else package / ".." / "search_spaces"


def bundled_spaces() -> list[str]:
    """Return the names of all bundled spaces."""
    root = catalogue_root()
    if not root.is_dir():
        return []
    files = [f for f in root.iterdir() if f.name.endswith(".yaml")]
    return sorted(f.name.removesuffix(".yaml") for f in files if not _is_of_knobs(f))


def _is_of_knobs(file: Traversable) -> bool:
    """Return whether a file lists knobs of a database, whose ranges depend on the server."""
    return "\nformat: tunekit.knobs/" in f"\n{file.read_text(encoding='utf-8')[:2000]}"


def load_space(path_or_name: str | os.PathLike[str]) -> Space:
    """Return a space from a `.yaml`, `.yml` or `.json` file, or a bundled one by name.

    ConfigSpace files (`to_json`, `to_yaml`) are supported as well; see `from_configspace`.

    Raises:
        InvalidSpace: the file or name does not exist, the file cannot be read, or the space is
            invalid; the message gives the file and the location in it.
    """
    given = os.fspath(path_or_name)
    if not isinstance(given, str) or not given:
        raise InvalidSpace(f"load_space: got {shown(path_or_name)}, expected a file or a name.")
    file: Traversable = Path(given)
    if not file.name.endswith((".yaml", ".yml", ".json")):
        if file.is_file() or given not in bundled_spaces():
            names = bundled_spaces()
            raise InvalidSpace(
                f'no bundled space "{given}"{did_you_mean(given, names)}; give a .yaml or .json '
                f"file or one of {', '.join(names)}."
            )
        file = catalogue_root() / f"{given}.yaml"
    try:
        data = read_document(file, given)
        if isinstance(data, Mapping) and "hyperparameters" in data and "format" not in data:
            return from_configspace(data)
        return space_from_dict(data)
    except RecursionError:
        raise InvalidSpace(f"{given}: it is nested too deeply; flatten it.") from None
    except InvalidSpace as error:
        raise InvalidSpace(f"{given}: {error.message}") from None


def read_document(file: Traversable, given: str) -> Any:
    """Return what a YAML or JSON file holds, scalars by YAML 1.2.

    Args:
        file: to read.
        given: how messages call it.

    Raises:
        InvalidSpace: it cannot be read, or is neither.
    """
    return _parsed(_text(file, given), is_json=file.name.endswith(".json"))


def _text(file: Traversable, given: str) -> str:
    if isinstance(file, Path) and file.exists() and not file.is_file():
        # A pipe would be waited for without an end, and a device has none.
        raise InvalidSpace(f'cannot read "{given}": it is not a regular file; give one.')
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidSpace(
            f'cannot read "{given}": {error.strerror}; check the path and its permissions.'
        ) from None
    if len(data) > MAX_BYTES:
        raise InvalidSpace(
            f"{given}: the file is larger than {MAX_BYTES} bytes; give the file of a space."
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidSpace(f"{given}: the file is not UTF-8 text; save it as UTF-8.") from None


def _parsed(text: str, *, is_json: bool) -> Any:
    if is_json:
        try:
            return json.loads(text, object_pairs_hook=_without_duplicates)
        except ValueError as error:
            if isinstance(error, InvalidSpace):
                raise
            raise InvalidSpace(f"it is not JSON: {error}.") from None
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise InvalidSpace(f"it is not YAML: {error}.") from None
    except YAML_SCALAR_ERRORS as error:
        raise InvalidSpace(f"it is not YAML: a value does not fit its tag ({error}).") from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in pairs:
        if key in out:
            raise InvalidSpace(f'the key "{key}" appears twice in one mapping; rename one.')
        out[key] = value
    return out


class _Loader(yaml.SafeLoader):
    """Safe loader with the scalars of YAML 1.2: `on` is a string, `1e-3` a number.

    YAML 1.1 would read the choices `[on, off]` as booleans and `1e-3` as a string.
    """

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - as the base declares it

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                continue  # the base class reports the error
            if key in seen:
                line = key_node.start_mark.line + 1
                raise InvalidSpace(f'line {line}: the key "{key}" appears twice; rename one.')
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _sequence(loader: _Loader, node: yaml.SequenceNode) -> list[Any]:
    return loader.construct_sequence(node, deep=True)


# ConfigSpace writes the values of an IN clause as a tuple.
_Loader.add_constructor("tag:yaml.org,2002:python/tuple", _sequence)


def _add_resolver(kind: str, pattern: str, first: str) -> None:

    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(pattern), list(first))


_add_resolver("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF")
_add_resolver("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789")
_add_resolver(
    "float",
    r"^(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
    "-+0123456789.",
)
_add_resolver("null", r"^(?:~|null|Null|NULL|)$", "~nN")
_Loader.yaml_implicit_resolvers.setdefault("", []).append(_Loader.yaml_implicit_resolvers["~"][0])
