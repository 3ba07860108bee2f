"""Stand-ins for a service that takes notices (Apprise's `json://`) and for a monitor such as Healthchecks.

Rule: they take only what the real ones take. Anything else is answered with an error, and is in `unexpected`.

Facts (Apprise 2.3, `json://`): a POST with `version`, `title`, `message`, `type` and `attachments` as JSON.
(healthchecks.io/docs/http_api, November 2026): a GET, HEAD or POST of `/UUID` or `/UUID/fail`; anything else is 404.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: Planted in every address, to be looked for in every log.
TOKEN = "planted-token-9f3e"
UUID = "5b1c2c0e-7a4b-4b53-9a52-2f4f1a9c7d11"


class Services:
    """Both, at one port."""

    def __init__(self) -> None:
        #: Of each notice: title and text.
        self.notices: list[tuple[str, str]] = []
        #: Of each ping: "success" or "fail".
        self.pings: list[str] = []
        self.unexpected: list[str] = []
        #: How a request is answered: with this status, and not before `release` is set, if it is slow.
        self.status = 200
        self.slow = False
        self.release = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def notify(self) -> str:
        return f"json://127.0.0.1:{self.port}/{TOKEN}/"

    @property
    def ping_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{UUID}"

    @property
    def titles(self) -> list[str]:
        return [title for title, _ in self.notices]

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(services) -> type[BaseHTTPRequestHandler]:  # noqa: N805  # the handler has a self of its own
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(b"")

            def do_POST(self) -> None:
                self._answer(self.rfile.read(int(self.headers["Content-Length"])))

            def _answer(self, content: bytes) -> None:
                known = services._take(self.command, self.path, self.headers.get("Content-Type", ""), content)
                if services.slow:
                    services.release.wait()
                self.send_response(services.status if known else 404)
                if 300 <= services.status < 400:
                    self.send_header("Location", f"http://127.0.0.1:{services.port}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        return Handler

    def _take(self, method: str, path: str, media_type: str, content: bytes) -> bool:
        if found := re.fullmatch(rf"/{UUID}(/fail)?(\?create=1)?", path):
            self.pings.append("fail" if found[1] else "success")
            return True
        if method == "POST" and path == f"/{TOKEN}/" and media_type == "application/json":
            notice = json.loads(content)
            if notice.keys() >= {"version", "title", "message", "type"}:
                self.notices.append((notice["title"], notice["message"]))
                return True
        self.unexpected.append(f"{method} {path}")
        return False


@contextmanager
def services() -> Iterator[Services]:
    running = Services()
    try:
        yield running
    finally:
        running.close()
