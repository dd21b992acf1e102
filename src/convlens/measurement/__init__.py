"""Model -> numbers: parameters, MACs, memory, latency; predictions -> accuracy and calibration."""

from __future__ import annotations

from convlens.measurement.calibration import CalibrationBin, calibration_error, fit_temperature, probabilities
from convlens.measurement.latency import Latency, measure_latency, time_calls, time_in_turn, told_apart
from convlens.measurement.network import LayerMeasure, NetworkMeasure, measure_network
from convlens.measurement.paired import Paired, compare_predictions
from convlens.measurement.predictions import ClassScore, Scores, bootstrap_interval, score
from convlens.measurement.robustness import RobustnessCurve, RobustnessPoint, robustness
from convlens.measurement.separable import SeparableConvolution
from convlens.measurement.views import TTA, check_tta, framed, with_views

__all__ = [
    "TTA",
    "CalibrationBin",
    "ClassScore",
    "Latency",
    "LayerMeasure",
    "NetworkMeasure",
    "Paired",
    "RobustnessCurve",
    "RobustnessPoint",
    "Scores",
    "SeparableConvolution",
    "bootstrap_interval",
    "calibration_error",
    "check_tta",
    "compare_predictions",
    "fit_temperature",
    "framed",
    "measure_latency",
    "measure_network",
    "probabilities",
    "robustness",
    "score",
    "time_calls",
    "time_in_turn",
    "told_apart",
    "with_views",
]
