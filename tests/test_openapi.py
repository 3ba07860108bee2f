"""The OpenAPI document says what the function does: it is compared with the tables (tests/e2e has schemathesis)."""

from __future__ import annotations

import json

from weighbridge.http.openapi import document
from weighbridge.http.routes import ROUTES


def test_every_route_is_documented_and_no_other() -> None:
    documented = {
        (method.upper(), path)
        for path, item in document()["paths"].items()
        for method in item  # type: ignore[attr-defined]
    }
    assert documented == {(route.method, route.name) for route in ROUTES} | {("POST", "/")}


def test_every_query_parameter_is_documented() -> None:
    paths = document()["paths"]
    for route in ROUTES:
        operation = paths[route.name][route.method.lower()]  # type: ignore[index]
        documented = {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"}
        assert documented == set(route.query)


def test_the_document_is_plain_json() -> None:
    assert json.loads(json.dumps(document())) == document()
