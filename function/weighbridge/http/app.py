"""The HTTP shell: keys, the log, and a response to every exception.

Rule: nothing is read at import; the first request reads the environment and the template. Every answer is JSON,
except a FIT file and the page that a browser gets at `/`. Every fault is RFC 9457 problem+json. Each request writes
one line to the log, which holds no measurement and no secret. Flask is used only in this folder.

Facts: functions-framework sends every path and method to its one target, has no body limit and answers an
exception with an HTML page. So routing, the limit and the response to an exception are done here.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from flask import Request, Response
from werkzeug.exceptions import HTTPException

from .. import errors
from ..compose import Composed, compose
from ..errors import WeighbridgeError
from ..settings import Settings, read_settings
from .access import admit
from .body import LARGEST_BODY_BYTES
from .encoding import PRETTY, json_bytes
from .page import PAGE, PAGE_HEADERS
from .problems import headers_of, kind_of, problem
from .routes import LONGEST_PAUSE_S, Answer, Application, Call, find_route, read_query


class Shell:
    """Request -> response. The application is composed at the first request."""

    def __init__(
        self,
        environment: Mapping[str, str],
        log: Callable[[str], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        compose: Callable[[Settings], Composed] = compose,
    ) -> None:
        self._environment = environment
        self._log = log
        self._now = now
        self._compose = compose
        self._lock = threading.Lock()
        self._application: Application | None = None

    def answer(self, request: Request) -> Response:
        started = time.perf_counter()
        entry: dict[str, object] = {"severity": "INFO", "method": request.method, "route": "unknown"}
        if "gunicorn.socket" in request.environ:  # functions-framework's other servers do not set it
            request.environ["gunicorn.socket"].settimeout(LONGEST_PAUSE_S)
        try:
            answer = self._answer(request, entry)
            body = _encode(answer, request)
        except Exception as fault:  # noqa: BLE001  # a caller gets problem+json, never a traceback
            answer = Answer(kind_of(fault).status, problem(fault), "application/problem+json", headers_of(fault))
            body = _encode(answer, request)
            entry |= {"fault": type(fault).__name__}
            if not isinstance(fault, WeighbridgeError):
                # The place, but not the message: it may contain what the caller sent.
                entry |= {"where": [f"{f.filename}:{f.lineno}" for f in traceback.extract_tb(fault.__traceback__)]}
            if not isinstance(fault, errors.TooSlow):
                _discard_rest(request)
        if answer.status >= 500:
            entry["severity"] = "ERROR"
        entry |= {"status": answer.status, "duration_ms": round(1000 * (time.perf_counter() - started), 1)}
        self._log(json.dumps(entry))
        # As a stream: otherwise functions-framework would read the rest of the request into memory.
        response = Response(iter((body,)), answer.status, content_type=answer.media_type)
        for name, value in answer.headers.items():
            response.headers[name] = value
        if answer.status != 204:
            response.headers["Content-Length"] = str(len(body))
        return response

    def _answer(self, request: Request, entry: dict[str, object]) -> Answer:
        if _is_browser_at_root(request):
            entry["route"] = "/"
            return Answer(200, PAGE, "text/html; charset=utf-8", PAGE_HEADERS)
        route, id_ = find_route(request.method, request.path)
        entry["route"] = route.name
        application = self._compose_once()
        admitted = True
        try:
            entry["key"] = admit(application.composed.settings.api_keys, request.environ)
        except (errors.Unauthorized, errors.Forbidden):
            if not route.open:
                raise
            admitted = False
        query = read_query(request.query_string.decode("utf-8", "replace"), route.query)
        return route.answer(application, Call(request, query, id_, admitted=admitted))

    def _compose_once(self) -> Application:
        # A failure is not kept: the next request sees a fixed setting or template.
        with self._lock:
            if self._application is None:
                self._application = Application(self._compose(read_settings(self._environment)), self._now)
            return self._application


def _encode(answer: Answer, request: Request) -> bytes:
    """The body as bytes; JSON is indented for `?pretty=true`, on every route and for every problem."""
    if isinstance(answer.body, bytes):
        return answer.body
    return json_bytes(answer.body, pretty=request.args.get(PRETTY) == "true")


def _is_browser_at_root(request: Request) -> bool:
    """Whether a browser opens the address itself. Programs accept `*/*` or JSON; they do not ask for HTML."""
    asks_for_html = any(kind == "text/html" and quality > 0 for kind, quality in request.accept_mimetypes)
    return request.method == "GET" and request.path == "/" and asks_for_html


def _discard_rest(request: Request) -> None:
    """Read and discard the rest of a request, within limits, so that its sender reads the answer."""
    left = 4 * LARGEST_BODY_BYTES
    with contextlib.suppress(HTTPException, TimeoutError):  # the sender is gone, or waits
        while left > 0 and (chunk := request.stream.read(65_536)):
            left -= len(chunk)


def print_line(line: str) -> None:
    """Write a line to the log, in one piece, so that lines of several threads and workers never mix. A log that
    cannot be written to does not stop a weigh-in."""
    with contextlib.suppress(OSError):
        os.write(1, f"{line}\n".encode())
