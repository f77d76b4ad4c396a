"""Whether scikit-learn is there for the suites that train with it."""

from __future__ import annotations

from tunekit.errors import MissingExtra


def check_sklearn(suite: str) -> None:
    """Fail once, before a suite is made, instead of in every trial.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    try:
        import sklearn  # noqa: F401
    except ImportError:
        raise MissingExtra("bench", f"The suite of {suite}") from None
