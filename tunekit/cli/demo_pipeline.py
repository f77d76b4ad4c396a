"""Defines the pipeline of `tunekit demo`: scikit-learn on handwritten digits.

Two switches choose the preprocessing and one the model, each with its own parameters. The kernel
of a support vector machine and the layers of a network activate further ones.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tunekit.bench.cash_pipeline import branch_of, scaler
from tunekit.errors import MissingExtra
from tunekit.spaces import Categorical, Float, Int, Repeat, Space

if TYPE_CHECKING:
    from tunekit.executors.trial import Trial

FOLDS = 3
METRIC = "error"

SPACE = Space(
    scaler=Categorical(
        {
            "none": None,
            "standard": None,
            "quantile": Space(
                n_quantiles=Int(10, 500, log=True, default=100),
                output=Categorical(["uniform", "normal"]),
            ),
        },
        default="standard",
    ),
    reduce=Categorical(
        {
            "none": None,
            "pca": Space(n_components=Int(5, 60, default=30), whiten=bool),
            "best": Space(k=Int(8, 64, default=32)),
        }
    ),
    model=Categorical(
        {
            "forest": Space(
                n_estimators=Int(10, 100, log=True, default=50),
                max_features=Float(0.05, 0.5, default=0.2),
                max_depth=Int(2, 24, default=8),
            ),
            "svm": Space(
                C=Float(1e-2, 1e3, log=True, default=1.0),
                kernel=Categorical(
                    {
                        "linear": None,
                        "rbf": Space(gamma=Float(1e-4, 1e1, log=True)),
                        "poly": Space(
                            gamma=Float(1e-4, 1e1, log=True),
                            degree=Int(2, 5),
                            coef0=Float(0.0, 1.0),
                        ),
                    }
                ),
            ),
            "logistic": Space(C=Float(1e-3, 1e2, log=True, default=1.0)),
            "neighbours": Space(
                n_neighbors=Int(1, 30, log=True, default=5),
                weights=Categorical(["uniform", "distance"]),
            ),
            "boosting": Space(
                n_estimators=Int(10, 60, log=True, default=30),
                learning_rate=Float(0.02, 0.5, log=True, default=0.1),
                max_depth=Int(1, 3, default=2),
            ),
            "network": Space(
                layers=Repeat(1, 3, Space(units=Int(16, 128, log=True))),
                alpha=Float(1e-6, 1e-1, log=True),
                learning_rate=Float(3e-4, 3e-2, log=True),
            ),
        }
    ),
)


def objective(trial: Trial) -> dict[str, float]:
    """Return the cross-validated share of digits misread by the trial's pipeline.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    try:
        from sklearn.model_selection import StratifiedKFold, cross_val_score
    except ImportError:
        raise MissingExtra("sklearn", "The demo") from None
    x, y = _digits()
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    pipeline = make_pipeline(trial.params.nested())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an unconverged network still has a score
        scores = cross_val_score(pipeline, x, y, cv=folds)
    return {METRIC: 1.0 - float(scores.mean())}


@lru_cache
def _digits() -> tuple[Any, Any]:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return x, y


def make_pipeline(point: Mapping[str, Any]) -> Any:
    """Build the unfitted scikit-learn pipeline for a nested point of `SPACE`."""
    from sklearn.pipeline import Pipeline

    steps = (("scaler", _scaler), ("reduce", _reducer), ("model", _model))
    return Pipeline([(name, make(*branch_of(point[name]))) for name, make in steps])


def _scaler(name: str, params: dict[str, Any]) -> Any:
    return scaler(name, **params)


def _reducer(name: str, params: dict[str, Any]) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.feature_selection import SelectKBest, f_classif

    if name == "none":
        return "passthrough"
    if name == "pca":
        return PCA(**params, random_state=0)
    return SelectKBest(f_classif, **params)


def _model(name: str, params: dict[str, Any]) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.svm import SVC

    if name == "svm":
        kernel, inner = branch_of(params.pop("kernel"))
        return SVC(**params, kernel=kernel, **inner, max_iter=20_000)
    if name == "network":
        return MLPClassifier(
            [layer["units"] for layer in params["layers"]],
            alpha=params["alpha"],
            learning_rate_init=params["learning_rate"],
            max_iter=40,
            random_state=0,
        )
    if name == "forest":
        return RandomForestClassifier(**params, random_state=0)
    if name == "boosting":
        return GradientBoostingClassifier(**params, max_features="sqrt", random_state=0)
    if name == "logistic":
        return LogisticRegression(**params, max_iter=200)
    return KNeighborsClassifier(**params)
