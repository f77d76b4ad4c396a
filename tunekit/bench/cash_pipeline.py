"""Declares the space of scikit-learn pipelines for the CASH problems and builds its points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.spaces import Categorical, Float, Int, Repeat, Space

N_JOBS = 1
MAX_ITER = 20_000
"""Iteration limit of the SVM solver, which caps the time of a fit that does not converge."""


def space(n_features: int, *, is_regression: bool) -> Space:
    """Return the space: a scaler, a feature selection, and one of seven model families."""
    return Space(
        scaler=Categorical(
            {"none": None, "standard": None, "quantile": Space(n=Int(10, 200, log=True))},
            default="standard",
        ),
        features=Categorical(
            {
                "all": None,
                "pca": Space(share=Float(0.5, 0.999, default=0.95), whiten=bool),
                "best": Space(k=Int(2, n_features, log=True)),
            }
        ),
        model=Categorical(_models(is_regression=is_regression)),
    )


NEIGHBOURS = Space(
    n_neighbors=Int(1, 40, log=True, default=5),
    weights=Categorical(["uniform", "distance"]),
    p=Float(1.0, 3.0, default=2.0),
)
"""Parameters of nearest neighbours."""


def kernels(gamma: Float) -> Categorical:
    """Return the kernels of a support vector machine; the linear one has no parameters."""
    return Categorical(
        {
            "rbf": Space(gamma=gamma),
            "poly": Space(gamma=gamma, degree=Int(2, 4), coef0=Float(0.0, 1.0)),
            "linear": None,
        }
    )


def _models(*, is_regression: bool) -> dict[str, Space]:
    kernel = kernels(Float(1e-4, 1e1, log=True))
    margin = {"epsilon": Float(1e-3, 1.0, log=True)} if is_regression else {}
    return {
        "forest": _forest(),
        "svm": Space({"C": Float(1e-2, 1e3, log=True), **margin}, kernel=kernel),
        "linear": Space(
            strength=Float(1e-4, 1e1, log=True), l1_ratio=Float(0.0, 1.0, default=0.0)
        ),
        "boosting": Space(
            n_estimators=Int(10, 80, log=True),
            learning_rate=Float(0.01, 0.7, log=True),
            max_depth=Int(1, 4),
            subsample=Float(0.4, 1.0, default=1.0),
        ),
        "neighbours": NEIGHBOURS,
        "network": Space(
            layers=Repeat(1, 2, Space(units=Int(8, 64, log=True))),
            activation=Categorical(["relu", "tanh"]),
            alpha=Float(1e-6, 1e0, log=True),
            learning_rate_init=Float(3e-4, 5e-2, log=True),
        ),
        "kernel" if is_regression else "discriminant": (
            _ridge(kernel) if is_regression else _discriminant()
        ),
    }


def _forest() -> Space:
    return Space(
        kind=Categorical(["random", "extra"]),
        n_estimators=Int(10, 30, log=True),
        max_features=Float(0.05, 1.0, default=0.3),
        min_samples_leaf=Int(1, 20, log=True, default=1),
    )


def _ridge(kernel: Categorical) -> Space:
    return Space(alpha=Float(1e-4, 1e1, log=True), kernel=kernel)


def _discriminant() -> Space:
    kind = Categorical(
        {
            "lda": Space(shrinkage=Float(0.0, 1.0)),
            "qda": Space(reg_param=Float(0.0, 1.0)),
            "bayes": Space(var_smoothing=Float(1e-10, 1.0, log=True)),
        }
    )
    return Space(kind=kind)


def make_pipeline(point: Mapping[str, Any], *, is_regression: bool) -> Any:
    """Build the unfitted pipeline for a nested point of the space.

    `features` may be absent; then all columns are used.
    """
    from sklearn.pipeline import Pipeline

    scaling, params = branch_of(point["scaler"])
    features, model = branch_of(point.get("features", "all")), branch_of(point["model"])
    return Pipeline(
        [
            ("scaler", scaler(scaling, n_quantiles=params.get("n"))),
            ("features", _features(*features, is_regression=is_regression)),
            ("model", _model(*model, is_regression=is_regression)),
        ]
    )


def branch_of(choice: str | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Split a nested choice into its name and its params."""
    if isinstance(choice, str):
        return choice, {}
    ((name, params),) = choice.items()
    return name, dict(params)


def scaler(name: str, *, n_quantiles: int | None = None, output: str = "normal") -> Any:
    """Return the scaler of a name: "none", "standard", "minmax" or "quantile"."""
    from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, StandardScaler

    if name == "none":
        return "passthrough"
    if name == "standard":
        return StandardScaler()
    if name == "minmax":
        return MinMaxScaler()
    return QuantileTransformer(n_quantiles=n_quantiles, output_distribution=output, random_state=0)


def _features(name: str, params: dict[str, Any], *, is_regression: bool) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.feature_selection import SelectKBest, f_classif, f_regression

    if name == "all":
        return "passthrough"
    if name == "pca":
        return PCA(params["share"], whiten=params["whiten"], svd_solver="full")
    return SelectKBest(f_regression if is_regression else f_classif, **params)


def _model(name: str, params: dict[str, Any], *, is_regression: bool) -> Any:
    if name == "forest":
        return _forest_model(params, is_regression=is_regression)
    if name in ("svm", "kernel"):
        return _kernel_model(name, params, is_regression=is_regression)
    if name == "linear":
        return _linear_model(**params, is_regression=is_regression)
    if name == "discriminant":
        return _discriminant_model(*branch_of(params["kind"]))
    if name == "network":
        return _network(params, is_regression=is_regression)
    if name == "neighbours":
        from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

        return (KNeighborsRegressor if is_regression else KNeighborsClassifier)(**params)
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    boosting = GradientBoostingRegressor if is_regression else GradientBoostingClassifier
    return boosting(**params, max_features="sqrt", random_state=0)


def _forest_model(params: dict[str, Any], *, is_regression: bool) -> Any:
    from sklearn import ensemble

    kind = {"random": "RandomForest", "extra": "ExtraTrees"}[params.pop("kind")]
    task = "Regressor" if is_regression else "Classifier"
    return getattr(ensemble, kind + task)(**params, n_jobs=N_JOBS, random_state=0)


def _kernel_model(name: str, params: dict[str, Any], *, is_regression: bool) -> Any:
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.svm import SVC, SVR

    kernel, inner = branch_of(params.pop("kernel"))
    if name == "kernel":
        return KernelRidge(**params, kernel=kernel, **inner)
    return (SVR if is_regression else SVC)(**params, kernel=kernel, **inner, max_iter=MAX_ITER)


def _linear_model(strength: float, l1_ratio: float, *, is_regression: bool) -> Any:
    from sklearn.linear_model import ElasticNet, LogisticRegression

    if is_regression:
        return ElasticNet(alpha=strength, l1_ratio=l1_ratio)
    return LogisticRegression(
        C=1.0 / strength, l1_ratio=l1_ratio, solver="saga", max_iter=100, random_state=0
    )


def _discriminant_model(kind: str, params: dict[str, Any]) -> Any:
    from sklearn.discriminant_analysis import (
        LinearDiscriminantAnalysis,
        QuadraticDiscriminantAnalysis,
    )
    from sklearn.naive_bayes import GaussianNB

    if kind == "lda":
        return LinearDiscriminantAnalysis(solver="lsqr", **params)
    return (QuadraticDiscriminantAnalysis if kind == "qda" else GaussianNB)(**params)


def _network(params: dict[str, Any], *, is_regression: bool) -> Any:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    units = [layer["units"] for layer in params.pop("layers")]
    network = MLPRegressor if is_regression else MLPClassifier
    return network(hidden_layer_sizes=units, **params, max_iter=60, random_state=0)
