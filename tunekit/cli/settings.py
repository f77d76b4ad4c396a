"""Defines the settings of a run in one model.

The model serves `tunekit.yaml`, the flags of `tunekit run`, and the recipe stored with the study
for `tunekit resume`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tunekit.checks import seconds
from tunekit.errors import InvalidArgument, TunekitError, did_you_mean

FILE = "tunekit.yaml"

_UNITS = {"": 1.0, "m": 1.0, "mib": 1.0, "mb": 1.0, "g": 1024.0, "gib": 1024.0, "gb": 1024.0}


def _duration(value: object) -> object:
    return seconds(value) if isinstance(value, str) else value


def _memory(value: object) -> object:
    """Return MiB for a number of MiB or a text, for example "512", "4G", "1.5GiB"."""
    if not isinstance(value, str):
        return value
    number = value.strip().rstrip("MmIiGgBb").strip()
    unit = value.strip()[len(number) :].strip().lower()
    try:
        return float(number) * _UNITS[unit]
    except (KeyError, ValueError):
        raise ValueError('expected a number of MiB or a text like "4G"') from None


Seconds = Annotated[float, BeforeValidator(_duration), Field(gt=0, allow_inf_nan=False)]
Mebibytes = Annotated[float, BeforeValidator(_memory), Field(gt=0, allow_inf_nan=False)]


class RunSettings(BaseModel):
    """Holds the settings of a run.

    Attributes:
        objective: `file.py:function` or `module:function`.
        command: a program with its arguments; `{name}` stands for a parameter.
        space: a file, a bundled name, `file.py:attribute`, or the space itself.
        trials: total number of trials in the study.
        timeout: seconds after which no trial starts.
        workers: number of parallel trials; by default one, or all that fit on the Ray cluster.
        executor: processes on this machine, or a Ray cluster.
        ray_address: address of the cluster; by default RAY_ADDRESS, else a new cluster here.
        max_failed_trials: the run ends with an error once more trials have failed.
        trial_timeout: seconds after which a trial is killed and FAILED.
        memory: MiB of resident memory above which a trial is killed and FAILED.
        sampler: proposes the trials; by default the study's own, or auto for a new study.
        warm_start: earlier studies of the same storage to learn from.
        stopper: ends hopeless trials early; of several, the first that stops one wins.
        audit: share of the condemned trials that run on, for `tunekit studies audit`.
        enqueue_default: try the space's default point first.
    """

    model_config = ConfigDict(extra="forbid", strict=False)

    name: str | None = None
    objective: str | None = None
    command: list[str] | None = None
    space: str | dict[str, Any] | None = None
    objectives: dict[str, Literal["minimize", "maximize"]] | None = None
    constraints: list[str] = []
    trials: int | None = Field(default=None, ge=1)
    timeout: Seconds | None = None
    workers: int | None = Field(default=None, ge=1)
    executor: Literal["process", "ray"] = "process"
    ray_address: str | None = None
    sampler: str | None = None
    sampler_options: dict[str, Any] = {}
    warm_start: list[str] | None = None
    stopper: str | list[str] | None = None
    stopper_options: dict[str, Any] = {}
    audit: float | None = Field(default=None, ge=0, le=1)
    seed: int | None = None
    storage: str | None = None
    resources: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = {}
    devices: list[str | int] | None = None
    trial_timeout: Seconds | None = None
    memory: Mebibytes | None = None
    max_failed_trials: int | None = Field(default=None, ge=0)
    enqueue_default: bool = False


def read_file(path: Path) -> dict[str, Any]:
    """Read a study file, and check only that it is a mapping.

    Raises:
        InvalidArgument: the file is missing, cannot be read, or is not a YAML mapping.
    """
    import yaml

    from tunekit.spaces.catalogue import YAML_SCALAR_ERRORS

    if path.exists() and not path.is_file():
        raise InvalidArgument(f"{path} is a folder, pipe or device; give a regular file.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidArgument(
            f"nothing to run: no objective given and {path} does not exist; use `tunekit run "
            "train.py:objective`, `tunekit run -- program {parameter}`, or start with "
            "`tunekit init`."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"cannot read {path}: {error}; check the file.") from None
    except RecursionError:
        raise InvalidArgument(f"{path} is nested too deeply; flatten it.") from None
    except (yaml.YAMLError, *YAML_SCALAR_ERRORS) as error:
        raise InvalidArgument(
            f"{path}: invalid YAML: {_yaml_fault(error)}; correct the file."
        ) from None
    if not isinstance(content, dict) or not all(isinstance(k, str) for k in content):
        raise InvalidArgument(
            f"{path}: expected a mapping, for example `objective: train.py:objective`; see "
            "`tunekit init`."
        )
    return content


def _yaml_fault(error: Exception) -> str:
    """Return the fault and its position, without the line itself, which may hold a password."""
    mark = getattr(error, "problem_mark", None)
    where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else ""
    said = getattr(error, "problem", None) or type(error).__name__
    return f"{said}{where}"


def checked(values: Mapping[str, Any], *, source: str) -> RunSettings:
    """Validate the values and return the settings of a run that ends.

    Args:
        values: unchecked values by field name.
        source: the file or the flags, named in errors.

    Raises:
        InvalidArgument: an unknown key, an invalid value, nothing to run, or no end.
    """
    settings = validated(values, source=source)
    if settings.trials is None and settings.timeout is None:
        raise InvalidArgument(
            f"{source}: without a number of trials or a timeout the run would never end; give -n "
            "100 or --timeout 2h."
        )
    return settings


def validated(values: Mapping[str, Any], *, source: str) -> RunSettings:
    """Validate the values and return the settings, which may set no end.

    Raises:
        InvalidArgument: an unknown key, an invalid value, or nothing to run.
    """
    try:
        settings = RunSettings.model_validate(dict(values))
    except ValidationError as error:
        said = "; ".join(_sentence(dict(e)) for e in error.errors())
        raise InvalidArgument(f"{source}: {said}.") from None
    if (settings.objective is None) == (settings.command is None):
        raise InvalidArgument(
            f"{source}: expected one of objective and command, not "
            f"{'none' if settings.objective is None else 'both'}; see `tunekit run --help`."
        )
    if settings.command is not None and not settings.command:
        raise InvalidArgument(f"{source}: the command is empty; name a program.")
    return settings


def _sentence(error: Mapping[str, Any]) -> str:
    place = ".".join(str(x) for x in error["loc"])
    if error["type"] == "extra_forbidden":
        known = list(RunSettings.model_fields)
        hint = did_you_mean(place, known)
        return f'unknown key "{place}"{hint}; there are {", ".join(known)}'
    given = "***" if error["loc"][:1] == ("storage",) else repr(error["input"])
    message = str(error["msg"]).removeprefix("Value error, ")
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, TunekitError):  # keep only its expectation: the key is named here
        message = f"expected {cause.message.rpartition('expected ')[2].removesuffix('.')}"
    return f'"{place}" is {given}: {message[:1].lower()}{message[1:]}'
