"""A cold start: what the serving process has not imported when it has proven its first file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from .commands import clean, with_sources

#: Each takes 10 to 150 ms to import, and no weigh-in into a folder needs it.
NOT_NEEDED = {
    "gunicorn",
    *("pydantic", "pydantic_core", "logfire"),
    *("garth", "garminconnect", "curl_cffi", "requests", "httpx", "google.auth", "playwright"),
    *("tomllib", "rich", "dotenv", "streamlit", "psycopg", "procrastinate", "starlette.testclient", "weighbridge.cli"),
    *("weighbridge.http.openapi", "weighbridge.client", "weighbridge.operate", "sdk_fallback"),
}

#: Serves two requests and prints their status, the lines of the log, and the names of all modules.
PROGRAM = """
import asyncio, json, sys
from weighbridge.http import server

async def call(application, path, body, **headers):
    sent, arrived = [], [{"type": "http.request", "body": body}]
    async def receive(): return arrived.pop()
    async def send(message): sent.append(message)
    scope = {"type": "http", "http_version": "1.1", "scheme": "http", "method": "POST", "root_path": "",
             "path": path.partition("?")[0], "query_string": path.partition("?")[2].encode(),
             "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8080),
             "headers": [(b"host", b"localhost"), (b"x-api-key", b"key-of-this-test"),
                         (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]}
    await application(scope, receive, send)
    return sent[0]["status"]

async def both():
    application = server.application()
    body = b'{"weight": 81.4, "body fat": 18.2, "time": "2026-11-23T07:30:00Z"}'
    return [await call(application, path, body) for path in ("/readings?dry_run=true", "/readings")]

statuses = asyncio.run(both())
print(json.dumps({"statuses": statuses, "modules": sorted(sys.modules)}))
"""


def test_modules_of_a_first_weigh_in(tmp_path: Path) -> None:
    """Serving imports nothing that a dry run and a weigh-in into a folder do not need."""
    settings = {"WEIGHBRIDGE_FOLDER": str(tmp_path), "WEIGHBRIDGE_API_KEYS": "test=key-of-this-test"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=with_sources(clean(settings)), capture_output=True, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["statuses"] == [200, 202]
    assert {"fitdecode", "uvicorn"} <= set(found["modules"])
    assert not NOT_NEEDED & set(found["modules"])
