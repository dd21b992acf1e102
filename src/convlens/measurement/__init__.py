"""Model -> numbers: parameters, MACs, memory, latency; predictions -> accuracy and calibration."""

from __future__ import annotations

from convlens.measurement.calibration import CalibrationBin, calibration_error, fit_temperature, probabilities
from convlens.measurement.latency import Latency, measure_latency
from convlens.measurement.network import LayerMeasure, NetworkMeasure, measure_network
from convlens.measurement.predictions import ClassScore, Scores, bootstrap_interval, score
from convlens.measurement.views import TTA, check_tta, with_views

__all__ = [
    "TTA",
    "CalibrationBin",
    "ClassScore",
    "Latency",
    "LayerMeasure",
    "NetworkMeasure",
    "Scores",
    "bootstrap_interval",
    "calibration_error",
    "check_tta",
    "fit_temperature",
    "measure_latency",
    "measure_network",
    "probabilities",
    "score",
    "with_views",
]
