"""The server around the function: uvicorn, with limits that nobody can exceed.

Rule: no connection is open for longer than it is useful, and no sender keeps others from being answered. Where each
limit is kept:

    request line         8 KiB          `Guarded`, also before its end has arrived
    request head         16 KiB         `Guarded`: more bytes without the end of a head or a piece of a body are refused
    request head         10 s in all    `Guarded`
    idle connection      75 s           uvicorn (`timeout_keep_alive`), before the first request `Guarded`
    connections          1,000          `Guarded`: the one idle longest makes room, else the new one is refused at once
    requests sent ahead  100            `Guarded`
    body                 1 MiB, 10 s between pieces, 30 s in all; 64 KiB of a refused one   `receive`
    deliveries at once   8              `lanes`

Facts (uvicorn 0.54, httptools 0.9): they have no deadline for a head or a body and no limit for a head, and
`limit_concurrency` counts a connection only once its head is complete. uvicorn calls `data_received` of the protocol
class, which may be replaced (`http=`).

Strategy: httptools has the parser of Node.js, in C. With h11, uvicorn's other parser, an empty request costs about
twice as much.

An idle connection, which has no whole head of a request, gives way to a new one. If it kept its place, 1,000
connections that cost nothing could keep everybody else out for as long as they stay. Every client of HTTP/1.1 has to
expect that an idle connection is closed. A connection with a request keeps its place: its answer may be the only word
about a weigh-in that was sent.

Weakness: functions-framework's own command fixes the options of its server. A function that a cloud starts that way has
the limits of `receive` and `lanes`, and those of the cloud's front end, which has to limit heads.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import ClassVar

import httptools
import uvicorn
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess

from ..errors import AddressTooLong, Busy, FieldError, NotHttp, QueryInvalid, TooSlow, WeighbridgeError
from ..idle_server import IdleServer
from ..reasons import Why
from ..resources import TARGET
from .encoding import EVERY_ANSWER, json_bytes
from .problems import headers_of, kind_of, problem

#: Of the method, the address and the version.
LONGEST_LINE_BYTES = 8 * 1024
LONGEST_HEAD_BYTES = 16 * 1024
LONGEST_HEAD_S = 10.0
LONGEST_IDLE_S = 75
#: Requests that a sender may send before it has the answer to the first one.
MOST_AHEAD = 100
MOST_CONNECTIONS = 1_000
#: A host that stops a container waits for ten seconds.
STOP_WITHIN_S = 8


class Joined:
    """A transport that sends the head of an answer with its body. uvicorn writes them one after the other, and a write
    to a socket costs as much as all of its parsing."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self.get_extra_info = transport.get_extra_info
        self.is_closing = transport.is_closing
        self.pause_reading, self.resume_reading = transport.pause_reading, transport.resume_reading
        self.abort = transport.abort

    def write(self, data: bytes) -> None:
        if self._head or not data.startswith(b"HTTP/1.1 ") or data.startswith(b"HTTP/1.1 100 "):
            self._transport.write(self._head + data)
            self._head = b""
        else:
            self._head = data

    def flush(self) -> None:
        """Send a head without a body."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        self.flush()
        self._transport.close()


class Guarded(HttpToolsProtocol):
    """One connection, with the limits that uvicorn does not have."""

    #: The connections of this process without a request, the one that has been idle longest first.
    idle: ClassVar[dict[Guarded, None]] = {}

    transport: Joined  # type: ignore[assignment]
    _head_timer: asyncio.TimerHandle | None = None
    #: Bytes that have arrived since the last head, piece of a body, or end of a request.
    _unfinished = 0
    #: What is wrong with what arrived last; it is answered after the requests before it.
    _fault: WeighbridgeError | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        # uvicorn uses a few methods of a transport, and `Joined` has these.
        super().connection_made(Joined(transport))  # type: ignore[arg-type]
        if len(self.connections) > MOST_CONNECTIONS:
            longest = next(iter(self.idle), None)
            if longest is None:
                self._refuse(Busy("Too many connections are open. Nothing was sent; send it again."))
                return
            longest.end()
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        # The date of an answer is that of its request, looked up here, so that no timer has to keep it.
        self.server_state.default_headers = _date_field(int(time.time()))
        self._unset_keepalive_if_required()
        self._unfinished += len(data)
        self._feed(data)
        if self._unfinished > LONGEST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("")
        self._watch_head()

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                data = self._head_without_offer() + data[offer.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
            except httptools.HttpParserError:
                self.send_400_response("")
                return
            else:
                return

    def _head_without_offer(self) -> bytes:
        """The parser stops after a head that offers another protocol. Nothing is upgraded here, so another parser reads
        the same head without the offer."""
        fields = b"".join(b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade")
        return b"%b %b HTTP/1.1\r\n%b\r\n" % (self.parser.get_method(), self.url, fields)

    def on_url(self, url: bytes) -> None:
        # The parser calls it with each piece of an address.
        super().on_url(url)
        if len(self.parser.get_method()) + len(self.url) + len("  HTTP/1.1") > LONGEST_LINE_BYTES:
            text = f"The first line of a request may have at most {LONGEST_LINE_BYTES} bytes. Shorten the address."
            self._fault = self._fault or AddressTooLong(text)
            raise ValueError("the request line is too long")

    # The parser calls these: each is an end of what was unfinished.

    def on_headers_complete(self) -> None:
        self._unfinished = 0
        # RFC 9112 section 3.2: a request of HTTP/1.1 without exactly one Host is refused.
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise ValueError("a tunnel was asked for")
            return
        if self.parser.get_http_version() == "1.1" and sum(name == b"host" for name, _ in self.headers) != 1:
            raise ValueError("one Host was expected")
        if len(self.pipeline) >= MOST_AHEAD:
            self._fault = Busy("Too many requests were sent before the first one was answered. Send this one again.")
            raise ValueError("too many requests at once")
        if self.url.startswith(b"//"):
            # It is a path, although it looks like the name of a host.
            self.url = b"http://localhost" + self.url
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unfinished = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unfinished = 0
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        self.transport.flush()
        super().on_response_complete()
        if self._fault is not None and not self._is_before_another():
            self._refuse(self._fault)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head_timer()
        self._unset_keepalive_if_required()
        self.idle.pop(self, None)
        super().connection_lost(exc)

    def end(self) -> None:
        """End a connection without a request."""
        self._end_head_timer()
        self.idle.pop(self, None)
        # It counts as open until it is lost, which is a turn of the loop later.
        self.connections.discard(self)
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's sentence
        """Answer what is not HTTP, with a problem: at once, or after the answer to the request before it."""
        text = f"Expected a request of HTTP/1.1, with a head of at most {LONGEST_HEAD_BYTES} bytes."
        self._fault = self._fault or NotHttp(text)
        if self._is_before_another():
            self.flow.pause_reading()
        else:
            self._refuse(self._fault)

    def _is_busy(self) -> bool:
        """Whether a request is being read or answered. They are answered in their order, so the last one says it."""
        return self.cycle is not None and not self.cycle.response_complete

    def _is_before_another(self) -> bool:
        """Whether a request is being answered that has arrived whole, so that what is wrong is a later one."""
        return self._is_busy() and (bool(self.pipeline) or not self.cycle.more_body)

    def _watch_head(self) -> None:
        """A timer runs while a part of a head has arrived, and ends with the rest of it."""
        if self.transport.is_closing() or self._is_busy():
            self.idle.pop(self, None)
            self._end_head_timer()
            return
        self.idle.setdefault(self)
        if not self._unfinished:
            self._end_head_timer()
            if self.timeout_keep_alive_task is None:
                self.timeout_keep_alive_task = self.loop.call_later(LONGEST_IDLE_S, self.timeout_keep_alive_handler)
        elif self._head_timer is None:
            self._unset_keepalive_if_required()
            self._head_timer = self.loop.call_later(LONGEST_HEAD_S, self._head_too_slow)

    def _end_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_too_slow(self) -> None:
        self._refuse(TooSlow(f"The head of the request took over {LONGEST_HEAD_S:g} s."))

    def _refuse(self, fault: WeighbridgeError) -> None:
        """Answer with a problem, if that is still possible, and end the connection."""
        self._end_head_timer()
        self.idle.pop(self, None)
        started = False
        if self._is_busy():
            # The application is still at work on this request: it learns that nobody waits for the answer.
            started = self.cycle.response_started
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not started and not self.transport.is_closing():
            self.transport.write(_response(fault))
        self.transport.close()


@lru_cache(maxsize=1)
def _date_field(unix_s: int) -> list[tuple[bytes, bytes]]:
    return [(b"date", formatdate(unix_s, usegmt=True).encode())]


def _response(fault: WeighbridgeError) -> bytes:
    status, body = HTTPStatus(kind_of(fault).status), json_bytes(problem(fault), pretty=False)
    fields = {
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(body)),
        **EVERY_ANSWER,
        **headers_of(fault),
        "Connection": "close",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status.value} {status.phrase}\r\n{head}\r\n".encode() + body


def application() -> ASGIApp:
    """The function as an ASGI application, from functions-framework."""
    # What the imports make stays, so looking through it while they run, an eighth of a cold start, finds nothing.
    gc.disable()
    # Imported when needed: it takes longer than the rest.
    from functions_framework.aio import create_asgi_app

    function = create_asgi_app("handle", str(TARGET), "http")
    gc.freeze()
    # A batch makes many objects that end with it.
    gc.set_threshold(10_000, 20, 20)
    gc.enable()

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        # The routes of functions-framework do not match a line break, and answer it with a page of their own.
        if scope["path"].isprintable():
            await function(scope, receive, send)
            return
        fault = QueryInvalid([FieldError("path", None, Why.PATH_EXPECTED())])
        body = json_bytes(problem(fault), pretty=False)
        status = kind_of(fault).status
        await Response(body, status, EVERY_ANSWER, media_type="application/problem+json")(scope, receive, send)

    return guarded


def run(host: str, port: int, *, workers: int = 1) -> None:
    """Serve the function until a signal stops it; SIGTERM ends the process with exit code 0."""
    config = uvicorn.Config(
        f"{__name__}:application",
        factory=True,
        host=host.strip("[]"),
        port=port,
        workers=workers,
        http=Guarded,
        ws="none",
        loop="asyncio",
        lifespan="off",
        # The access log is ours, and an error of the protocol is the caller's.
        access_log=False,
        log_config=None,
        log_level="critical",
        server_header=False,
        date_header=False,  # `Guarded` has it
        # A caller's address is never taken from a header.
        proxy_headers=False,
        backlog=MOST_CONNECTIONS,
        timeout_keep_alive=LONGEST_IDLE_S,
        timeout_graceful_shutdown=STOP_WITHIN_S,
    )
    if workers == 1:
        IdleServer(config).run()
        return
    with contextlib.suppress(KeyboardInterrupt):
        Multiprocess(config, sockets=[config.bind_socket()]).run()
