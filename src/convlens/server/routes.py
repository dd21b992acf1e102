"""All calls, one line each."""

from __future__ import annotations

from convlens.server.endpoint import Endpoint
from convlens.server.exciting import EXCITING_DOC, exciting
from convlens.server.features import FEATURES_DOC, features
from convlens.server.filters import FILTERS_DOC, filters
from convlens.server.health import HEALTH_DOC, RUN_DOC, health, run_facts
from convlens.server.maximise import MAXIMISE_DOC, maximise
from convlens.server.metrics import METRICS_DOC, metrics
from convlens.server.network import NETWORK_DOC, network
from convlens.server.pictures import PICTURE_DOC, THUMBNAIL_DOC, picture, thumbnail
from convlens.server.predict import PREDICT_DOC, predict
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
    Endpoint("GET", "/metrics", metrics, METRICS_DOC, raw=True, always=True),
)
