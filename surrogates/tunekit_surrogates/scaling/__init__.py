"""Laws of learning rate, batch size, weight decay and loss over model size and tokens."""

from tunekit_surrogates.scaling.cautions import Caution
from tunekit_surrogates.scaling.fit import fit_law
from tunekit_surrogates.scaling.gaps import CellSurface
from tunekit_surrogates.scaling.law import Interval, Prediction, ScalingLaw
from tunekit_surrogates.scaling.loss_law import LossLaw, fit_loss
from tunekit_surrogates.scaling.optima import CellOptimum, cell_optima
from tunekit_surrogates.scaling.planning import PlannedRun, next_runs
from tunekit_surrogates.scaling.priors import Normal, Priors
from tunekit_surrogates.scaling.runs import Runs
from tunekit_surrogates.scaling.validation import CellGap, validate

__all__ = [
    "Caution",
    "CellGap",
    "CellOptimum",
    "CellSurface",
    "Interval",
    "LossLaw",
    "Normal",
    "PlannedRun",
    "Prediction",
    "Priors",
    "Runs",
    "ScalingLaw",
    "cell_optima",
    "fit_law",
    "fit_loss",
    "next_runs",
    "validate",
]
