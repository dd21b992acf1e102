"""All calls, one line each."""

from __future__ import annotations

from convlens.server.changing import CHANGED_DOC, CHANGES_DOC, change, list_changes
from convlens.server.endpoint import Endpoint
from convlens.server.evaluating import EVALUATE_DOC, evaluate
from convlens.server.exciting import EXCITING_DOC, exciting
from convlens.server.explaining import EXPLAIN_DOC, explain
from convlens.server.features import FEATURES_DOC, features
from convlens.server.filters import FILTERS_DOC, filters
from convlens.server.health import HEALTH_DOC, RUN_DOC, health, run_facts
from convlens.server.judging import EVALUATION_DOC, evaluation
from convlens.server.maximise import MAXIMISE_DOC, maximise
from convlens.server.methods import METHODS_DOC, list_methods
from convlens.server.metrics import METRICS_DOC, metrics
from convlens.server.network import NETWORK_DOC, network
from convlens.server.pictures import PICTURE_DOC, THUMBNAIL_DOC, picture, thumbnail
from convlens.server.predict import PREDICT_DOC, predict
from convlens.server.training import EVENTS_DOC, STOP_DOC, TRAINING_DOC, events, stop, training
from convlens.server.unit import UNIT_DOC, unit

ROUTES: tuple[Endpoint, ...] = (
    Endpoint("GET", "/v1/health", health, HEALTH_DOC, always=True),
    Endpoint("GET", "/v1/run", run_facts, RUN_DOC),
    Endpoint("POST", "/v1/predict", predict, PREDICT_DOC, light=True),
    Endpoint("GET", "/v1/pictures/{id}", picture, PICTURE_DOC, raw=True),
    Endpoint("GET", "/v1/thumbnails/{name}", thumbnail, THUMBNAIL_DOC, raw=True),
    Endpoint("GET", "/v1/network", network, NETWORK_DOC),
    Endpoint("POST", "/v1/features", features, FEATURES_DOC),
    Endpoint("POST", "/v1/unit", unit, UNIT_DOC),
    Endpoint("GET", "/v1/filters", filters, FILTERS_DOC),
    Endpoint("POST", "/v1/exciting", exciting, EXCITING_DOC, long=True),
    Endpoint("POST", "/v1/maximise", maximise, MAXIMISE_DOC, long=True),
    Endpoint("POST", "/v1/explain", explain, EXPLAIN_DOC, long=True),
    Endpoint("GET", "/v1/methods", list_methods, METHODS_DOC, long=True, light=False),
    Endpoint("GET", "/v1/changes", list_changes, CHANGES_DOC),
    Endpoint("POST", "/v1/changed", change, CHANGED_DOC, light=True),
    Endpoint("POST", "/v1/evaluate", evaluate, EVALUATE_DOC, light=True),
    Endpoint("GET", "/v1/evaluation", evaluation, EVALUATION_DOC),
    Endpoint("GET", "/v1/training", training, TRAINING_DOC, light=True),
    Endpoint("GET", "/v1/training/events", events, EVENTS_DOC, raw=True, light=True),
    Endpoint("POST", "/v1/training/stop", stop, STOP_DOC, light=True),
    Endpoint("GET", "/metrics", metrics, METRICS_DOC, raw=True, always=True),
)
