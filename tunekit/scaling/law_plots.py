"""Draws a law with Plotly, for a notebook or a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tunekit.errors import InvalidArgument, MissingExtra
from tunekit.scaling.law_figures import extrapolation_figure, optima_figure
from tunekit.scaling.loss_figures import loss_figure, surfaces_figure

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from tunekit.plots.figure import Figure
    from tunekit.scaling.law import Law


class LawPlots:
    """The pictures of a law as Plotly figures; `law.plot`.

    Each carries its message as text in `figure.layout.meta["alt"]`.

    Args:
        law: to draw.
        theme: "light" or "dark".
    """

    def __init__(self, law: Law, theme: Literal["light", "dark"] = "light") -> None:
        self._law, self._theme = law, theme

    def __call__(self, *, theme: Literal["light", "dark"] = "light") -> LawPlots:
        """Return the pictures for a light or a dark page.

        Raises:
            InvalidArgument: an unknown theme.
        """
        if theme not in ("light", "dark"):
            raise InvalidArgument(f'theme={theme!r}, expected "light" or "dark".')
        return LawPlots(self._law, theme)

    def optima(self, *, factor: str | None = None) -> go.Figure:
        """Return the best learning rate and batch size of each cell, with the law and its band.

        Args:
            factor: label of the optimiser or schedule; by default the first. So for all pictures.

        Raises:
            InvalidArgument: the runs had no such factor.
            MissingExtra: Plotly is not installed. So for all pictures.
        """
        return self._drawn(optima_figure(self._law, factor=factor))

    def surfaces(self) -> go.Figure:
        """Return the loss of each cell over learning rate and batch size, with its plateau."""
        return self._drawn(surfaces_figure(self._law))

    def extrapolation(
        self, N: float | None = None, D: float | None = None, *, factor: str | None = None
    ) -> go.Figure:
        """Return the way from the runs to a prediction, with its intervals.

        Args:
            N: parameters of the prediction; by default the largest of the study's space.
            D: its training tokens; likewise.
            factor: see `optima`.

        Raises:
            InvalidArgument: a number is not above 0.
        """
        return self._drawn(extrapolation_figure(self._law, N, D, factor=factor))

    def loss(self) -> go.Figure:
        """Return L(N, D) with lines of equal compute and the best split of each."""
        return self._drawn(loss_figure(self._law))

    def _drawn(self, figure: Figure) -> go.Figure:
        try:
            from tunekit.plots.plotly import to_plotly
        except ImportError:
            raise MissingExtra("plots", "law.plot") from None
        return to_plotly(figure, theme=self._theme)
