"""Secret Manager for one secret, over TLS, and the metadata server that gives a cloud host its credentials.

Rule: at least as strict as the real ones. No answer without the bearer token of the metadata server, which requires its
header. A wrong etag, a wrong checksum or a missing permission is refused. A destroyed version is gone.
"""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fastcrc
import trustme

SECRET = "projects/weighbridge-test/secrets/garmin"  # a name
BEARER = "ya29.planted-google-token"
ALL = ("secretmanager.versions.access", "secretmanager.versions.add", "secretmanager.secrets.update")


class Google:
    """The state and the switches of the stand-in."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.endpoint = ""
        self.environment: dict[str, str] = {}
        self.forget()

    def forget(self) -> None:
        """Reset to a secret without a version."""
        self.exists = True
        self.permissions = list(ALL)
        self.annotations: dict[str, str] = {"owner": "anna"}
        self.etag = 1
        #: The content of each version, None once it is destroyed.
        self.versions: list[bytes | None] = []
        #: Method and path of every request to Secret Manager.
        self.asked: list[str] = []
        #: The next answers to requests whose "METHOD path" ends like this: a status, or 0 for a dropped connection.
        self.faults: dict[str, int] = {}
        self.damaged = False

    @property
    def newest(self) -> bytes | None:
        return self.versions[-1] if self.versions else None

    def answer(self, method: str, path: str, query: str, body: Any) -> tuple[int, dict[str, Any]]:
        action = path.removeprefix(f"/v1/{SECRET}")
        if not path.startswith(f"/v1/{SECRET}") or not self.exists:
            return 404, {}
        match method, action:
            case "GET", "":
                return 200, self._secret()
            case "PATCH", "":
                if "secretmanager.secrets.update" not in self.permissions:
                    return 403, {}
                if query != "updateMask=annotations" or body.get("etag") != self._secret()["etag"]:
                    return 409, {}
                self.annotations, self.etag = body["annotations"], self.etag + 1
                return 200, self._secret()
            case "POST", ":testIamPermissions":
                return 200, {"permissions": [p for p in body["permissions"] if p in self.permissions]}
            case "POST", ":addVersion":
                return self._add(body["payload"])
            case "GET", "/versions/latest:access":
                if "secretmanager.versions.access" not in self.permissions:
                    return 403, {}
                if self.newest is None:
                    return 404, {}
                checksum = fastcrc.crc32.iscsi(self.newest) + self.damaged
                data = base64.b64encode(self.newest).decode()
                return 200, {"name": self._name(), "payload": {"data": data, "dataCrc32c": str(checksum)}}
            case "GET", "/versions/latest":
                return (
                    (200, {"name": self._name(), "createTime": "2026-11-20T06:30:00.123456789Z"})
                    if self.versions
                    else (404, {})
                )
            case "POST", _ if action.endswith(":destroy"):
                self.versions[int(action.removeprefix("/versions/").removesuffix(":destroy")) - 1] = None
                return 200, {}
        return 400, {}

    def _add(self, payload: dict[str, str]) -> tuple[int, dict[str, Any]]:
        data = base64.b64decode(payload["data"])
        if "secretmanager.versions.add" not in self.permissions:
            return 403, {}
        if int(payload["dataCrc32c"]) != fastcrc.crc32.iscsi(data):
            return 400, {}
        self.versions.append(data)
        return 200, {"name": self._name()}

    def _name(self) -> str:
        return f"{SECRET}/versions/{len(self.versions)}"

    def _secret(self) -> dict[str, Any]:
        return {"name": SECRET, "etag": f'"{self.etag}"', "annotations": dict(self.annotations)}


@contextmanager
def google() -> Iterator[Google]:
    """A Google from `with` to the end of the block, for a program with its `environment`.

    google-auth looks for the metadata server once in a process, so a process has one of these.
    """
    state = Google()

    class SecretManager(_Handler):
        def serve(self, body: Any) -> tuple[int, dict[str, Any]] | None:
            where = urlsplit(self.path)
            with state.lock:
                if self.headers.get("Authorization") != f"Bearer {BEARER}":
                    return 401, {}
                asked = f"{self.command} {where.path}"
                state.asked.append(asked)
                for end in [end for end in state.faults if asked.endswith(end)]:
                    status = state.faults.pop(end)
                    return (status, {}) if status else None
                return state.answer(self.command, where.path, where.query, body)

    class Metadata(_Handler):
        def serve(self, _body: Any) -> tuple[int, Any] | None:
            if self.headers.get("Metadata-Flavor") != "Google":
                return 403, {}
            if "/token" in self.path:
                return 200, {"access_token": BEARER, "expires_in": 3600, "token_type": "Bearer"}
            if "service-accounts" in self.path:
                return 200, {"email": "weighbridge@test", "scopes": ["cloud-platform"], "aliases": ["default"]}
            return 200, "weighbridge-test"

    with tempfile.TemporaryDirectory() as folder:
        ca = trustme.CA()
        bundle = Path(folder, "ca.pem")
        ca.cert_pem.write_to_path(bundle)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("localhost").configure_cert(context)
        with _serving(SecretManager, context) as port, _serving(Metadata) as metadata_port:
            state.endpoint = f"https://localhost:{port}"
            metadata = f"127.0.0.1:{metadata_port}"
            state.environment = {
                "REQUESTS_CA_BUNDLE": str(bundle),
                "GCE_METADATA_HOST": metadata,
                "GCE_METADATA_IP": metadata,
                "CLOUDSDK_CONFIG": folder,
            }
            yield state


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def serve(self, body: Any) -> tuple[int, Any] | None:
        raise NotImplementedError

    def _do(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = self.serve(json.loads(content) if content else None)
        if answer is None:
            self.close_connection = True
            return
        status, value = answer
        body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Type", "text/plain" if isinstance(value, str) else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = _do  # noqa: N815  # the base class's names

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def _serving(handler: type[_Handler], context: ssl.SSLContext | None = None) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()
