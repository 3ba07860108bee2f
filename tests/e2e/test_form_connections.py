"""The page's connections to the function: kept while a person types, and safe if the other side closes them."""

from __future__ import annotations

import json
import socket
import threading

import httpx

from weighbridge.client import Client, Target
from weighbridge.http.server import LONGEST_IDLE_S
from weighbridge.secret import SecretStr
from weighbridge_form.account import KEPT

RECEIPT = json.dumps({"status": "checked", "final": True, "summary": "81.4 kg"}).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(RECEIPT), RECEIPT)


def test_kept_for_less_than_the_function_keeps_them() -> None:
    """The page closes an idle connection before the function does."""
    assert KEPT.keepalive_expiry is not None
    assert KEPT.keepalive_expiry < LONGEST_IDLE_S


def test_closed_by_the_other_side() -> None:
    """A kept connection that a server has closed while it was idle is replaced, and the call is answered."""
    closed, asked = threading.Event(), []

    def serve() -> None:
        # Each answer leaves its connection open, as far as the client can know; then it is closed.
        for _ in range(2):
            connection, _ = server.accept()
            with connection:
                request = b""
                while b"81.4}" not in request:
                    request += connection.recv(65_536)
                asked.append(request.split(b" ", 1)[0])
                connection.sendall(ANSWER)
            closed.set()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        target = Target(f"http://127.0.0.1:{server.getsockname()[1]}", SecretStr("key"))
        with Client(target, transport=httpx.HTTPTransport(limits=KEPT, trust_env=False)) as client:
            for _ in range(2):
                assert client.post('{"weight": 81.4}', dry_run=True).status == "checked"
                assert closed.wait(30)
        thread.join(30)
    assert asked == [b"POST", b"POST"]
