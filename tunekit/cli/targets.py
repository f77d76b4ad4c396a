"""Loads Python objects named on the command line: `train.py:objective` or `module:objective`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tunekit.errors import InvalidArgument, TunekitError, did_you_mean

if TYPE_CHECKING:
    from tunekit.executors.trial import Trial


@dataclass(frozen=True, slots=True)
class Function:
    """An objective sent to workers by name; each worker imports it itself.

    Attributes:
        target: `file.py:function` or `module:function`.
        folder: folder that contains the file or module.
    """

    target: str
    folder: str

    def __call__(self, trial: Trial) -> Any:
        """Run the function on a trial."""
        return load(self.target, self.folder)(trial)


def load_function(target: str, folder: Path) -> Function:
    """Return the objective of that name after checking that it exists.

    Raises:
        InvalidArgument: the file, module or function does not exist, or its import fails.
    """
    found = load(target, str(folder))
    if not callable(found):
        raise InvalidArgument(
            f"{target}: got {found!r}, expected a function that takes a trial; name the objective."
        )
    return Function(target, str(folder))


@lru_cache
def load(target: str, folder: str) -> Any:
    """Load the object that a target names.

    Raises:
        InvalidArgument: the file, module or name does not exist, or its import fails.
    """
    place, _, name = target.rpartition(":")
    if not place or not name:
        raise InvalidArgument(
            f'"{target}" names no function: expected file.py:function or module:function; give a '
            "program after --, as in `tunekit run -- python train.py --lr {lr}`."
        )
    try:
        module = (
            _from_file(Path(folder, place)) if place.endswith(".py") else _named(place, folder)
        )
    except (TunekitError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a script may also call sys.exit
        raise InvalidArgument(f"cannot import {place}: {_said(error)}.") from error
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            hint = did_you_mean(part, [n for n in dir(found) if not n.startswith("_")])
            raise InvalidArgument(f'{place} has no "{part}"{hint}; expected {target} to exist.')
        found = getattr(found, part)
    return found


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise InvalidArgument(f"no file {path}{did_you_mean(path.name, near)}; check the path.")
    # Like `python train.py`, search the file's own folder for its imports.
    search_first(str(path.parent.resolve()))
    name = path.stem if path.stem not in sys.modules else f"{path.stem}_of_tunekit_run"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles of the file need to find it
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _named(name: str, folder: str) -> ModuleType:
    search_first(folder)
    return importlib.import_module(name)


def search_first(folder: str) -> None:
    """Make imports search a folder before all others."""
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _said(error: BaseException) -> str:
    frames = [
        f
        for f in traceback.extract_tb(error.__traceback__)
        if not f.filename.startswith("<frozen")
    ]
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    if isinstance(error, SyntaxError):  # its text already gives the position
        place = ""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}{place}" if text else f"{type(error).__name__}{place}"
