"""Every stopper under the conformance suite that ships with tunekit."""

from functools import partial
from types import MappingProxyType

import pytest

from tunekit.registry import make, names
from tunekit.stoppers.any_of import FirstStopper
from tunekit.stoppers.asha import AshaStopper
from tunekit.stoppers.audited import AuditedStopper
from tunekit.stoppers.hyperband import HyperbandStopper
from tunekit.stoppers.median import MedianStopper
from tunekit.stoppers.optuna_pruner import OptunaPrunerStopper
from tunekit.stoppers.patience import PatienceStopper
from tunekit.stoppers.pbt import PbtStopper
from tunekit.stoppers.second_look import SecondLookStopper
from tunekit.stoppers.threshold import ThresholdStopper
from tunekit.testing.stoppers import MakeStopper, StopperConformance, play


class TestAsha(StopperConformance):
    @pytest.fixture
    def make_stopper(self):
        return AshaStopper


class TestAshaByStep(StopperConformance):
    @pytest.fixture
    def make_stopper(self):
        return partial(AshaStopper, eta=3, min_resource=2, unit="steps")


class TestAshaThatPauses(StopperConformance):
    @pytest.fixture
    def make_stopper(self):
        return partial(AshaStopper, mode="promote")


class TestHyperband(StopperConformance):
    @pytest.fixture
    def make_stopper(self):
        return partial(HyperbandStopper, min_resource=2, n_brackets=2)


class TestSecondLook(StopperConformance):
    @pytest.fixture
    def make_stopper(self):
        return SecondLookStopper


class TestSecondLookOnce(StopperConformance):
    @pytest.fixture
    def make_stopper(self):
        return partial(SecondLookStopper, second_until=0, share=0.5)


class TestMedian(StopperConformance):
    @pytest.fixture
    def make_stopper(self):
        return partial(MedianStopper, min_reports=3, min_trials=3)


class TestPbt(StopperConformance):
    names_a_metric = False

    def test_it_ends_some_trials_and_lets_others_run(self, make_stopper: MakeStopper) -> None:
        assert play(make_stopper) == [], "without a checkpoint there is nothing to copy"

    @pytest.fixture
    def make_stopper(self):
        return partial(PbtStopper, interval=2)


class TestPatience(StopperConformance):
    @pytest.fixture
    def make_stopper(self):
        return partial(PatienceStopper, patience=3)


class TestThreshold(StopperConformance):
    mirrored = MappingProxyType({"bound": -2.2})
    needs_one_metric = True

    @pytest.fixture
    def make_stopper(self):
        return partial(ThresholdStopper, bound=2.2, min_reports=3)


class TestOptunaMedian(StopperConformance):
    needs_one_metric = True

    @pytest.fixture
    def make_stopper(self):
        return partial(OptunaPrunerStopper, "MedianPruner", n_startup_trials=3, n_warmup_steps=2)


class TestOptunaSuccessiveHalving(StopperConformance):
    needs_one_metric = True

    @pytest.fixture
    def make_stopper(self):
        return partial(
            OptunaPrunerStopper, "SuccessiveHalvingPruner", min_resource=2, reduction_factor=2
        )


class TestOptunaHyperband(StopperConformance):
    needs_one_metric = True

    @pytest.fixture
    def make_stopper(self):
        return partial(OptunaPrunerStopper, "HyperbandPruner", reduction_factor=2)


class TestFirst(StopperConformance):
    names_a_metric = False

    @pytest.fixture
    def make_stopper(self):
        return partial(FirstStopper, ["threshold", "asha"], options={"asha": {"eta": 3}})


class TestAudited(StopperConformance):
    names_a_metric = False

    @pytest.fixture
    def make_stopper(self):
        return lambda: AuditedStopper(AshaStopper(), seed=1, share=0.3)


@pytest.mark.parametrize("name", sorted(set(names("stopper")) - {"first"}))
def test_every_short_name_makes_a_stopper_without_options(name):
    assert callable(make("stopper", name).decide)
