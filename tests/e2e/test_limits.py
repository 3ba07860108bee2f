"""The limits of the server, with real sockets: nobody keeps others from being answered.

Strategy: senders that are ended only after a while (a head after 10 s, a body after 30, silence after 75) share one
server and one wait: `slow`. `Probe` says by when an answer has to be there, and why.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError

import pytest

from tests.e2e.parts.probe import ANSWER_WITHIN_S, READING, Probe
from tests.e2e.test_serve import answer_of, serving
from tests.function_client import local_headers
from tests.ports import free_port
from weighbridge.http import server


class Served:
    def __init__(self, port: int, pid: int) -> None:
        self.port, self.pid = port, pid

    def connect(self, stack: ExitStack, content: bytes = b"") -> socket.socket:
        connection = stack.enter_context(socket.create_connection(("127.0.0.1", self.port), timeout=30))
        if content:
            connection.sendall(content)
        return connection

    def is_answering(self) -> bool:
        """Whether it answers in time."""
        Probe(f"http://127.0.0.1:{self.port}").ask()
        return True

    def has_room(self) -> bool:
        """Whether a new connection is kept."""
        with suppress(HTTPError, ConnectionError):
            return self.is_answering()
        return False

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


# -- senders that are ended only after a while ------------------------------------------------------------

HALF_BODY = HEAD + b"Content-Length: 90\r\n\r\n{"
DRIP_S = 3.0


class Sender:
    """A connection, what it sends every few seconds, and what it has received until the server ended it."""

    def __init__(self, connection: socket.socket, drip: bytes) -> None:
        self.connection, self.drip, self.response = connection, drip, b""


class Slow(NamedTuple):
    served: Served
    senders: Mapping[str, list[Sender]]
    #: The kinds of senders -> when the last connection of each was ended, in this order.
    lasted_s: Mapping[str, float]
    probe: Probe
    descriptors_before: int
    memory_before: float


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slow]:
    """A server that all slow senders have flooded at once, until it had ended each of them."""
    port = free_port()
    with serving(tmp_path_factory.mktemp("slow"), "--port", str(port)) as process:
        answer_of(f"http://127.0.0.1:{port}", process)
        yield flooded(Served(port, process.pid))


def flooded(served: Served) -> Slow:
    probe = Probe(f"http://127.0.0.1:{served.port}")
    probe.ask()
    before, memory = served.descriptors(), served.memory_mib()
    kinds = {
        "half heads": (300, HEAD, b""),
        "half bodies": (300, HALF_BODY, b""),
        "dripping head": (1, HEAD, b"X-Drip: 1\r\n"),
        "dripping bodies": (300, HALF_BODY, b" "),
        "silent": (1, b"", b""),
        "used": (1, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", b""),
    }
    senders: dict[str, list[Sender]] = {}
    lasted_s: dict[str, float] = {}
    started = time.monotonic()
    with ExitStack() as stack:
        for kind, (count, content, drip) in kinds.items():
            senders[kind] = [Sender(served.connect(stack, content), drip) for _ in range(count)]
            probe.ask()
        left = {kind: set(each) for kind, each in senders.items()}
        for kind, sender in ended(senders, probe):
            left[kind].remove(sender)
            if not left[kind]:
                lasted_s[kind] = time.monotonic() - started
    return Slow(served, senders, lasted_s, probe, before, memory)


def ended(senders: Mapping[str, list[Sender]], probe: Probe) -> Iterator[tuple[str, Sender]]:
    """Drip, read and probe, and yield each connection that the server has ended."""
    with selectors.DefaultSelector() as selector:
        for kind, each in senders.items():
            for sender in each:
                selector.register(sender.connection, selectors.EVENT_READ, (kind, sender))
        next_drip, deadline = time.monotonic() + DRIP_S, time.monotonic() + 120
        while left := selector.get_map():
            assert time.monotonic() < deadline, Counter(key.data[0] for key in left.values())
            for key, _ in selector.select(0.05):
                kind, sender = key.data
                piece = b""
                with suppress(ConnectionError):  # a drip came after the answer
                    piece = sender.connection.recv(65_536)
                sender.response += piece
                if not piece:
                    selector.unregister(sender.connection)
                    yield kind, sender
            if time.monotonic() >= next_drip:
                next_drip += DRIP_S
                for key in list(left.values()):
                    with suppress(ConnectionError):
                        key.data[1].connection.sendall(key.data[1].drip)
            probe.ask()


def detail_of(response: bytes) -> str:
    """The reason that a sender who was too slow is given."""
    assert problem_of(response) == (408, "urn:weighbridge:too-slow")
    return str(json.loads(response.partition(b"\r\n\r\n")[2])["detail"])


@pytest.mark.parametrize(
    ("kind", "detail"),
    [
        ("half heads", "The head of the request took over 10 s."),
        ("dripping head", "The head of the request took over 10 s."),
        ("half bodies", "The body stopped for 10 s before its end."),
        ("dripping bodies", "The body took 30 s before its end."),
    ],
)
def test_slow_senders_are_ended(slow: Slow, kind: str, detail: str) -> None:
    """A head has 10 s in all, a body 10 s between its pieces and 30 s in all; then each sender learns why."""
    assert {detail_of(sender.response) for sender in slow.senders[kind]} == {detail}


def test_idle_connections_are_closed(slow: Slow) -> None:
    """A connection without a request is closed after 75 s, before its first request and after one."""
    assert [sender.response for sender in slow.senders["silent"]] == [b""]
    assert [sender.response[:13] for sender in slow.senders["used"]] == [b"HTTP/1.1 200 "]
    # Later than what has a deadline of 10 s, and than what has one of 30.
    order = list(slow.lasted_s)
    assert set(order[:3]) == {"half heads", "half bodies", "dripping head"}
    assert order[3] == "dripping bodies"
    assert min(slow.lasted_s[kind] for kind in ("silent", "used")) >= server.LONGEST_IDLE_S


def test_slow_senders_starve_nobody(slow: Slow, figure: Callable[[str], None]) -> None:
    """900 slow senders hold up nobody: 300 half heads, 300 half bodies, and 300 bodies that drip."""
    figure(slow.probe.figure("900 half and dripping heads and bodies"))
    slow.probe.ask()


def test_slow_senders_leave_nothing(slow: Slow, figure: Callable[[str], None]) -> None:
    """Slow senders leave no descriptor open, and a second flood of them adds nothing to the memory."""
    served = slow.served
    until(lambda: served.descriptors() <= slow.descriptors_before + 2)
    memory = served.memory_mib()
    # 900 connections at once are a part of what the allocator keeps for the next ones.
    assert memory - slow.memory_before < 24
    with flood(served, 300, HEAD), flood(served, 600, HALF_BODY):
        assert served.is_answering()
    until(lambda: served.descriptors() <= slow.descriptors_before + 2)
    growth = served.memory_mib() - memory
    figure(f"memory after 900 slow senders: {memory - slow.memory_before:+.1f} MiB; after 900 more: {growth:+.1f} MiB")
    assert growth < 3


# -- many connections -------------------------------------------------------------------------------------


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


def test_connection_beyond_the_limit(served: Served) -> None:
    """While 1,000 connections have a request each, the next one is refused at once; then there is room again."""
    with flood(served, server.MOST_CONNECTIONS, HEAD + b"Content-Length: 90\r\nExpect: 100-continue\r\n\r\n") as busy:
        for connection in busy:
            assert connection.recv(64) == b"HTTP/1.1 100 Continue\r\n\r\n", "its body is awaited"
        with ExitStack() as stack:
            response = read_all(served.connect(stack))
        assert problem_of(response) == (503, "urn:weighbridge:busy")
        assert b"\r\nRetry-After: " in response
        assert json.loads(response.partition(b"\r\n\r\n")[2])["again"] == "later"
        with selectors.DefaultSelector() as selector:
            for connection in busy:
                selector.register(connection, selectors.EVENT_READ)
            assert selector.select(0) == [], "it had not to wait until one was ended"
        for connection in busy[:3]:
            connection.close()
        until(served.has_room)


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
        with closing(HTTPConnection("127.0.0.1", served.port, timeout=ANSWER_WITHIN_S)) as connection:
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
