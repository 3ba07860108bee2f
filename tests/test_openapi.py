"""The OpenAPI document says what the function does: schemathesis tries, and the tables are compared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.function_client import process
from tests.garmin.server import GarminStandIn
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


def test_schemathesis_finds_nothing(garmin: GarminStandIn, tmp_path: Path) -> None:
    garmin.write_token(tmp_path / "tokens")
    environment = {
        "WEIGHBRIDGE_DELIVERY": "garth",
        "WEIGHBRIDGE_TOKENS": tmp_path / "tokens",
        "WEIGHBRIDGE_CONFIRM_SECONDS": 1,
        "GARMIN_DOMAIN": garmin.domain,
        "GARMIN_CA_BUNDLE": garmin.ca_bundle,
    }
    with process(environment) as (address, _):
        done = subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"),
                *("--config-file", Path(__file__).with_name("schemathesis.toml")),
                *("run", f"{address}/openapi.json", "--phases", "examples,coverage,fuzzing", "--max-examples", "40"),
                *("--seed", "1", "--no-color", "--continue-on-failure", "--suppress-health-check", "all"),
            ],
            cwd=tmp_path,
            env=os.environ | {"COLUMNS": "120"},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "No issues found" in done.stdout
