"""Published laws with their coefficients, sources and units, as competitors and as priors.

Everywhere N is a number of parameters, counted as `counting` says, D and batch sizes are in
tokens, and the loss is in nats per token. Laws differ between data, architectures, optimisers
and schedules: compare their predictions with runs of your own before you trust one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from tunekit_surrogates.scaling.bowl import Bowl
from tunekit_surrogates.scaling.design import Design
from tunekit_surrogates.scaling.law import ScalingLaw
from tunekit_surrogates.scaling.priors import Normal, Priors
from tunekit_surrogates.scaling.published import (
    JointPower,
    LawOfScale,
    LogLine,
    Monomial,
    OfLoss,
    SumOfPowers,
)
from tunekit_surrogates.scaling.regression import PowerLaw
from tunekit_surrogates.scaling.runs import Counting
from tunekit_surrogates.scaling.surface_model import BOWL

TRANSFER_SD = 0.1
"""Spread of an exponent between families of models, where a source states a smaller one."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A published law.

    Attributes:
        name: short name, as in `PRESETS`.
        source: where it was published.
        units: units of its source, where they differ from ours.
        counting: how its N counts parameters.
        lr: peak learning rate, or None.
        bs: batch size in tokens, or None.
        tau: time scale of weight decay, `bs / (lr wd D)`, or None.
        loss: loss in nats per token, or None.
    """

    name: str
    source: str
    units: str
    counting: Counting
    lr: LawOfScale | None = None
    bs: LawOfScale | None = None
    tau: LawOfScale | None = None
    loss: LawOfScale | None = None

    def wd(self, n: float, d: float, *, lr: float, bs: float) -> float:
        """Return the weight decay for a learning rate and batch size.

        Raises:
            ValueError: if the preset has no law of weight decay.
        """
        return bs / (lr * d * self._needed("tau", "weight decay")(n, d))

    def priors(self, n: float, d: float, *, sd: float = TRANSFER_SD) -> Priors:
        """Return priors with the exponents that the preset has near N and D.

        Args:
            n: parameters in the middle of what will be run.
            d: tokens in the middle of what will be run.
            sd: standard deviation of each exponent.
        """
        priors = Priors()
        for output in ("lr", "bs"):
            law = getattr(self, output)
            if law is not None:
                by_n, by_d = _exponents(law, n, d)
                exponents = {f"{output}_n": Normal(by_n, sd), f"{output}_d": Normal(by_d, sd)}
                priors = replace(priors, **exponents)
        if self.tau is not None:
            priors = replace(priors, tau_ratio=Normal(_exponents(self.tau, n, d)[1], sd))
        return priors

    def law(
        self, n: float, d: float, *, spread: float = 0.4, sd: float = TRANSFER_SD
    ) -> ScalingLaw:
        """Return the preset as a law near N and D, to predict with and to plan from.

        Args:
            n: parameters in the middle of what will be run.
            d: tokens in the middle of what will be run.
            spread: standard deviation of ln lr and ln bs at N and D, between families of models.
            sd: standard deviation of each exponent.

        Raises:
            ValueError: if the preset lacks a law of the learning rate or of the batch size.
        """
        return ScalingLaw(
            lr=_power_law(self._needed("lr", "learning rate"), ("n", "d"), n, d, spread, sd),
            bs=_power_law(self._needed("bs", "batch size"), ("n", "d"), n, d, spread, sd),
            tau=None if self.tau is None else _power_law(self.tau, ("ratio",), n, d, spread, sd),
            bowl=Bowl(BOWL.copy()),
            loss=None,
            loss_offsets={},
            noise=1e-3,
            method=self.name,
            factors=(),
            n_range=(n, n),
            d_range=(d, d),
            compute=n * d,
            counting=self.counting,
            cautions=(),
        )

    def anchored(self, n: float, d: float, *, lr: float, bs: float) -> Preset:
        """Return the preset with its exponents near (n, d) and its scale from one optimum there.

        An output that the preset lacks keeps the value of the optimum at every scale.
        """
        laws = []
        for law, value in ((self.lr, lr), (self.bs, bs)):
            by_n, by_d = (0.0, 0.0) if law is None else _exponents(law, n, d)
            laws.append(Monomial(value / (n**by_n * d**by_d), by_n, by_d))
        return replace(self, lr=laws[0], bs=laws[1])

    def _needed(self, output: str, words: str) -> LawOfScale:
        law: LawOfScale | None = getattr(self, output)
        if law is None:
            having = [name for name, one in PRESETS.items() if getattr(one, output) is not None]
            raise ValueError(
                f"preset '{self.name}' has no law of the {words}; those with one are"
                f" {', '.join(having)}."
            )
        return law


def _exponents(law: LawOfScale, n: float, d: float) -> tuple[float, float]:
    """Return the exponents of N and D near a scale, by central differences of the logarithm."""
    step = 1e-4
    up, down = math.exp(step), math.exp(-step)
    by_n = math.log(law(n * up, d) / law(n * down, d)) / (2.0 * step)
    by_d = math.log(law(n, d * up) / law(n, d * down)) / (2.0 * step)
    return by_n, by_d


def _power_law(
    law: LawOfScale, axes: tuple[str, ...], n: float, d: float, spread: float, sd: float
) -> PowerLaw:
    by_n, by_d = _exponents(law, n, d)
    exponents = (by_n, by_d) if axes == ("n", "d") else (by_d,)
    return PowerLaw(
        design=Design(("1", *axes), n, d),
        mean=np.array([math.log(law(n, d)), *exponents]),
        cov=np.diag([spread**2, *[sd**2] * len(axes)]),
        scatter=0.1,
        dof=30.0,
    )


HOFFMANN = SumOfPowers(1.69, 406.4, 410.7, 0.34, 0.28)
BESIROGLU = SumOfPowers(1.8172, 482.01, 2085.43, 0.3478, 0.3658)
KAPLAN_LOSS = JointPower(6.4e13, 1.8e13, 0.076, 0.103)

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "step_law",
            "H. Li et al., 2025, Predictable Scale: Part I, Step Law, arXiv 2503.04715",
            "D and batch size in tokens",
            "non-embedding",
            lr=Monomial(1.79, n=-0.713, d=0.307),
            bs=Monomial(0.58, d=0.571),
        ),
        Preset(
            "hoffmann",
            "J. Hoffmann et al., 2022, Training Compute-Optimal Large Language Models,"
            " arXiv 2203.15556, approach 3",
            "as ours",
            "total",
            loss=HOFFMANN,
        ),
        Preset(
            "besiroglu",
            "T. Besiroglu et al., 2024, Chinchilla Scaling: A replication attempt,"
            " arXiv 2404.10102",
            "as ours",
            "total",
            loss=BESIROGLU,
        ),
        Preset(
            "deepseek",
            "DeepSeek-AI, 2024, DeepSeek LLM, arXiv 2401.02954: lr = 0.3118 C^-0.1250 and"
            " bs = 0.2920 C^0.3271",
            "C in FLOPs, taken as 6 N D; batch size in tokens",
            "non-embedding",
            lr=Monomial(0.3118 * 6.0**-0.125, n=-0.125, d=-0.125),
            bs=Monomial(0.2920 * 6.0**0.3271, n=0.3271, d=0.3271),
        ),
        Preset(
            "kaplan",
            "J. Kaplan et al., 2020, Scaling Laws for Neural Language Models, arXiv 2001.08361,"
            " equations 1.5, 4.1 and D.1 and table 2",
            "batch size is the critical one, 2e8 / L^(1 / 0.21) tokens",
            "non-embedding",
            lr=LogLine(0.003239, -0.0001395),
            bs=OfLoss(2e8, -1.0 / 0.21, KAPLAN_LOSS),
            loss=KAPLAN_LOSS,
        ),
        Preset(
            "minicpm",
            "S. Hu et al., 2024, MiniCPM, arXiv 2404.06395: bs = 1.21e9 / L^6.24",
            "tokens at the loss L on C4; over N and D, L is taken from Hoffmann et al.",
            "non-embedding",
            bs=OfLoss(1.21e9, -6.24, HOFFMANN),
        ),
        Preset(
            "power_lines",
            "S. Bergsma et al., 2025, Power Lines, arXiv 2505.13738: tau = 1.084 (D/N)^-0.527 and"
            " bs = 0.0306 D^0.383",
            "batch size of the source in sequences of 2,048 tokens",
            "total",
            bs=Monomial(0.0306 * 2048.0, d=0.383),
            tau=Monomial(1.084, n=0.527, d=-0.527),
        ),
        Preset(
            "mup",
            "G. Yang et al., 2022, Tensor Programs V, arXiv 2203.03466: lr / width at a fixed"
            " depth, so that N goes with the square of the width",
            "relative: 3e-3 at 1e8 parameters and 2^18 tokens; use `anchored` with an optimum",
            "non-embedding",
            lr=Monomial(3e-3 * 1e8**0.5, n=-0.5),
            bs=Monomial(2.0**18),
        ),
    )
}
"""The presets by name."""
