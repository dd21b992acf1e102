"""One public function for each command, with a typed, frozen result."""

from convlens.workbench.bench import BenchResult, bench
from convlens.workbench.compare import CompareResult, compare
from convlens.workbench.create import CreateResult, create
from convlens.workbench.demo import DemoResult, demo
from convlens.workbench.doctor import DoctorResult, doctor
from convlens.workbench.evaluate import EvaluateResult, evaluate
from convlens.workbench.explain import ExplainResult, explain
from convlens.workbench.export import ExportResult, export
from convlens.workbench.measure import MeasureResult, measure
from convlens.workbench.own_network import open_run, open_runs
from convlens.workbench.predict import PredictResult, predict
from convlens.workbench.results import plain
from convlens.workbench.scratch import scratch_network
from convlens.workbench.shrink import shrink
from convlens.workbench.shrunk import ShrinkResult
from convlens.workbench.timing import Timing
from convlens.workbench.train import TrainResult, train
from convlens.workbench.zoo import ZooResult, zoo

__all__ = [
    "BenchResult",
    "CompareResult",
    "CreateResult",
    "DemoResult",
    "DoctorResult",
    "EvaluateResult",
    "ExplainResult",
    "ExportResult",
    "MeasureResult",
    "PredictResult",
    "ShrinkResult",
    "Timing",
    "TrainResult",
    "ZooResult",
    "bench",
    "compare",
    "create",
    "demo",
    "doctor",
    "evaluate",
    "explain",
    "export",
    "measure",
    "open_run",
    "open_runs",
    "plain",
    "predict",
    "scratch_network",
    "shrink",
    "train",
    "zoo",
]
