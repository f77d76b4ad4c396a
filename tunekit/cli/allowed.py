"""Decides which commands and functions of other people's jobs a runner may start.

Only what lies below the allowed folders, after all links are resolved. A job is data: it names a
file there, and cannot bring code, an interpreter's option or an environment of its own.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from inspect import unwrap
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from tunekit.cli.targets import load
from tunekit.errors import InvalidArgument

if TYPE_CHECKING:
    from tunekit.executors.trial import Trial

INTERPRETERS = ("python", "python3", "sh", "bash")
"""Programs from outside that may run a script of the allowed folders, without any option."""


class AllowedFolders:
    """Folders whose programs and functions may run.

    Raises:
        InvalidArgument: one is not a folder.
    """

    def __init__(self, folders: Sequence[str | Path]) -> None:
        self.folders = tuple([Path(f).resolve() for f in folders])
        for given, folder in zip(folders, self.folders, strict=True):
            if not folder.is_dir():
                raise InvalidArgument(f"--allow {given} is not a folder; name one.")
        if not self.folders:
            raise InvalidArgument("a runner runs nothing without --allow FOLDER; name one.")

    def file(self, text: str) -> tuple[Path, Path]:
        """Return the real path of a file, and the allowed folder that it was found from.

        Raises:
            InvalidArgument: it is not there, or lies elsewhere.
        """
        given = PurePath(text)
        if ".." in given.parts or "\0" in text or not given.name:
            raise InvalidArgument(f'"{text}" is not a path below a folder; leave out "..".')
        for folder in self.folders:
            real = Path(folder, given).resolve()
            if not real.is_file():
                continue
            if self._holds(real):
                return real, folder
            raise InvalidArgument(
                f'"{text}" lies outside of the folders that this runner allows; copy it there.'
            )
        raise InvalidArgument(
            f'"{text}" is not a file below the folders that this runner allows; copy it there.'
        )

    def function(self, target: str) -> AllowedFunction:
        """Return the objective `file.py:function` or `module:function`.

        It is not imported here; whether the function itself is defined below the folders is
        checked where it runs.

        Raises:
            InvalidArgument: its file lies elsewhere.
        """
        place, _, name = target.rpartition(":")
        if not place or not name.isidentifier():
            raise InvalidArgument(
                f'"{target}" names no function of a file: expected file.py:function.'
            )
        folder = self.file(place)[1] if place.endswith(".py") else self._module(place)
        return AllowedFunction(target, str(folder), tuple(map(str, self.folders)))

    def program(self, words: Sequence[str]) -> tuple[list[str], Path]:
        """Return the words of a command with its program as a real path, and its folder.

        Raises:
            InvalidArgument: the program lies elsewhere, or an argument names a path elsewhere.
        """
        n_fixed = 2 if words[0] in INTERPRETERS else 1
        fixed, rest = list(words[:n_fixed]), list(words[n_fixed:])
        script = fixed[-1]
        if len(fixed) < n_fixed or (n_fixed == 2 and script.startswith("-")) or "{" in script:
            raise InvalidArgument(
                f'command "{" ".join(words[:3])}": expected a program or script of the allowed '
                "folders first, neither an option of an interpreter nor a {parameter}."
            )
        path, folder = self.file(script)
        if n_fixed == 1 and not os.access(path, os.X_OK):
            raise InvalidArgument(f'"{script}" is not executable; use chmod +x.')
        for word in rest:
            self._check_argument(word)
        interpreter = [_interpreter(words[0])] if n_fixed == 2 else []
        return [*interpreter, str(path), *rest], folder

    def _module(self, name: str) -> Path:
        parts = name.split(".")
        if not all(part.isidentifier() for part in parts):
            raise InvalidArgument(f'"{name}" is not a module; write it as package.module.')
        if parts[0] in sys.stdlib_module_names or not self._is_ours(parts[0]):
            raise InvalidArgument(
                f'module "{parts[0]}" is one of the Python installation; name a file of the '
                "allowed folders."
            )
        inner = "/".join(parts)
        for text in (f"{inner}.py", f"{inner}/__init__.py"):
            if any(Path(folder, text).is_file() for folder in self.folders):
                return self.file(text)[1]
        raise InvalidArgument(
            f'there is no module "{name}" below the folders that this runner allows; copy it '
            "there."
        )

    def _is_ours(self, top: str) -> bool:
        """Return whether a module of this name cannot come from elsewhere."""
        try:
            found = importlib.util.find_spec(top)
        except (ImportError, ValueError):
            return False
        if found is None:
            return True
        places = [found.origin] if found.origin else list(found.submodule_search_locations or ())
        return bool(places) and all(p and self._holds(Path(p).resolve()) for p in places)

    def _check_argument(self, word: str) -> None:
        for part in (word, word.partition("=")[2]):
            path = PurePath(part)
            leaves = path.is_absolute() and not self._holds(Path(part).resolve())
            if leaves or ".." in path.parts:
                raise InvalidArgument(
                    f'argument "{word}" names a path outside of the allowed folders; let the '
                    "script itself know it."
                )

    def _holds(self, path: Path) -> bool:
        return any(path.is_relative_to(folder) for folder in self.folders)


@dataclass(frozen=True)
class AllowedFunction:
    """An objective that refuses to run if it is defined outside of the allowed folders.

    Attributes:
        target: `file.py:function` or `module:function`.
        folder: allowed folder that contains the file or module.
        folders: all allowed folders.
    """

    target: str
    folder: str
    folders: tuple[str, ...]

    def __call__(self, trial: Trial) -> Any:
        """Run the function on a trial.

        Raises:
            InvalidArgument: it is defined elsewhere.
        """
        return self._function(trial)

    @cached_property
    def _function(self) -> Any:
        allowed = AllowedFolders(self.folders)
        place = self.target.rpartition(":")[0]
        if place.endswith(".py"):
            allowed.file(place)
        found = load(self.target, self.folder)
        module = sys.modules.get(getattr(unwrap(found), "__module__", None) or "")
        file = getattr(module, "__file__", None)
        if file is None or not callable(found):
            raise InvalidArgument(f"{self.target} is not a function of the allowed folders.")
        allowed.file(str(Path(file).resolve()))
        return found


def _interpreter(name: str) -> str:
    return sys.executable if name.startswith("python") else shutil.which(name) or f"/bin/{name}"
