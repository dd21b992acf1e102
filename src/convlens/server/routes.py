"""All calls, one line each."""

from __future__ import annotations

from convlens.server.endpoint import Endpoint
from convlens.server.health import HEALTH_DOC, RUN_DOC, health, run_facts
from convlens.server.metrics import METRICS_DOC, metrics
from convlens.server.pictures import PICTURE_DOC, THUMBNAIL_DOC, picture, thumbnail
from convlens.server.predict import PREDICT_DOC, predict

ROUTES: tuple[Endpoint, ...] = (
    Endpoint("GET", "/v1/health", health, HEALTH_DOC, always=True),
    Endpoint("GET", "/v1/run", run_facts, RUN_DOC),
    Endpoint("POST", "/v1/predict", predict, PREDICT_DOC, light=True),
    Endpoint("GET", "/v1/pictures/{id}", picture, PICTURE_DOC, raw=True),
    Endpoint("GET", "/v1/thumbnails/{name}", thumbnail, THUMBNAIL_DOC, raw=True),
    Endpoint("GET", "/metrics", metrics, METRICS_DOC, raw=True, always=True),
)
