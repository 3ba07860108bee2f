"""The limits of the server, with real sockets: nobody keeps others from being answered.

The answers have a deadline of several seconds, far below the time for which a starved server would be silent.
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.e2e.test_serve import answer_of, serving
from tests.function_client import free_port, local_headers
from weighbridge.http import server

READING = json.dumps({"weight": 81.4, "body fat": 18.2, "time": "2026-11-23T07:30:00Z"}).encode()
DEADLINE_S = 5


class Served:
    def __init__(self, port: int, pid: int) -> None:
        self.port, self.pid = port, pid

    def connect(self, stack: ExitStack, content: bytes = b"") -> socket.socket:
        connection = stack.enter_context(socket.create_connection(("127.0.0.1", self.port), timeout=30))
        if content:
            connection.sendall(content)
        return connection

    def is_answering(self) -> bool:
        """Whether /health and a dry run are answered in time."""
        address = f"http://127.0.0.1:{self.port}"
        for request in (
            f"{address}/health",
            urllib.request.Request(f"{address}/?dry_run=true", READING, local_headers()),
        ):
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
                assert answer.status == 200
        return True

    def descriptors(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())

    def memory_mib(self) -> float:
        """Resident memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE_MIB


PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / (1 << 20)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    port = free_port()
    with serving(tmp_path, "--port", str(port)) as process:
        answer_of(f"http://127.0.0.1:{port}", process)
        yield Served(port, process.pid)


def read_all(connection: socket.socket) -> bytes:
    content = b""
    while piece := connection.recv(65_536):
        content += piece
    return content


def problem_of(response: bytes) -> tuple[int, str]:
    head, _, body = response.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert b"connection: close" in head.lower()
    return int(head.split()[1]), json.loads(body)["type"]


HEAD = (
    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    + "".join(f"{name}: {value}\r\n" for name, value in local_headers().items()).encode()
)
CHECKED = HEAD.replace(b"/", b"/?dry_run=true", 1)


@contextmanager
def flood(served: Served, count: int, content: bytes) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        yield [served.connect(stack, content) for _ in range(count)]


def test_half_heads_and_half_bodies(served: Served) -> None:
    """300 half heads and 300 half bodies hold up nobody, are closed within their deadlines, and leave nothing open."""
    before, memory = served.descriptors(), served.memory_mib()
    with flood(served, 300, HEAD) as heads, flood(served, 300, HEAD + b"Content-Length: 90\r\n\r\n{") as bodies:
        assert served.is_answering()
        for connection in heads[:3]:
            assert problem_of(read_all(connection)) == (408, "urn:weighbridge:too-slow")
        for connection in bodies[:3]:
            assert problem_of(read_all(connection)) == (408, "urn:weighbridge:too-slow")
        assert served.is_answering()
    until(lambda: served.descriptors() <= before + 2)
    # 600 connections at once are a part of what the allocator keeps for the next ones.
    assert served.memory_mib() - memory < 16


def test_dripping_head(served: Served) -> None:
    """A head that arrives byte by byte has one deadline for all of it."""
    with flood(served, 1, HEAD) as (connection,):
        connection.settimeout(0.5)
        response, end = b"", time.monotonic() + 3 * server.LONGEST_HEAD_S
        while time.monotonic() < end:
            try:
                if piece := connection.recv(65_536):
                    response += piece
                    continue
                break
            except TimeoutError:
                connection.sendall(b"X-Drip: 1\r\n")
        assert problem_of(response) == (408, "urn:weighbridge:too-slow")


def test_silent_connections(served: Served) -> None:
    """1,100 silent connections hold up nobody: the ones that have been silent longest make room."""
    with flood(served, server.MOST_CONNECTIONS + 100, b"") as connections:
        assert served.is_answering()
        assert connections[0].recv(1) == b""
        assert served.descriptors() < server.MOST_CONNECTIONS + 50
        memory = served.memory_mib()
    before = served.descriptors()
    with flood(served, server.MOST_CONNECTIONS + 100, b""):
        assert served.is_answering()
        assert served.memory_mib() - memory < 3, "the second time, nothing is added"
    until(lambda: served.descriptors() < before + 50)


def test_memory_of_20_000_requests(served: Served) -> None:
    """20,000 different requests leave nothing behind."""
    with ExitStack() as stack:
        connection = served.connect(stack)
        ask(connection, range(2_000))
        memory = served.memory_mib()
        ask(connection, range(2_000, 22_000))
        assert served.memory_mib() - memory <= 3


def ask(connection: socket.socket, numbers: range, ahead: int = 50) -> None:
    """Dry runs, each of another reading, some of them sent ahead."""
    for start in range(numbers.start, numbers.stop, ahead):
        for number in range(start, start + ahead):
            body = b'{"weight": 8%d.%d, "body fat": 18.2, "time": %d}' % (
                number % 10,
                number % 7,
                1_700_000_000 + number,
            )
            connection.sendall(CHECKED + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        answers = b""
        while answers.count(b'"garmin":null}') < ahead:
            piece = connection.recv(262_144)
            assert piece
            answers += piece
        assert answers.count(b"HTTP/1.1 200 ") == ahead


def request_line(length: int) -> bytes:
    start, end = b"GET /health?", b" HTTP/1.1"
    return start + b"a" * (length - len(start) - len(end)) + end


@pytest.mark.parametrize("pieces", [1, 9])
def test_endless_request_line(served: Served, pieces: int) -> None:
    """A request line over its limit is refused before its end has arrived, in one piece or in several."""
    line = b"GET /" + b"a" * (server.LONGEST_LINE_BYTES + 1 - len("GET /"))
    size = -(-len(line) // pieces)
    with ExitStack() as stack:
        connection = served.connect(stack)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(line), size):
            connection.sendall(line[start : start + size])
        assert problem_of(read_all(connection)) == (414, "urn:weighbridge:address-too-long")
    assert served.is_answering()


@pytest.mark.parametrize(("length", "status"), [(8_192, 400), (8_193, 414)])
def test_longest_request_line(served: Served, length: int, status: int) -> None:
    """A request line of 8 KiB reaches the function, which knows no such parameter; one byte more does not."""
    fields = b"\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with ExitStack() as stack:
        response = read_all(served.connect(stack, request_line(length) + fields))
    kind = {400: "query-invalid", 414: "address-too-long"}[status]
    assert problem_of(response) == (status, f"urn:weighbridge:{kind}")


def test_request_lines_sent_ahead(served: Served) -> None:
    """Each request on a connection has the whole limit for its line, and a line over it is answered last."""
    fields = b"\r\nHost: localhost\r\n\r\n"
    ahead = (request_line(8_192) + fields) * 2 + request_line(8_193) + fields
    with ExitStack() as stack:
        assert statuses(served.connect(stack, ahead)) == [400, 400, 414]


@pytest.mark.parametrize(
    "content",
    [
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        HEAD + b"Content-Length: -1\r\n\r\n",
    ],
    ids=["chunk size", "TLS", "length"],
)
def test_not_http(served: Served, content: bytes) -> None:
    """What is not HTTP is answered with a problem, and the server lives."""
    with ExitStack() as stack:
        assert problem_of(read_all(served.connect(stack, content))) == (400, "urn:weighbridge:not-http")
    assert served.is_answering()


CHUNK_SIZES = (b"", b"-2", b"+2", b"0x2", b" 2", b"2 ", b"2_", b"2\t", b"\xb2", b"2;\0", b"F" * 17)
TWO_WAYS = (
    b"Transfer-Encoding: chunked\r\nContent-Length: 2",
    b"Content-Length: 2\r\nContent-Length: 3",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding : chunked",
)
ODD_IDS = ("%0d%0a", "x%0d%0aX-Other:%201", "2026-11-23.1%0a", "%00", "%7f", "%c2%85", "%e2%80%a8")


def test_malformed_chunk_size(served: Served) -> None:
    """A chunk size that is not a plain hexadecimal number is 400."""
    for size in CHUNK_SIZES:
        content = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + size + b"\r\n{}\r\n0\r\n\r\n"
        with ExitStack() as stack:
            assert problem_of(read_all(served.connect(stack, content))) == (400, "urn:weighbridge:not-http"), size
    assert served.is_answering()


def test_two_ways_to_read_a_body(served: Served) -> None:
    """A body whose end a proxy could see elsewhere is 400, so no request hides in another."""
    for framing in TWO_WAYS:
        with ExitStack() as stack:
            content = HEAD + framing + b"\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
            assert problem_of(read_all(served.connect(stack, content)))[0] == 400, framing
    assert served.is_answering()


def test_control_characters_in_an_id(served: Served) -> None:
    """An id with a line break or another control character is 400, and the answer does not repeat it."""
    for odd in ODD_IDS:
        with closing(HTTPConnection("127.0.0.1", served.port, timeout=DEADLINE_S)) as connection:
            connection.request("DELETE", f"/readings/{odd}", headers=local_headers())
            answer = connection.getresponse()
            assert (answer.status, answer.headers["X-Other"]) == (400, None), odd
            assert json.loads(answer.read())["type"] == "urn:weighbridge:query-invalid"


@pytest.mark.parametrize(("content", "more"), [(HEAD, b"a"), (b"", b"\r\n")], ids=["head", "empty lines"])
def test_bytes_without_an_end(served: Served, content: bytes, more: bytes) -> None:
    """What never becomes a request is refused at the limit of the head."""
    with ExitStack() as stack:
        connection = served.connect(stack, content + more * (server.LONGEST_HEAD_BYTES + 1))
        assert problem_of(read_all(connection)) == (400, "urn:weighbridge:not-http")


def test_endless_trailer(served: Served) -> None:
    """A header after a body that never ends is not collected: the connection ends while it is being sent."""
    with ExitStack() as stack:
        connection = served.connect(stack, HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\nX: ")
        with pytest.raises(ConnectionError):
            connection.sendall(b"a" * (64 << 20))
    assert served.is_answering()


DRY_RUN = CHECKED + b"Content-Length: %d\r\n\r\n" % len(READING) + READING


def statuses(connection: socket.socket) -> list[int]:
    """The statuses of all answers on a connection, which the server ends."""
    return [int(status) for status in re.findall(rb"HTTP/1.1 (\d{3}) ", read_all(connection))]


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [
        (DRY_RUN * 3 + b"no HTTP\r\n\r\n", [200, 200, 200, 400]),
        (DRY_RUN + HEAD + b"Content-Length: x\r\n\r\n", [200, 400]),
        (DRY_RUN + HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", [200, 400]),
        (DRY_RUN * (server.MOST_AHEAD + 50), [200] * (server.MOST_AHEAD + 1) + [503]),
    ],
    ids=["junk", "head", "body", "too many"],
)
def test_requests_sent_ahead(served: Served, ahead: bytes, expected: list[int]) -> None:
    """Requests that are sent ahead are answered in their order; what is wrong is answered last."""
    with ExitStack() as stack:
        assert statuses(served.connect(stack, ahead)) == expected


def test_upgrade_is_ignored(served: Served) -> None:
    """A client that offers another protocol, as Java's does, is answered in HTTP/1.1, on and on."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAA\r\n"
    with ExitStack() as stack:
        first_line, rest = DRY_RUN.split(b"\r\n", 1)
        request = first_line + b"\r\n" + offer + rest
        # The second arrives in pieces; the last one is not a request, so the connection ends.
        connection = served.connect(stack, request + request[:-9])
        assert connection.recv(4) == b"HTTP"
        connection.sendall(request[-9:] + DRY_RUN + b"no HTTP\r\n\r\n")
        assert [200, *statuses(connection)] == [200, 200, 200, 400]


@pytest.mark.parametrize("hosts", [b"", b"Host: localhost\r\nHost: localhost\r\n"], ids=["none", "two"])
def test_one_host(served: Served, hosts: bytes) -> None:
    """A request without exactly one Host is refused, as RFC 9112 section 3.2 demands."""
    with ExitStack() as stack:
        response = read_all(served.connect(stack, b"GET /health HTTP/1.1\r\n" + hosts + b"\r\n"))
        assert problem_of(response) == (400, "urn:weighbridge:not-http")


def test_path_with_two_slashes(served: Served) -> None:
    """An address with a slash too many is one without an answer, which the problem says."""
    with ExitStack() as stack:
        request = b"GET //health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        response = read_all(served.connect(stack, request))
    assert response.startswith(b"HTTP/1.1 404 ")
    assert b"urn:weighbridge:not-found" in response


def test_refused_body_is_not_drained(served: Served) -> None:
    """A body that is too large is answered after a little of it, and the connection ends; at once with `Expect`."""
    large = HEAD + b"Content-Length: 99999999\r\n"
    for content in (large + b"\r\n" + b"x" * 60_000, large + b"Expect: 100-continue\r\n\r\n"):
        with ExitStack() as stack:
            response = read_all(served.connect(stack, content))
        assert problem_of(response) == (413, "urn:weighbridge:too-large")


def test_control_characters_in_a_path(served: Served) -> None:
    """Control characters in a path are a problem, never a part of a header or of the log."""
    with ExitStack() as stack:
        connection = served.connect(
            stack, b"GET /readings/%0d%0aX HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        response = read_all(connection)
    assert b" 400 " in response.partition(b"\r\n")[0]
    assert json.loads(response.partition(b"\r\n\r\n")[2])["type"] == "urn:weighbridge:query-invalid"


def until(holds: object) -> None:
    deadline = time.monotonic() + 30
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)
