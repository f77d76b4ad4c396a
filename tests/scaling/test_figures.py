"""Figures of a law: their data are those of the law and of its runs."""

from __future__ import annotations

import math

import pytest

import tunekit as tk
from tests.scaling.sweeps import CELLS, best_lr, rows
from tunekit.errors import InvalidArgument
from tunekit.plots.figure import MAX_MARKS, Band, Heatmap, Line, PlaneFigure, Points
from tunekit.plots.tables import n_marks, table
from tunekit.scaling.law_figures import extrapolation_figure, optima_figure
from tunekit.scaling.loss_figures import loss_figure, surfaces_figure


@pytest.fixture(scope="module")
def law() -> tk.scaling.Law:
    return tk.scaling.fit(rows(), method="surface")


def mark(figure: PlaneFigure, kind, name: str = ""):
    """Return the one mark of a kind and a name."""
    (found,) = [m for m in figure.marks if isinstance(m, kind) and m.name.startswith(name)]
    return found


def test_optima_lie_along_the_law_within_its_band(law):
    figure = optima_figure(law)
    assert [p.title.partition(" at ")[0] for p in figure.panels] == [
        "learning rate over N",
        "learning rate over D",
        "batch size over N",
        "batch size over D",
    ]
    over_n = figure.panels[0]
    line, band = mark(over_n, Line, "law"), mark(over_n, Band, "90 %")
    points = mark(over_n, Points, "optimum")
    assert len(points.x) == len(CELLS)
    assert set(points.x) == {1e6, 4e6, 16e6}
    middle = math.exp(sum(math.log(d) for _, d in CELLS) / len(CELLS))
    for x, y, low, high in zip(line.x, line.y, band.low, band.high, strict=True):
        assert (low, y, high) == pytest.approx(
            (lambda i: (i.low90, i.median, i.high90))(law.predict(x, middle).lr)
        )
    for x, y in zip(points.x, points.y, strict=True):
        assert y == pytest.approx(best_lr(x, middle), rel=0.35)
    assert "to the power -0.50" in figure.alt
    assert over_n.x.is_log and over_n.y.is_log


def test_the_extrapolation_ends_at_the_prediction_with_its_interval(law):
    at = law.predict(1e9, 2e10)
    figure = extrapolation_figure(law, 1e9, 2e10)
    assert [p.title for p in figure.panels] == [
        "learning rate over compute",
        "batch size over compute",
        "loss over compute",
    ]
    for panel, interval in zip(figure.panels, (at.lr, at.bs, at.loss), strict=True):
        target = mark(panel, Points, "prediction")
        assert (target.x, target.y) == ((6e9 * 2e10,), (interval.median,))
        wide, narrow = mark(panel, Band, "90 %"), mark(panel, Band, "50 %")
        assert (wide.low[-1], wide.high[-1]) == pytest.approx((interval.low90, interval.high90))
        assert (narrow.low[-1], narrow.high[-1]) == pytest.approx(
            (interval.low50, interval.high50)
        )
        cells = mark(panel, Points, "optimum")
        assert sorted(cells.x) == pytest.approx(sorted(6 * n * d for n, d in CELLS))
    assert f"{at.extrapolation:.4g} x the largest compute" in figure.note


def test_a_surface_shows_the_plateau_and_the_choice_of_the_law(law):
    figure = surfaces_figure(law)
    assert len(figure.panels) == len(CELLS)
    panel, optimum = figure.panels[-1], law.optima[-1]
    grid, plateau = mark(panel, Heatmap), mark(panel, Points, "run of the plateau")
    assert (len(grid.x), len(grid.y)) == (len(grid.z[0]), len(grid.z))
    assert min(min(row) for row in grid.z) >= 0
    assert max(max(row) for row in grid.z) <= 3
    of_cell = [r for r in rows() if (r["N"], r["D"]) == (optimum.n, optimum.d)]
    best = min(r["loss"] for r in of_cell if r["loss"] == r["loss"])
    near = {(r["lr"], r["bs"]) for r in of_cell if r["loss"] <= best * 1.0025}
    assert set(zip(plateau.x, plateau.y, strict=True)) == near
    centre = mark(panel, Points, "centre")
    assert (centre.x, centre.y) == ((optimum.lr,), (optimum.bs,))
    chosen = mark(panel, Points, "law")
    assert chosen.x == (law.predict(optimum.n, optimum.d).lr.median,)
    worst = {"lr": 0.02, "bs": optimum.bs, "N": optimum.n, "D": optimum.d, "loss": math.nan}
    again = surfaces_figure(tk.scaling.fit([*rows(), worst], method="surface")).panels[-1]
    diverged = mark(again, Points, "run that diverged")
    assert (diverged.x, diverged.y, diverged.role) == ((0.02,), (optimum.bs,), "diverged")


def test_lines_of_equal_compute_cross_the_loss_over_n_and_d(law):
    figure = loss_figure(law)
    grid = mark(figure, Heatmap)
    at = [(i, k) for i in (0, 5, -1) for k in (0, 7, -1)]
    for i, k in at:
        wanted = float(law.fitted.loss.loss(grid.x[k], grid.y[i]))
        assert grid.z[i][k] == pytest.approx(wanted)
    lines = [m for m in figure.marks if isinstance(m, Line) and m.name.endswith("FLOPs")]
    assert len(lines) == 6
    for line in lines:
        flops = [6 * n * d for n, d in zip(line.x, line.y, strict=True)]
        assert flops[0] == pytest.approx(flops[1])
        assert f"{flops[0]:.4g} FLOPs" == line.name
    best = mark(figure, Line, "least loss")
    fitted = law.fitted.loss
    for n, d in zip(best.x, best.y, strict=True):
        here = float(fitted.loss(n, d))
        assert here <= float(fitted.loss(1.3 * n, d / 1.3))
        assert here <= float(fitted.loss(n / 1.3, d * 1.3))
    cells = mark(figure, Points, "cell")
    assert set(zip(cells.x, cells.y, strict=True)) == set(CELLS)


def test_every_figure_has_a_text_and_a_table_and_few_marks(law):
    for figure in (optima_figure(law), surfaces_figure(law), loss_figure(law)):
        assert figure.alt.endswith(".")
        assert 0 < n_marks(figure) <= MAX_MARKS
        assert len(table(figure).rows) == n_marks(figure)


def test_many_cells_are_thinned_and_the_largest_stays():
    cells = [(n, d) for n in (1e6, 2e6, 4e6, 8e6) for d in (1e8, 2e8, 4e8, 8e8)]
    figure = surfaces_figure(tk.scaling.fit(rows(cells), method="surface"))
    assert len(figure.panels) == 12
    assert "12 of 16 cells" in figure.note
    assert figure.panels[0].title == "N=1e+06, D=1e+08"
    assert figure.panels[-1].title == "N=8e+06, D=8e+08"
    assert n_marks(figure) <= MAX_MARKS


def test_a_factor_has_figures_of_its_own():
    table = [
        {**r, "lr": r["lr"] * (3 if o == "muon" else 1), "optimizer": o}
        for r in rows(CELLS[:6])
        for o in ("adamw", "muon")
    ]
    law = tk.scaling.fit(table, factor="optimizer", method="surface")
    first = [optima_figure(law, factor=o).panels[0] for o in ("adamw", "muon")]
    lines = [mark(panel, Line, "law").y[0] for panel in first]
    assert lines[1] / lines[0] == pytest.approx(3, rel=0.3)
    assert optima_figure(law).title.endswith("adamw")
    with pytest.raises(InvalidArgument, match="adamw, muon"):
        optima_figure(law, factor="sgd")


def test_what_cannot_be_drawn_says_why():
    scattered = [r for i, r in enumerate(rows()) if i % 35 in (3, 17)]
    alone = tk.scaling.fit([{**r, "N": r["N"] + i} for i, r in enumerate(scattered)])
    assert "no cell has enough runs" in surfaces_figure(alone).reason.lower()


def test_the_pictures_are_drawn_by_plotly(law):
    drawn = law.plot.extrapolation(N=1e9, D=2e10)
    at = law.predict(1e9, 2e10)
    ends = [t.y[0] for t in drawn.data if t.name and t.name.startswith("prediction")]
    assert ends == [at.lr.median, at.bs.median, at.loss.median]
    assert drawn.layout.meta["alt"] == extrapolation_figure(law, 1e9, 2e10).alt
    for figure in (law.plot.optima(), law.plot.surfaces(), law.plot(theme="dark").loss()):
        assert len(figure.data) > 3
    maps = [t for t in law.plot.surfaces().data if t.type == "heatmap"]
    assert len({(t.zmin, t.zmax) for t in maps}) == 1
    assert [t.showscale for t in maps] == [True, *[False] * (len(maps) - 1)]
    with pytest.raises(InvalidArgument, match="theme"):
        law.plot(theme="blue")
