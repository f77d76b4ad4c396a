import sys
from pathlib import Path

import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument, MissingExtra, UnknownParameter
from tunekit.studies.study_plots import StudyPlots

SPACE = tk.Space(
    model=tk.Categorical({"rbf": tk.Space(gamma=tk.Float(1e-4, 1.0, log=True)), "linear": None}),
    c=tk.Float(0.1, 10.0),
)
NAMES = (
    "history", "curves", "tree", "parallel", "importance", "slice", "contour", "front", "timeline",
    "budget", "best", "stops",
)  # fmt: skip


def _objective(trial: tk.Trial) -> float:
    loss = float((trial.params["c"] - 3.0) ** 2 + 1.0)
    for step in range(1, 4):
        trial.report(loss + 1.0 / step, step)
    return loss


@pytest.fixture
def study(tmp_path: Path) -> tk.Study:
    made = tk.study("s", space=SPACE, sampler="random", seed=1, storage=tmp_path / "s.db")
    made.optimize(_objective, n_trials=30, progress=False)
    return made


@pytest.mark.parametrize("name", NAMES)
def test_a_study_draws_itself_and_says_what_the_picture_shows(study: tk.Study, name: str) -> None:
    figure = getattr(study.plot, name)()
    assert figure.layout.meta["alt"].endswith(".")
    assert bool(figure.data) == (name not in ("front", "stops"))


@pytest.mark.parametrize("name", NAMES)
def test_a_study_without_trials_draws_a_sentence(name: str, tmp_path: Path) -> None:
    for space in (SPACE, None):
        empty = tk.study(f"e{space is None}", space=space, storage=tmp_path / "s.db")
        figure = getattr(empty.plot, name)()
        assert not figure.data and figure.layout.annotations[0].text.endswith(".")


def test_a_program_that_discovers_its_space_is_drawn(tmp_path: Path) -> None:
    made = tk.study("d", sampler="random", seed=1, storage=tmp_path / "s.db")
    made.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0), n_trials=12, progress=False)
    for name in NAMES:
        assert getattr(made.plot, name)().layout.meta["alt"]
    assert len(made.plot.slice().data) == 2  # the good ones and the others


def test_pictures_can_be_narrowed_to_some_trials(study: tk.Study) -> None:
    rbf = [t.number for t in study.trials if t.params and t.params["model"] == "rbf"]
    figure = study.plot(branch="model=rbf", theme="dark").history()
    shown = [n for trace in figure.data for n in trace.customdata or ()]
    assert sorted(shown) == rbf
    assert study.plot(states="stopped").history().data == ()


def test_a_trial_can_be_picked_out_of_the_curves(study: tk.Study) -> None:
    figure = study.plot.curves(trials=[7])
    assert "trial 7, complete" in [trace.name for trace in figure.data]


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda p: p.history("none"), InvalidArgument, "metric 'none': no trial of the study has"),
        (lambda p: p.contour("c"), InvalidArgument, "expected the names of two parameters"),
        (lambda p: p.contour("c", "c"), InvalidArgument, "expected the names of two parameters"),
        (lambda p: p.contour("c", "d"), UnknownParameter, "d"),
        (lambda p: p.slice(params=["d"]), UnknownParameter, "d"),
        (lambda p: p.importance(quantile=2.0), InvalidArgument, "quantile"),
        (lambda p: p(theme="blue"), InvalidArgument, '"light" or "dark"'),
        (lambda p: p(branch="model"), InvalidArgument, "model=svm"),
        (lambda p: p(states="done"), InvalidArgument, "expected some of"),
        (lambda p: p.curves(trials=range(30)), InvalidArgument, "at most 20"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    study: tk.Study, call: object, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        call(study.plot)  # type: ignore[operator]


def test_without_plotly_the_line_that_installs_it_is_given(
    study: tk.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in sys.modules if n.startswith("tunekit.plots.plotly")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "plotly", None)
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(MissingExtra, match=r"\[plots\]"):
        study.plot.history()
    assert isinstance(study.plot, StudyPlots)
