"""The server around the function: uvicorn, with limits that nobody can exceed.

Rule: no connection is open for longer than it is useful, and no sender keeps others from being answered. Where each
limit is kept:

    request head         16 KiB         h11 (`h11_max_incomplete_event_size`)
    request head         10 s in all    `Guarded`
    idle connection      75 s           uvicorn (`timeout_keep_alive`), before the first request `Guarded`
    connections          1,000          `Guarded`: the one idle longest makes room, else the new one is refused
    body                 1 MiB, 10 s between pieces, 30 s in all; 64 KiB of a refused one   `receive`
    deliveries at once   8              `lanes`

Facts (uvicorn 0.54): it has no deadline for a head or a body, and `limit_concurrency` counts a connection only once its
head is complete. It calls `data_received` of the protocol class, which may be replaced (`http=`).

Weakness: functions-framework's own command fixes the options of its server. A function that a cloud starts that way has
the limits of `receive` and `lanes`, and those of the cloud's front end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import ClassVar

import h11
import uvicorn
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.supervisors import Multiprocess

from ..errors import Busy, NotHttp, TooSlow, WeighbridgeError
from ..idle_server import IdleServer
from .app import Shell, print_line
from .encoding import json_bytes
from .problems import headers_of, kind_of, problem

LONGEST_HEAD_BYTES = 16 * 1024
LONGEST_HEAD_S = 10.0
LONGEST_IDLE_S = 75
MOST_CONNECTIONS = 1_000
#: A host that stops a container waits for ten seconds.
STOP_WITHIN_S = 8


class Guarded(H11Protocol):
    """One connection, with the limits that uvicorn does not have."""

    #: The connections of this process without a request, the one that has been idle longest first.
    idle: ClassVar[dict[Guarded, None]] = {}

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            longest = next(iter(self.idle), None)
            if longest is None:
                self._refuse(Busy("Too many connections are open. Nothing was sent; send it again."))
                return
            longest.end()
        self.timeout_keep_alive_task = self.loop.call_later(LONGEST_IDLE_S, self.timeout_keep_alive_handler)
        self.idle[self] = None

    def data_received(self, data: bytes) -> None:
        # The date of an answer is that of its request, looked up here, so that no timer has to keep it.
        self.server_state.default_headers = _date_field(int(time.time()))
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
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
        """Answer what is not HTTP, with a problem."""
        text = f"Expected a request of HTTP/1.1, with a head of at most {LONGEST_HEAD_BYTES} bytes."
        self._refuse(NotHttp(text))

    def _watch_head(self) -> None:
        """A timer runs while a part of a head has arrived, and ends with the rest of it."""
        if self.transport.is_closing() or self.conn.their_state is not h11.IDLE:
            self.idle.pop(self, None)
            self._end_head_timer()
            return
        self.idle.setdefault(self)
        if not self.conn.trailing_data[0]:
            self._end_head_timer()
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
        if self.cycle is not None and not self.cycle.response_complete:
            # The application is still at work on this request: it learns that nobody waits for the answer.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE) and not self.transport.is_closing():
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
        **headers_of(fault),
        "Connection": "close",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status.value} {status.phrase}\r\n{head}\r\n".encode() + body


def application() -> ASGIApp:
    """The function as an ASGI application: what the target of functions-framework answers, without functions-framework.

    Its ASGI module imports Flask, Werkzeug and Jinja, which is a third of a cold start, and its layers cost each
    request as much as the rest of an empty one.
    """
    shell = Shell(os.environ, print_line)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        response = await shell.answer(Request(scope, receive))
        await response(scope, receive, send)

    return answer


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
        h11_max_incomplete_event_size=LONGEST_HEAD_BYTES,
    )
    if workers == 1:
        IdleServer(config).run()
        return
    with contextlib.suppress(KeyboardInterrupt):
        Multiprocess(config, sockets=[config.bind_socket()]).run()
