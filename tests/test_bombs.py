"""An answer of any size is a fault within 64 MiB, over each way to Garmin."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from weighbridge.errors import GarminUnreachable
from weighbridge.garmin.sessions.garminconnect import GarminconnectSession
from weighbridge.garmin.sessions.garth import GarthSession
from weighbridge.garmin.sessions.port import ConnectionDropped
from weighbridge.garmin.sessions.token_session import TokenSession
from weighbridge.garmin.tokens import TokenStore

from .garmin import http_types
from .garmin.server import GarminStandIn
from .test_garminconnect import needs_the_library

MIB = 1 << 20
RANGE = "/weight-service/weight/range/2026-11-01/2026-11-02"
MOST_GROWTH_MIB = 64

READS = """
    import resource, sys
    from datetime import date
    from pathlib import Path
    from weighbridge.compose import garmin_connect, personal_api
    from weighbridge.errors import WeighbridgeError
    from weighbridge.settings import read_settings

    def peak_mib():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    way, domain, ca_bundle, tokens, key = sys.argv[1:]
    environment = {"GARMIN_DOMAIN": domain, "GARMIN_CA_BUNDLE": ca_bundle, "WEIGHBRIDGE_TOKENS": tokens}
    settings = read_settings(environment | {"GARMIN_PERSONAL_API_KEY": key, "WEIGHBRIDGE_DELIVERY": "garth"})
    read = personal_api(settings).weigh_ins if way == "personal" else garmin_connect(way, settings).entries
    read(date(2026, 11, 1), date(2026, 11, 2))
    before = peak_mib()
    try:
        read(date(2026, 11, 1), date(2026, 11, 3))
    except WeighbridgeError as fault:
        print(type(fault).__name__, fault)
    print(round(peak_mib() - before))
"""


def inflating(size: int) -> bytes:
    """Some hundred kilobytes of gzip that inflate to this size."""
    compressor = zlib.compressobj(9, wbits=31)
    some = b" " * MIB
    return b"".join([*(compressor.compress(some) for _ in range(size // MIB)), compressor.flush()])


GZIP = (("content-encoding", "gzip"),)
BOMBS = {
    "600 MiB of gzip": lambda: http_types.Response(200, inflating(600 * MIB), "application/json", GZIP),
    "200 MiB": lambda: http_types.Response(200, b" " * (200 * MIB), "application/json"),
    "8 MiB of empty lists": lambda: http_types.Response(
        200, gzip.compress(b'{"dailyWeightSummaries": [' + b"[]," * (8 * MIB // 3 - 20) + b"0]}", 1),
        "application/json", GZIP,
    ),
    "8 MiB of texts": lambda: http_types.Response(
        200, gzip.compress(b'{"dailyWeightSummaries": [' + b'"ab",' * (8 * MIB // 5 - 20) + b"0]}", 1),
        "application/json", GZIP,
    ),
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("way", ["garth", "personal", pytest.param("garminconnect", marks=needs_the_library)])
def test_bomb(garmin: GarminStandIn, tmp_path: Path, way: str, bomb: str) -> None:
    """A huge list of weigh-ins is a fault, and the process grows by at most 64 MiB."""
    garmin.write_token(tmp_path)
    huge, answer = BOMBS[bomb](), garmin.answer

    def explode(request: http_types.Request) -> tuple[http_types.Response, float]:
        return (huge, 0.0) if request.path.endswith("2026-11-03") else answer(request)

    garmin.answer = explode  # type: ignore[method-assign]
    code = re.sub("(?m)^    ", "", READS)
    words = [sys.executable, "-c", code, way, garmin.domain, garmin.ca_bundle, tmp_path, garmin.personal.key]
    done = subprocess.run([*map(str, words)], check=True, capture_output=True, text=True, cwd=tmp_path)
    said, growth = done.stdout.strip().splitlines()
    assert said.startswith(("GarminUnreachable", "GarminRefused"))
    assert int(growth) <= MOST_GROWTH_MIB


def test_huge_answer_to_an_upload(garmin: GarminStandIn, tmp_path: Path) -> None:
    """After a huge answer to an upload it is unknown whether the file has arrived."""
    garmin.write_token(tmp_path)
    answer = garmin.answer

    def explode(request: http_types.Request) -> tuple[http_types.Response, float]:
        answered, _ = answer(request)
        return http_types.Response(200, b" " * (9 * MIB)) if request.method == "POST" else answered, 0.0

    garmin.answer = explode  # type: ignore[method-assign]
    session = GarthSession(TokenStore(tmp_path), domain=garmin.domain, ca_bundle=garmin.ca_bundle)
    with pytest.raises(ConnectionDropped, match="larger than 8 MiB"):
        session.request("POST", "/upload-service/upload", file=("x.fit", b""))
    assert garmin.uploads_received == 1


@pytest.mark.parametrize("kind", [GarthSession, pytest.param(GarminconnectSession, marks=needs_the_library)])
@pytest.mark.parametrize("renewal", [False, True])
def test_redirect(garmin: GarminStandIn, tmp_path: Path, kind: type[TokenSession], renewal: bool) -> None:
    """A redirect is not followed, with a token least of all."""
    garmin.write_token(tmp_path)
    asked: list[str] = []

    def redirect(request: http_types.Request) -> tuple[http_types.Response, float]:
        asked.append(request.path)
        return http_types.Response(307, headers=(("location", f"https://connectapi.{garmin.domain}/elsewhere"),)), 0.0

    garmin.answer = redirect  # type: ignore[method-assign]
    session = kind(TokenStore(tmp_path), domain=garmin.domain, ca_bundle=garmin.ca_bundle)
    if renewal:
        with pytest.raises(GarminUnreachable, match="proxy"):
            session.renew()
    else:
        assert session.request("GET", RANGE).status == 307
    assert len(asked) == 1
    assert "/elsewhere" not in asked
