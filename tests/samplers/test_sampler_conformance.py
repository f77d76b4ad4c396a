"""Every sampler under the conformance suite that ships with tunekit."""

from __future__ import annotations

from functools import partial

import pytest

from tunekit.samplers.auto import AutoSampler
from tunekit.samplers.bayesian.sampler import BayesianSampler
from tunekit.samplers.botorch.sampler import BoTorchSampler
from tunekit.samplers.grid import GridSampler
from tunekit.samplers.optuna_bridge.sampler import OptunaSampler
from tunekit.samplers.pbt import PbtSampler
from tunekit.samplers.random import RandomSampler
from tunekit.samplers.sobol import SobolSampler
from tunekit.testing.samplers import SamplerConformance


class TestBayesian(SamplerConformance):
    chooses_fidelity = True

    @pytest.fixture
    def make_sampler(self):
        return BayesianSampler


class TestRandom(SamplerConformance):
    learns = False

    @pytest.fixture
    def make_sampler(self):
        return RandomSampler


class TestPbtWithoutAnythingToBranchFrom(SamplerConformance):
    learns = False

    @pytest.fixture
    def make_sampler(self):
        return partial(PbtSampler, population=10_000)


class TestSobol(SamplerConformance):
    learns = False

    @pytest.fixture
    def make_sampler(self):
        return SobolSampler


class TestGrid(SamplerConformance):
    learns = False

    @pytest.fixture
    def make_sampler(self):
        return GridSampler


class TestOptunaTpe(SamplerConformance):
    @pytest.fixture
    def make_sampler(self):
        return OptunaSampler


class TestOptunaUnivariateTpe(SamplerConformance):
    @pytest.fixture
    def make_sampler(self):
        return partial(OptunaSampler, "TPESampler", multivariate=False, n_startup_trials=5)


class TestOptunaCmaEs(SamplerConformance):
    several_objectives = False

    @pytest.fixture
    def make_sampler(self):
        return partial(OptunaSampler, "cmaes", n_startup_trials=3)


class TestOptunaNsga2(SamplerConformance):
    @pytest.fixture
    def make_sampler(self):
        return partial(OptunaSampler, "nsgaii", population_size=4)


class TestOptunaNsga3(SamplerConformance):
    @pytest.fixture
    def make_sampler(self):
        return partial(OptunaSampler, "nsgaiii", population_size=4)


class TestOptunaQmc(SamplerConformance):
    @pytest.fixture
    def make_sampler(self):
        return partial(OptunaSampler, "qmc")


class TestOptunaRandom(SamplerConformance):
    @pytest.fixture
    def make_sampler(self):
        return partial(OptunaSampler, "random")


@pytest.mark.slow
class TestOptunaGp(SamplerConformance):
    n_trials = 11

    @pytest.fixture
    def make_sampler(self):
        return partial(OptunaSampler, "gp")


@pytest.mark.slow
class TestBoTorch(SamplerConformance):
    chooses_fidelity = True
    n_trials = 10

    @pytest.fixture
    def make_sampler(self):
        pytest.importorskip("botorch")
        return partial(BoTorchSampler, n_draws=16)


class TestAuto(SamplerConformance):
    chooses_fidelity = True

    @pytest.fixture
    def make_sampler(self):
        return AutoSampler


class TestAutoWithLargeBudget(SamplerConformance):
    chooses_fidelity = True

    @pytest.fixture
    def make_sampler(self):
        return partial(AutoSampler, budget=2000)
