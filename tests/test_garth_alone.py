"""garth is used where garmin-fit-sdk is not installed, as in the images, whose license does not let it be passed on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest

from .garmin.server import GarminStandIn

ROOT = Path(__file__).parent.parent
ABSENT = {"garmin_fit_sdk", "logfire"}

UPLOAD = """
    import json, sys
    from weighbridge.http.app import Shell
    from tests.function_client import client_of
    client = client_of(Shell(json.loads(sys.argv[1]), str))
    answer = client.post("/", json={"weight_kg": 81.4, "measured_at": "2026-03-01T06:30:00Z"})
    print(answer.status_code, answer.json["status"], sorted({"garmin_fit_sdk", "logfire"} & set(sys.modules)))
"""
ASKED_FOR = """
    from datetime import UTC, datetime
    from weighbridge.garmin.sessions.garth import import_garth
    garth = import_garth()
    try:
        garth.fit.build_body_composition(81.4, datetime.now(UTC))
    except ImportError as e:
        print(e)
"""
DECODED = """
    from sdk_fallback.decoders import DecoderMissing, by_garmin_python
    try:
        by_garmin_python(b"")
    except DecoderMissing as e:
        print(e)
"""


@pytest.fixture
def without_the_sdk(tmp_path: Path) -> dict[str, str]:
    """The environment of a Python that has each installed package, except these."""
    packages = tmp_path / "packages"
    packages.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if path.name.partition("-")[0] not in ABSENT:
            (packages / path.name).symlink_to(path)
    ours = [ROOT, ROOT / "function", ROOT / "integrations/postgres", ROOT / "integrations/fitdays", packages]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, ours))}


def run(environment: Mapping[str, str], program: str, *arguments: str) -> str:
    command = [sys.executable, "-S", "-c", textwrap.dedent(program), *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


def test_upload(garmin: GarminStandIn, without_the_sdk: dict[str, str], tmp_path: Path) -> None:
    """A reading arrives at Garmin over garth."""
    garmin.write_token(tmp_path)
    settings = {
        "WEIGHBRIDGE_DELIVERY": "garth",
        "WEIGHBRIDGE_TOKENS": str(tmp_path),
        "GARMIN_DOMAIN": garmin.domain,
        "GARMIN_CA_BUNDLE": str(garmin.ca_bundle),
    }
    assert run(without_the_sdk, UPLOAD, json.dumps(settings)) == "201 confirmed []\n"
    assert len(garmin.weights.entries) == 1


def test_asked_for(without_the_sdk: dict[str, str]) -> None:
    """What garth makes with garmin-fit-sdk ends with the reason."""
    assert (
        run(without_the_sdk, ASKED_FOR) == "garth makes FIT files with garmin-fit-sdk, which is not installed here.\n"
    )


def test_cross_check(without_the_sdk: dict[str, str]) -> None:
    """`weighbridge sdk verify` names what it lacks."""
    assert "garmin-fit-sdk is not installed: pip install garmin-fit-sdk." in run(without_the_sdk, DECODED)
