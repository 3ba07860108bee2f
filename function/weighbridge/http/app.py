"""The HTTP shell: keys, the log, and the last net under every fault.

Rule: nothing of ours happens at import; the first request reads the environment and the template. Every answer but a
FIT file is JSON, every fault is RFC 9457 problem+json, and a request leaves one line in the log that holds no
measurement and no secret. Nothing of Flask goes further than this folder.

Facts: functions-framework sends every path and method to its one target, has no body limit and answers an
exception with an HTML page, so routing, the limit and the last net are ours.
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
from .problems import headers_of, kind_of, problem
from .routes import LARGEST_BODY_BYTES, LONGEST_PAUSE_S, Answer, Application, Call, find_route, json_bytes, read_query


class Shell:
    """Request -> response, with an application that is composed when first needed."""

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
        if "gunicorn.socket" in request.environ:  # no other server of functions-framework's has one
            request.environ["gunicorn.socket"].settimeout(LONGEST_PAUSE_S)
        try:
            answer = self._answer(request, entry)
        except Exception as fault:  # noqa: BLE001  # the last net: a caller gets problem+json, never a traceback
            kind = kind_of(fault)
            answer = Answer(kind.status, json_bytes(problem(fault)), "application/problem+json", headers_of(fault))
            entry |= {"fault": type(fault).__name__}
            if not isinstance(fault, WeighbridgeError):
                # The place, but not the words: an exception's text may hold what the caller sent.
                entry |= {"where": [f"{f.filename}:{f.lineno}" for f in traceback.extract_tb(fault.__traceback__)]}
            if not isinstance(fault, errors.TooSlow):
                _discard_the_rest(request)
        if answer.status >= 500:
            entry["severity"] = "ERROR"
        entry |= {"status": answer.status, "duration_ms": round(1000 * (time.perf_counter() - started), 1)}
        self._log(json.dumps(entry))
        # As a stream, because functions-framework would otherwise read what is left of the request into memory.
        response = Response(iter((answer.body,)), answer.status, content_type=answer.media_type)
        for name, value in answer.headers.items():
            response.headers[name] = value
        if answer.status != 204:
            response.headers["Content-Length"] = str(len(answer.body))
        return response

    def _answer(self, request: Request, entry: dict[str, object]) -> Answer:
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
        # Not kept when it fails, so that a fixed setting or template is seen by the next request.
        with self._lock:
            if self._application is None:
                self._application = Application(self._compose(read_settings(self._environment)), self._now)
            return self._application


def _discard_the_rest(request: Request) -> None:
    """Throw away what was not read of a request, within bounds, so that its sender gets to read the answer."""
    left = 4 * LARGEST_BODY_BYTES
    with contextlib.suppress(HTTPException, TimeoutError):  # the sender is gone, or waits
        while left > 0 and (chunk := request.stream.read(65_536)):
            left -= len(chunk)


def print_line(line: str) -> None:
    """A line of the log. In one piece, so that lines of several threads and workers never mix; and a log that is full
    stops no weigh-in."""
    with contextlib.suppress(OSError):
        os.write(1, f"{line}\n".encode())
