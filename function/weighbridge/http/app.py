"""The HTTP shell: keys, the log, and a response to every exception.

Rule: nothing is read at import; the first request reads the environment and the template. Every answer is JSON,
except a FIT file and the page that a browser gets at `/`. Every fault is RFC 9457 problem+json. Each request writes
one line to the log, which holds no measurement and no secret. Starlette is used only in this folder.

Facts: functions-framework sends every path and method to its one target, has no body limit and answers an
exception with plain text. So routing, the limits and the response to an exception are done here, and `server` needs no
framework around it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from ..commands import needs_extra
from ..compose import Composed, compose
from ..errors import FieldError, QueryInvalid, SettingsInvalid, Unauthorized, WeighbridgeError
from ..local_key import local_key
from ..reasons import Why
from ..settings import Key, Network, Settings, read_settings
from .access import ANONYMOUS, WrongKeys, address_of, admit, check, check_guarded
from .encoding import EVERY_ANSWER, PRETTY, json_bytes
from .lanes import Pool
from .page import PAGE, PAGE_HEADERS
from .problems import headers_of, kind_of, problem
from .receive import Upload
from .routes import Answer, Application, Call, Lane, Later, find_route, read_query

if TYPE_CHECKING:
    from .push import Pushes

#: Large batches and looks for a person, for requests that deliver nothing.
_ASIDE_THREADS, _ASIDE_WAITING = 4, 64
#: Requests that wait for their turn to deliver.
DELIVERIES_WAITING = 256


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
        self._health = Pool("health", 1, 256)
        self._aside = Pool("aside", _ASIDE_THREADS, _ASIDE_WAITING)
        self._deliveries: Pool | None = None
        self._keys: tuple[Key, ...] = ()
        self._pushes: Pushes | None = None
        self._wrong_keys = WrongKeys()

    async def answer(self, request: Request) -> Response:
        started = time.perf_counter()
        scope = request.scope
        entry: dict[str, object] = {"severity": "INFO", "method": scope["method"], "route": "unknown"}
        # Names are in lower case already. Of a header that came twice, the first counts.
        sent = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}
        upload = Upload(request.receive, _announced_bytes(sent))
        pretty = b"pretty" in scope["query_string"] and request.query_params.get(PRETTY) == "true"
        try:
            answer = self._for_push(await self._answer(scope, sent, upload, entry), upload, sent, entry)
            body = _encode(answer, pretty=pretty)
        except Exception as fault:  # noqa: BLE001  # a caller gets problem+json, never a traceback
            answer = Answer(kind_of(fault).status, problem(fault), "application/problem+json", headers_of(fault))
            answer = self._for_push(answer, upload, sent, entry)
            body = _encode(answer, pretty=pretty)
            entry |= {"fault": type(fault).__name__}
            if not isinstance(fault, WeighbridgeError):
                # The place, but not the message: it may contain what the caller sent.
                entry |= {"where": [f"{f.filename}:{f.lineno}" for f in traceback.extract_tb(fault.__traceback__)]}
        headers = {"Content-Type": answer.media_type, **EVERY_ANSWER, **answer.headers}
        if answer.status != 204:
            headers["Content-Length"] = str(len(body))
        if not upload.done:
            # Its sender may read nothing before it has sent everything, unless it waits to hear whether it may send.
            if "expect" not in sent:
                await upload.discard()
            if not upload.done:
                headers["Connection"] = "close"
        if answer.status >= 500:
            entry["severity"] = "ERROR"
        entry |= {"status": answer.status, "duration_ms": round(1000 * (time.perf_counter() - started), 1)}
        self._log(json_bytes(entry, pretty=False).decode())
        return Response(body, answer.status, headers)

    def close(self) -> None:
        """Wait for what is being worked on, and end the threads: for a program that goes on without the function.
        Nothing may be answered afterwards."""
        for pool in (self._health, self._aside, self._deliveries):
            if pool is not None:
                pool.close()

    async def _answer(
        self, scope: Scope, headers: Mapping[str, str], upload: Upload, entry: dict[str, object]
    ) -> Answer:
        method, path = scope["method"], scope["path"]
        if path == "/" and method == "GET" and _asks_for_html(headers.get("accept", "")):
            entry["route"] = "/"
            return Answer(200, PAGE, "text/html; charset=utf-8", PAGE_HEADERS)
        if not path.isprintable():
            raise QueryInvalid([FieldError("path", None, Why.PATH_EXPECTED())])
        route, id_ = find_route(method, path)
        entry["route"] = route.name
        application = self._application
        if application is None:
            try:
                application = await self._health.run(self._compose_once)
            except WeighbridgeError as fault:
                # It names files, and without settings no key is known.
                entry["detail"] = str(fault)
                raise type(fault)("The log of the function says what is wrong.") from fault
        key = ANONYMOUS
        try:
            key = await self._admit(headers)
            entry["key"] = key.name
        except Unauthorized as fault:
            if fault.sent:
                # On an open route, too: who sends a key has to learn that it is wrong.
                await self._refuse_key(scope, headers, application.composed.settings.trusted_proxies, entry)
            if fault.sent or route.right is not None:
                raise
        if route.right is not None:
            check(key, route.right)
        if route.guarded:
            settings = application.composed.settings
            await check_guarded(key, scope, headers, settings.trusted_proxies, settings.private_callers)
        query = read_query(scope["query_string"].decode("utf-8", "replace"), route.query)
        content = await upload.read() if route.method == "POST" else b""
        call = Call(query, id_, key, headers, content)
        found = await self._in_lane(route.lane(application, call), lambda: route.answer(application, call))
        if isinstance(found, Answer):
            return found
        if self._deliveries is None:
            raise RuntimeError("the application is composed before it is used")
        return await self._deliveries.run(found.answer)

    async def _admit(self, headers: Mapping[str, str]) -> Key:
        """The key that came, or that of a push. Raises `Unauthorized`."""
        if self._pushes is not None:
            from .push import is_token

            if is_token(headers):
                pushes = self._pushes
                return await self._aside.run(lambda: pushes.admit(headers))
        return admit(self._keys, headers)

    def _for_push(self, answer: Answer, upload: Upload, headers: Mapping[str, str], entry: dict[str, object]) -> Answer:
        """The answer, with the status that acknowledges a push, or does not."""
        if self._pushes is None:
            return answer
        from .push import PUSH, message_id, status_for

        if entry.get("key") != PUSH.name:
            return answer
        status = status_for(answer.status, answer.body)
        if answer.status >= 300 or answer.status == 207:
            # The topic holds the message under this identifier.
            entry |= {
                "severity": "WARNING",
                "message_id": message_id(headers, upload.content),
                "problem": answer.status,
            }
        return answer._replace(status=status)

    async def _refuse_key(
        self, scope: Scope, headers: Mapping[str, str], trusted: Sequence[Network], entry: dict[str, object]
    ) -> None:
        """Name the address of a wrong key in the log, for fail2ban, and wait: longer with each wrong key from there."""
        address = address_of(scope["client"][0] if scope.get("client") else "", headers, trusted)
        entry |= {"severity": "WARNING", "refused_key_from": address}
        await asyncio.sleep(self._wrong_keys.pause_s(address, self._now()))

    async def _in_lane(self, lane: Lane, work: Callable[[], Answer | Later]) -> Answer | Later:
        match lane:
            case Lane.LOOP:
                return work()
            case Lane.HEALTH:
                return await self._health.run(work)
            case Lane.ASIDE:
                return await self._aside.run(work)

    def _compose_once(self) -> Application:
        # A failure is not kept: the next request sees a fixed setting or template.
        with self._lock:
            if self._application is None:
                settings = read_settings(self._environment)
                composed = self._compose(settings)
                self._keys = composed.keys or (
                    # Who can read the file may administer: it is the user of this function.
                    Key("local", local_key(settings.local_key), is_explicit=True),
                )
                self._pushes = _pushes(settings)
                self._deliveries = Pool("delivery", composed.settings.deliveries_at_once, DELIVERIES_WAITING)
                self._application = Application(composed, self._now)
            return self._application


def _pushes(settings: Settings) -> Pushes | None:
    """What lets pushes in, if they are configured. Raises `SettingsInvalid`."""
    if settings.push is None:
        return None
    try:
        from .push import Pushes
    except ModuleNotFoundError:
        raise SettingsInvalid(needs_extra("WEIGHBRIDGE_PUSH_ACCOUNT", "google")) from None
    return Pushes(settings.push)


def _announced_bytes(headers: Mapping[str, str]) -> int | None:
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _encode(answer: Answer, *, pretty: bool) -> bytes:
    """The body as bytes; JSON is indented for `?pretty=true`, on every route and for every problem."""
    return answer.body if isinstance(answer.body, bytes) else json_bytes(answer.body, pretty=pretty)


def _asks_for_html(accept: str) -> bool:
    """Whether a browser opens the address itself. Programs accept `*/*` or JSON; they do not ask for HTML."""
    for part in accept.split(","):
        name, *parameters = (word.strip().lower() for word in part.split(";"))
        if name == "text/html" and "q=0" not in parameters:
            return True
    return False


def print_line(line: str) -> None:
    """Write a line to the log, in one piece, so that lines of several threads and workers never mix. A log that
    cannot be written to does not stop a weigh-in."""
    with contextlib.suppress(OSError):
        os.write(1, f"{line}\n".encode())
