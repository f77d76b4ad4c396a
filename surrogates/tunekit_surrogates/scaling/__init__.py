"""Laws of learning rate, batch size, weight decay and loss over model size and tokens."""

from tunekit_surrogates.scaling.cautions import Caution
from tunekit_surrogates.scaling.fit import fit_law
from tunekit_surrogates.scaling.gaps import CellSurface
from tunekit_surrogates.scaling.law import Interval, Prediction, ScalingLaw
from tunekit_surrogates.scaling.loss_fit import fit_loss, fit_loss_over
from tunekit_surrogates.scaling.loss_law import LossLaw
from tunekit_surrogates.scaling.optima import CellOptimum, cell_optima
from tunekit_surrogates.scaling.planning import PlannedRun, next_runs
from tunekit_surrogates.scaling.presets import PRESETS, Preset
from tunekit_surrogates.scaling.priors import Normal, Priors
from tunekit_surrogates.scaling.runs import Runs
from tunekit_surrogates.scaling.validation import CellGap, validate

__all__ = [
    "PRESETS",
    "Caution",
    "CellGap",
    "CellOptimum",
    "CellSurface",
    "Interval",
    "LossLaw",
    "Normal",
    "PlannedRun",
    "Prediction",
    "Preset",
    "Priors",
    "Runs",
    "ScalingLaw",
    "cell_optima",
    "fit_law",
    "fit_loss",
    "fit_loss_over",
    "next_runs",
    "validate",
]
