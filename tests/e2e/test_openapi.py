"""The OpenAPI document says what the running function does: schemathesis tries."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.function_client import local_headers, process
from tests.garmin.server import GarminStandIn


def test_schemathesis_finds_nothing(garmin: GarminStandIn, tmp_path: Path) -> None:
    """The running function answers as its OpenAPI document says."""
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
                *("run", f"{address}/openapi.json", "--header", f"Authorization: {local_headers()['Authorization']}"),
                *("--phases", "examples,coverage,fuzzing", "--max-examples", "40"),
                *("--seed", "1", "--no-color", "--continue-on-failure", "--suppress-health-check", "all"),
            ],
            cwd=tmp_path,
            env=os.environ | {"COLUMNS": "120"},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "No issues found" in done.stdout, done.stdout[-3000:]
