"""`GET /openapi.json`: the document of all calls, made from the same docs that check what is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import convlens
from convlens.server.asking import fields_of
from convlens.server.endpoint import MANY, NONE, Doc, Endpoint

OPENAPI_DOC = Doc("This document.", answer={"openapi": {"type": "string"}})
PICTURE = {
    "description": "a picture's bytes in base64, or the id of one that was sent before",
    "oneOf": [
        {
            "type": "object",
            "properties": {"base64": {"type": "string", "contentEncoding": "base64"}},
            "required": ["base64"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {"id": {"type": "string", "maxLength": 64}},
            "required": ["id"],
            "additionalProperties": False,
        },
    ],
}
ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {"status": {"type": "integer"}, "what": {"type": "string"}, "remedy": {"type": "string"}},
            "required": ["status", "what", "remedy"],
        }
    },
    "required": ["error"],
}
REFUSED = {
    "4XX": "What was asked cannot be answered: what is wrong with it, and what to do.",
    "501": "What this needs is not installed.",
    "503": "Too much is asked at once, or it takes too long; try again after the seconds of Retry-After.",
}


def document(routes: Sequence[Endpoint], *, token: bool) -> dict[str, Any]:
    """OpenAPI 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    for one in routes:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    made: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "convlens",
            "version": convlens.__version__,
            "description": "Runs of convlens behind an HTTP API.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": {"Error": ERROR, "Picture": PICTURE}},
    }
    if token:
        made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"token": []}]
    return made


def _operation(one: Endpoint) -> dict[str, Any]:
    media = one.doc.media
    answer = {"schema": _answer_schema(one.doc)} if media == "application/json" else {"schema": {"type": "string"}}
    refused = {
        status: {
            "description": words,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            **({"headers": {"Retry-After": {"schema": {"type": "integer"}}}} if status == "503" else {}),
        }
        for status, words in REFUSED.items()
    }
    in_path = re.findall(r"{(\w+)}", one.path)
    made: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{one.method.lower()}{one.path}").strip("_"),
        "summary": one.doc.summary,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
            for name in in_path
        ],
        "responses": {"200": {"description": "The answer.", "content": {media: answer}}, **refused},
    }
    if one.method == "GET":
        made["parameters"] += _query(one.doc)
    else:
        made["requestBody"] = {
            "required": bool(one.doc.required) or one.doc.pictures != NONE,
            "content": _bodies(one.doc),
        }
    return made


def _query(doc: Doc) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "required": name in doc.required, "schema": dict(schema)}
        for name, schema in fields_of(doc).items()
    ]


def _bodies(doc: Doc) -> dict[str, Any]:
    fields: dict[str, Mapping[str, Any]] = fields_of(doc)
    if doc.pictures == NONE:
        return {"application/json": {"schema": _object(fields, doc.required)}}
    one = {"$ref": "#/components/schemas/Picture"}
    json = _object({**fields, "picture": one}, (*doc.required, "picture"))
    form: Mapping[str, Any] = {"type": "string", "contentMediaType": "image/*"}
    if doc.pictures == MANY:
        several = {"type": "array", "items": one, "minItems": 1, "maxItems": 64}
        json = {"oneOf": [json, _object({**fields, "pictures": several}, (*doc.required, "pictures"))]}
        form = {"type": "array", "items": form, "minItems": 1, "maxItems": 64}
    bodies: dict[str, Any] = {"application/json": {"schema": json}}
    bodies["multipart/form-data"] = {"schema": _object({**fields, "picture": form}, (*doc.required, "picture"))}
    if not doc.required:
        bodies["image/*"] = {"schema": {"type": "string", "contentMediaType": "image/*"}}
    return bodies


def _object(fields: Mapping[str, Any], required: tuple[str, ...]) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "object", "properties": dict(fields), "additionalProperties": False}
    return {**made, "required": list(required)} if required else made


def _answer_schema(doc: Doc) -> dict[str, Any]:
    return {"type": "object", "properties": dict(doc.answer), "required": list(doc.answer)}
