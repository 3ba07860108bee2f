"""The OpenAPI document is compared with the tables of the function; tests/e2e runs schemathesis."""

from __future__ import annotations

import json
from typing import Any

from weighbridge.http.body import MEDIA_TYPES
from weighbridge.http.encoding import PRETTY
from weighbridge.http.openapi import document
from weighbridge.http.routes import ROUTES
from weighbridge.reading.bodies import SHAPES


def test_every_route_is_documented() -> None:
    """The document has each route, the page for browsers, and nothing else."""
    documented = {
        (method.upper(), path)
        for path, item in document()["paths"].items()
        for method in item  # type: ignore[attr-defined]
    }
    assert documented == {(route.method, route.name) for route in ROUTES} | {("POST", "/"), ("GET", "/")}


def test_every_parameter_is_documented() -> None:
    """Each route documents the query parameters it knows, `pretty` among them, and no other."""
    paths = document()["paths"]
    for route in ROUTES:
        operation = paths[route.name][route.method.lower()]  # type: ignore[index]
        documented = {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"}
        assert documented == {*route.query, PRETTY}


def test_every_type_of_body_is_documented() -> None:
    """Both routes that take a reading document each type of body, and each whole body by its name."""
    paths: Any = document()["paths"]
    for path in ("/", "/readings", "/fit"):
        assert set(paths[path]["post"]["requestBody"]["content"]) == set(MEDIA_TYPES)
    body = json.dumps(document()["components"])
    assert [shape.name for shape in SHAPES if f"{shape.name}: " not in body] == []


def test_document_is_json() -> None:
    """The document survives a round trip through JSON unchanged."""
    assert json.loads(json.dumps(document())) == document()
