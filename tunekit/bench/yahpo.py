"""Loads YAHPO Gym's surrogate benchmarks, models fitted on real runs, from its data folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tunekit.bench.problem import Problem
from tunekit.bench.yahpo_layouts import LAYOUTS, Layout
from tunekit.errors import InvalidArgument, MissingExtra, did_you_mean
from tunekit.spaces import Categorical, Params, Scalar, Space
from tunekit.spaces.interop import from_configspace

FILES = ("config_space.json", "encoding.json", "model.onnx")
INACTIVE = "#na#"


@dataclass(frozen=True, slots=True)
class Surrogate:
    """Evaluates a scenario's surrogate model at one point.

    Attributes:
        fixed: instance and fidelities, which the problem does not tune.
        codes: choice -> value -> integer code used in fitting the model.
        metric: output returned by a call.
    """

    model: str
    layout: Layout
    codes: Mapping[str, Mapping[str, int]]
    fixed: Mapping[str, Scalar]
    metric: str

    def __call__(self, params: Params) -> float:
        """Return the metric at a point."""
        return self.outputs(params)[self.metric]

    def seconds(self, params: Params) -> float:
        """Return the training time predicted by the model, in seconds."""
        return max(0.0, self.outputs(params)[self.layout.seconds])

    def outputs(self, params: Params) -> dict[str, float]:
        """Return all outputs at a point by name."""
        point: dict[str, Any] = {**params, **self.fixed}
        numbers = [[point.get(name, 0.0) for name in self.layout.numbers]]
        choices = [[self.codes[n][str(point.get(n, INACTIVE))] for n in self.layout.choices]]
        inputs = {
            "x_cat": np.array(choices, dtype=np.int32),
            "x_cont": np.array(numbers, dtype=np.float32),
        }
        (row,) = _session(self.model).run(None, inputs)[0].tolist()
        return dict(zip(self.layout.outputs, row, strict=True))


def suite(
    seed: int = 0,
    *,
    data: str | Path | None = None,
    scenarios: str | Sequence[str] | None = None,
    metric: str | None = None,
    n_instances: int = 8,
) -> list[Problem]:
    """Return up to `n_instances` problems of each scenario; the seed chooses the data sets.

    Fidelities are fixed at their maximum. No optimum is known.

    Args:
        seed: 0 or more.
        data: folder with one subfolder per scenario, or the folder of one scenario.
        scenarios: names, as a list or a comma-separated text; by default all in the folder.
        metric: output to tune, for example `acc`, `auc`, `mmce` or `val_accuracy`; by default
            the scenario's standard metric.
        n_instances: 1 or more.

    Raises:
        InvalidArgument: unknown folder, scenario or metric, or files of different versions.
        MissingExtra: onnxruntime is not installed.
    """
    if n_instances < 1:
        raise InvalidArgument(f"yahpo: n_instances={n_instances!r}, expected 1 or more.")
    wanted = scenarios.split(",") if isinstance(scenarios, str) else scenarios
    folders = _folders(data, wanted)
    return [
        problem
        for folder in folders
        for problem in _problems(folder, seed, metric=metric, n_instances=n_instances)
    ]


def _folders(data: str | Path | None, wanted: Sequence[str] | None) -> list[Path]:
    """Return the folders of the wanted scenarios, by name."""
    if data is None:
        raise InvalidArgument(
            "yahpo: no data folder given; give a copy of yahpo_data (--yahpo-data DIR)."
        )
    root = Path(data)
    candidates = [root, *sorted(root.iterdir())] if root.is_dir() else []
    found = {p.name: p for p in candidates if all((p / file).is_file() for file in FILES)}
    known = {name: folder for name, folder in found.items() if name in LAYOUTS}
    if not known:
        raise InvalidArgument(
            f'yahpo: no scenario in "{root}"; expected folders, for example "lcbench" or '
            f'"rbv2_xgboost", with {", ".join(FILES)}.'
        )
    for name in wanted or ():
        if name not in known:
            raise InvalidArgument(
                f'yahpo: no scenario "{name}" in "{root}"{did_you_mean(name, known)}; expected '
                f"{', '.join(known)}."
            )
    return [known[name] for name in wanted or known]


def _problems(folder: Path, seed: int, *, metric: str | None, n_instances: int) -> list[Problem]:
    layout = LAYOUTS[folder.name]
    objective = layout.objective(metric)
    declared = json.loads((folder / "config_space.json").read_text(encoding="utf-8"))
    codes = json.loads((folder / "encoding.json").read_text(encoding="utf-8"))
    parameters = {str(hp["name"]): hp for hp in declared["hyperparameters"]}
    _check_names(folder, layout, parameters)
    top = {name: parameters[name]["upper"] for name in layout.fidelities}
    dropped = {*top, layout.instance}
    declared["hyperparameters"] = [hp for name, hp in parameters.items() if name not in dropped]
    space = from_configspace(declared)
    _check_codes(folder, space, codes)
    problems = []
    known = codes.get(layout.instance, {})
    for instance in _instances(parameters.get(layout.instance), known, seed=seed, n=n_instances):
        fixed = {**top, layout.instance: instance} if layout.instance else top
        model = str(folder / "model.onnx")
        surrogate = Surrogate(model, layout, codes, fixed, objective.metric)
        problems.append(
            Problem(
                f"yahpo/{folder.name}-{instance}",
                space,
                surrogate,
                objectives=(objective,),
                seconds=surrogate.seconds,
                tags={"scenario": folder.name, "instance": instance},
            )
        )
    return problems


def _instances(
    declared: Mapping[str, Any] | None, known: Mapping[str, int], *, seed: int, n: int
) -> list[str]:
    """Return up to `n` data sets that the model was fitted on, shuffled by the seed."""
    if declared is None:
        return ["only"]
    names = sorted({str(c) for c in declared["choices"]} & known.keys())
    order = np.random.default_rng(seed).permutation(len(names))
    return [names[i] for i in order[:n]]


def _check_names(folder: Path, layout: Layout, parameters: Mapping[str, Any]) -> None:
    expected = {*layout.numbers, *layout.choices}
    if expected - parameters.keys():
        raise InvalidArgument(
            f'yahpo: "{folder}" lacks the parameters {sorted(expected - parameters.keys())}; '
            "take config_space.json from yahpo_data version 1.0."
        )


def _check_codes(folder: Path, space: Space, codes: Mapping[str, Mapping[str, int]]) -> None:
    for p in space:
        if isinstance(p.domain, Categorical):
            missing = [c for c in p.domain.choices if str(c) not in codes.get(p.path, {})]
            if missing:
                raise InvalidArgument(
                    f'yahpo: encoding.json of "{folder}" has no code for {p.path} = '
                    f"{missing[0]!r}; take all files of a scenario from the same version."
                )


@lru_cache(maxsize=16)
def _session(model: str) -> Any:
    """Load the model once per process, limited to one thread."""
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtra("bench", "The YAHPO suite") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
