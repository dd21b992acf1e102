"""Model -> numbers: parameters, MACs, memory, latency; predictions -> accuracy and calibration."""

from __future__ import annotations

from convlens.measurement.calibration import CalibrationBin, calibration_error, fit_temperature, probabilities
from convlens.measurement.latency import Latency, measure_latency
from convlens.measurement.network import LayerMeasure, NetworkMeasure, measure_network
from convlens.measurement.predictions import ClassScore, Scores, bootstrap_interval, score

__all__ = [
    "CalibrationBin",
    "ClassScore",
    "Latency",
    "LayerMeasure",
    "NetworkMeasure",
    "Scores",
    "bootstrap_interval",
    "calibration_error",
    "fit_temperature",
    "measure_latency",
    "measure_network",
    "probabilities",
    "score",
]
