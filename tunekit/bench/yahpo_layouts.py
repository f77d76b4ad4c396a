"""Declares the order of input and output columns in YAHPO's surrogate models.

The model files store columns without names, and their order differs from the config spaces; it
was fixed when the models were fitted.
"""

from __future__ import annotations

from dataclasses import dataclass

from tunekit.errors import InvalidArgument, did_you_mean
from tunekit.records import ObjectiveSpec


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns of one scenario.

    Attributes:
        numbers: columns of the input `x_cont`; 0 for inactive parameters.
        choices: columns of the input `x_cat`, encoded; `#na#` for inactive parameters.
        outputs: columns of the output.
        metric: output tuned by default.
        instance: choice that names the data set; empty if there is only one.
        fidelities: numbers fixed at their maximum.
        seconds: output that holds the training time.
    """

    numbers: tuple[str, ...]
    choices: tuple[str, ...]
    outputs: tuple[str, ...]
    metric: str
    instance: str
    fidelities: tuple[str, ...]
    seconds: str

    def objective(self, metric: str | None) -> ObjectiveSpec:
        """Return the objective for an output; by default the scenario's metric.

        Raises:
            InvalidArgument: the output does not exist.
        """
        name = metric or self.metric
        if name not in self.outputs:
            raise InvalidArgument(
                f'yahpo: no metric "{name}"{did_you_mean(name, self.outputs)}; expected '
                f"{', '.join(self.outputs)}."
            )
        return ObjectiveSpec(name, "maximize" if name in _MAXIMIZED else "minimize")


_MAXIMIZED = frozenset(
    ("acc", "bac", "auc", "f1", "val_accuracy", "val_balanced_accuracy", "test_balanced_accuracy")
)

_GLMNET = ("alpha", "s")
_RPART = ("cp", "maxdepth", "minbucket", "minsplit")
_SVM = ("cost", "gamma", "tolerance", "degree")
_AKNN = ("k", "M", "ef", "ef_construction")
_XGBOOST = (
    *("nrounds", "eta", "gamma", "lambda", "alpha", "subsample", "max_depth"),
    *("min_child_weight", "colsample_bytree", "colsample_bylevel", "rate_drop", "skip_drop"),
)
_LCBENCH = (
    *("epoch", "batch_size", "learning_rate", "momentum"),
    *("weight_decay", "num_layers", "max_units", "max_dropout"),
)
_LCBENCH_OUTPUTS = (
    *("time", "val_accuracy", "val_cross_entropy"),
    *("val_balanced_accuracy", "test_cross_entropy", "test_balanced_accuracy"),
)


def _ranger(mtry: str) -> tuple[str, ...]:
    return ("num.trees", "sample.fraction", mtry, "min.node.size", "num.random.splits")


def _of(learner: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{learner}.{name}" for name in names)


def _rbv2(numbers: tuple[str, ...], *choices: str) -> Layout:
    return Layout(
        (*numbers, "trainsize", "repl"),
        ("task_id", *choices, "num.impute.selected.cpo"),
        ("acc", "bac", "auc", "brier", "f1", "logloss", "timetrain", "timepredict", "memory"),
        metric="acc",
        instance="task_id",
        fidelities=("trainsize", "repl"),
        seconds="timetrain",
    )


def _iaml(numbers: tuple[str, ...], *choices: str) -> Layout:
    resources = ("ramtrain", "rammodel", "rampredict", "timetrain", "timepredict")
    return Layout(
        (*numbers, "trainsize"),
        ("task_id", *choices),
        ("mmce", "f1", "auc", "logloss", *resources, "mec", "ias", "nf"),
        metric="mmce",
        instance="task_id",
        fidelities=("trainsize",),
        seconds="timetrain",
    )


def _darts() -> tuple[str, ...]:
    prefix = "NetworkSelectorDatasetInfo_COLON_darts_COLON_"
    cells = ("normal", "reduce")
    edges = tuple(f"{prefix}edge_{cell}_{i}" for cell in cells for i in range(14))
    return edges + tuple(f"{prefix}inputs_node_{cell}_{i}" for cell in cells for i in (3, 4, 5))


LAYOUTS: dict[str, Layout] = {
    "lcbench": Layout(
        _LCBENCH,
        ("OpenML_task_id",),
        _LCBENCH_OUTPUTS,
        metric="val_accuracy",
        instance="OpenML_task_id",
        fidelities=("epoch",),
        seconds="time",
    ),
    "nb301": Layout(
        ("epoch",),
        _darts(),
        ("val_accuracy", "runtime"),
        metric="val_accuracy",
        instance="",
        fidelities=("epoch",),
        seconds="runtime",
    ),
    "rbv2_glmnet": _rbv2(_GLMNET),
    "rbv2_rpart": _rbv2(_RPART),
    "rbv2_svm": _rbv2(_SVM, "kernel"),
    "rbv2_aknn": _rbv2(_AKNN, "distance"),
    "rbv2_ranger": _rbv2(_ranger("mtry.power"), "respect.unordered.factors", "splitrule"),
    "rbv2_xgboost": _rbv2(_XGBOOST, "booster"),
    "rbv2_super": _rbv2(
        _of("svm", _SVM)
        + _of("glmnet", _GLMNET)
        + _of("rpart", _RPART)
        + _of("ranger", _ranger("mtry.power"))
        + _of("aknn", _AKNN)
        + _of("xgboost", _XGBOOST),
        *("learner_id", "svm.kernel", "ranger.respect.unordered.factors", "ranger.splitrule"),
        *("aknn.distance", "xgboost.booster"),
    ),
    "iaml_glmnet": _iaml(_GLMNET),
    "iaml_rpart": _iaml(_RPART),
    "iaml_ranger": _iaml(
        _ranger("mtry.ratio"), "replace", "respect.unordered.factors", "splitrule"
    ),
    "iaml_xgboost": _iaml(_XGBOOST, "booster"),
    "iaml_super": _iaml(
        _of("ranger", _ranger("mtry.ratio"))
        + _of("rpart", _RPART)
        + _of("glmnet", _GLMNET)
        + _of("xgboost", _XGBOOST),
        *("learner", "ranger.replace", "ranger.respect.unordered.factors"),
        *("ranger.splitrule", "xgboost.booster"),
    ),
}
"""Columns of each scenario, by name.

Reference: Pfisterer, Schneider, Moosbauer, Binder, Bischl (2022), YAHPO Gym: An Efficient
Multi-Objective Multi-Fidelity Benchmark for Hyperparameter Optimization, AutoML-Conf.
"""
