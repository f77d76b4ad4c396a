"""Published laws: before the first run, as priors, and as competitors."""

from __future__ import annotations

import pytest

import tunekit as tk
from tests.scaling.sweeps import CELLS, rows
from tunekit.errors import InvalidArgument
from tunekit.scaling.law_figures import extrapolation_figure, optima_figure
from tunekit.scaling.loss_figures import loss_figure, surfaces_figure


def test_a_published_law_predicts_and_plans_before_the_first_run():
    law = tk.scaling.published("step_law", N=7e9, D=1.4e12)
    at = law.predict(7e9, 1.4e12)
    assert at.lr.median == pytest.approx(1.79 * 7e9**-0.713 * 1.4e12**0.307)
    assert at.bs.median == pytest.approx(0.58 * 1.4e12**0.571)
    assert at.lr.low90 < 0.6 * at.lr.median
    plan = law.plan(1e20, N=7e9, D=1.4e12)
    assert 0 < plan.flops <= 1e20
    assert {run.purpose for run in plan.runs} == {"cell"}
    assert law.as_prior("lr", N=7e9, D=1.4e12)["lognormal"][0] == at.lr.median


def test_a_published_law_has_no_cells_to_draw_or_to_hold_out():
    law = tk.scaling.published("deepseek", N=1e9, D=2e10)
    with pytest.raises(InvalidArgument, match="no runs to hold out"):
        law.validate()
    for figure in (optima_figure(law), surfaces_figure(law), loss_figure(law)):
        assert figure.reason
    assert [p.title for p in extrapolation_figure(law, 1e10, 2e11).panels] == [
        "learning rate over compute",
        "batch size over compute",
    ]
    assert "0 runs" in str(law)


def test_the_exponents_of_a_published_law_are_priors():
    one_n = rows([c for c in CELLS if c[0] == 1e6])
    law = tk.scaling.fit(one_n, priors="step_law", method="surface")
    assert law.fitted.lr.coefficients["n"][0] == pytest.approx(-0.713, abs=0.02)
    assert law.options.priors.lr_n.mean == pytest.approx(-0.713, abs=1e-6)


def test_a_published_law_is_a_competitor_on_the_same_cells():
    law = tk.scaling.fit(rows(), method="surface")
    own, rival = law.validate(), law.validate(published="step_law")
    assert [(c.n, c.d) for c in rival.cells] == [(c.n, c.d) for c in own.cells]
    assert own.mean_gap < rival.mean_gap
    first = rival.cells[0]
    assert first.lr == pytest.approx(1.79 * first.n**-0.713 * first.d**0.307)


@pytest.mark.parametrize(
    ("name", "n", "words"),
    [
        ("steplaw", 1e9, 'did you mean "step_law"'),
        ("hoffmann", 1e9, "no law of the"),
        ("step_law", -1, "above 0"),
    ],
)
def test_what_is_no_published_law_is_refused(name, n, words):
    with pytest.raises(InvalidArgument, match=words):
        tk.scaling.published(name, n, 1e10)


def test_another_way_to_count_parameters_is_named():
    def counted(warnings):
        return [w.sentence for w in warnings if w.name == "counting"]

    law = tk.scaling.fit(rows(), priors="step_law", counting="total", method="surface")
    assert "step_law counts non-embedding" in counted(law.warnings)[0]
    found = law.validate(published="step_law")
    assert counted(found.warnings) and "warning (counting)" in str(found)
    same = tk.scaling.fit(rows(), priors="step_law", method="surface")
    assert not counted(same.warnings) and not same.validate(published="step_law").warnings


def test_a_published_law_does_not_speak_of_runs_that_it_has_not():
    at = tk.scaling.published("step_law", N=7e9, D=1.4e12).predict(7e12, 1.4e14)
    assert at.extrapolation is None
    assert "the runs" not in str(at)
    assert [c.name for c in at.cautions] == ["extrapolation"]
