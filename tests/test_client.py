"""The client: which answers are the function's and which are not, and that a caller never has to catch anything.

Strategy: the meaning of an answer is tested on the pure part. The calls are tested against the real function, and
against a server that sends any bytes.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.function_client import process
from tests.ports import free_port
from weighbridge.client import AsyncClient, Client, Reply, Result, Target, problem, read_target
from weighbridge.client.answers import Expected, read_reply
from weighbridge.errors import SettingsInvalid
from weighbridge.local_key import local_key
from weighbridge.secret import SecretStr

NOW = datetime(2026, 11, 22, 6, 31, tzinfo=UTC)
KEY = "a-planted-key-of-letters"
READING = '{"weight": 81.4, "body fat": 18.2, "measured_at": "2026-11-22T06:31:00Z"}'
RECEIPT = {"status": "confirmed", "final": True, "summary": "81.4 kg: confirmed in Garmin Connect."}
REJECTED = {
    "type": "urn:weighbridge:reading-rejected",
    "title": "The reading cannot be right",
    "detail": "The reading was rejected; nothing was sent.",
    "blame": "caller",
    "again": "never",
    "errors": [{"field": "weight", "input": 814, "message": "The weight must be 2 to 400 kg."}],
}
EXPECTED: tuple[Expected, ...] = get_args(Expected)


def read(status: int, body: object, headers: dict[str, str] | None = None, *, expected: Expected = "receipts") -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_reply(status, headers or {}, content, expected=expected, address="http://scale.lan", now=NOW)


# --- the function's answers ---


@pytest.mark.parametrize(
    ("status", "word", "final"),
    [(201, "confirmed", True), (200, "present", True), (202, "kept", True), (202, "accepted", False)],
)
def test_receipt(status: int, word: str, final: bool) -> None:
    """A receipt says whether it is final."""
    reply = read(status, RECEIPT | {"status": word, "final": final})
    assert (reply.ok, reply.kind, reply.status, reply.final) == (True, "", word, final)
    assert reply.again == ("never" if final else "later")
    assert reply.text == RECEIPT["summary"]


def test_problem() -> None:
    """A problem says who can fix it, whether to send again, and what is wrong."""
    reply = read(422, REJECTED)
    assert (reply.ok, reply.final, reply.kind, reply.status) == (False, False, "reading-rejected", "")
    assert (reply.blame, reply.again) == ("caller", "never")
    assert reply.errors == REJECTED["errors"]
    assert reply.text == "The reading cannot be right. The reading was rejected; nothing was sent."


def test_conflict_names_what_differs() -> None:
    """A conflict names what the reading would add and change. Anything else has empty lists."""
    conflict = {"type": "urn:weighbridge:conflict", "added": ["bone_mass_kg"], "changed": ["weight_kg", 1]}
    assert (read(409, conflict).added, read(409, conflict).changed) == (("bone_mass_kg",), ("weight_kg",))
    assert (read(422, REJECTED).added, read(201, RECEIPT).changed) == ((), ())
    assert (read(409, conflict | {"added": 1}).added) == ()


def test_several_readings() -> None:
    """Each of several readings has its own result."""
    reply = read(207, {"results": [RECEIPT, REJECTED, RECEIPT | {"status": "accepted", "final": False}]})
    assert reply.ok
    assert not reply.final
    assert [result.final for result in reply.results] == [True, False, False]
    assert [result.again for result in reply.results] == ["never", "never", "later"]
    assert [result.kind for result in reply.results] == ["", "reading-rejected", ""]


def test_several_within_one() -> None:
    """A document with several weigh-ins has one result, with theirs within it. `each` has them all in order."""
    reply = read(207, {"results": [RECEIPT, {"results": [REJECTED, RECEIPT]}]})
    assert [len(result.results) for result in reply.results] == [0, 2]
    assert [result.kind or result.status for result in reply.each()] == ["confirmed", "reading-rejected", "confirmed"]
    assert [result.final for result in reply.results] == [True, False]
    assert read(201, RECEIPT).each() == (read(201, RECEIPT),)
    assert read(200, {"results": []}).each() == ()


def test_codes() -> None:
    """`codes` has the codes of notes and warnings."""
    notes = {"notes": [{"code": "time-of-receipt", "text": ""}], "warnings": [{"code": "not-shown", "text": ""}]}
    assert read(201, RECEIPT | notes).codes == {"time-of-receipt", "not-shown"}


def test_file() -> None:
    """A file comes with its name."""
    headers = {"content-type": "application/vnd.ant.fit", "content-disposition": 'attachment; filename="a.fit"'}
    reply = read(200, b"\x0e\x10.FIT", headers, expected="file")
    assert (reply.ok, reply.content, reply.file_name) == (True, b"\x0e\x10.FIT", "a.fit")


def test_health_not_ready() -> None:
    """`health` is an answer even when nothing can be delivered."""
    health = {"status": "not ready", "delivery": {"ready": False}}
    assert read(503, health, expected="health").ok
    assert read(503, health).kind == "not-the-function"


# --- other answers ---

FOREIGN = {
    "a proxy's page": b"<html>Welcome</html>",
    "nothing": b"",
    "a list": b"[]",
    "null": b"null",
    "another program's JSON": b'{"status": "ok"}',
    "half a receipt": json.dumps(RECEIPT).encode()[:-5],
    "a receipt without its end": json.dumps({"status": "confirmed"}).encode(),
    "an end that is a word": b'{"status": "confirmed", "final": "true"}',
    "results that are not results": b'{"results": [1, {"final": "yes"}]}',
    "a document without results": b'{"results": [{"results": []}]}',
    "results within results within results": json.dumps({"results": [{"results": [{"results": [RECEIPT]}]}]}).encode(),
    "not UTF-8": b'{"final": true, "status": "\xff"}',
    "nested too deep": b'{"final":' * 100_000,
    "a problem of somebody else": b'{"type": "about:blank", "title": "Conflict", "again": "never"}',
}


@pytest.mark.parametrize("body", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize(
    "status", [200, 201, 202, 204, 301, 302, 307, 308, 400, 404, 409, 413, 422, 429, 500, 502, 503]
)
def test_not_the_function(status: int, body: bytes) -> None:
    """The answer of another program is a problem, and the reading is sent again."""
    reply = read(status, body)
    assert (reply.ok, reply.final, reply.kind) == (False, False, "not-the-function")
    assert reply.again == ("later" if status >= 500 else "after_repair")
    assert "http://scale.lan" in reply.text


@pytest.mark.parametrize("status", [100, 204, 300, 302, 400, 409, 500, 503])
def test_receipt_with_another_status(status: int) -> None:
    """A receipt counts only with a status of success."""
    if status != 204:
        assert read(status, RECEIPT).kind == "not-the-function"
    assert not read(status, {"results": [RECEIPT]}, expected="nothing").final


@pytest.mark.parametrize("status", [200, 201, 302])
def test_problem_with_another_status(status: int) -> None:
    """A problem counts only with a status of failure."""
    reply = read(status, REJECTED)
    assert (reply.kind, reply.again) == ("not-the-function", "after_repair")


@pytest.mark.parametrize("expected", ["file", "entries", "health", "nothing"])
def test_receipt_for_another_call(expected: Expected) -> None:
    """A receipt is not an answer to another kind of call."""
    assert read(200, RECEIPT, expected=expected).kind == "not-the-function"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
#: Objects with the keys that the client reads, and any values.
NAMES = (
    "type",
    "status",
    "results",
    "errors",
    "notes",
    "warnings",
    "retry_after_s",
    "again",
    "blame",
    "title",
    "detail",
    "added",
    "changed",
)
almost_an_answer = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, json_values)).map(
    lambda document: json.dumps(document).encode("utf-8", "surrogatepass")
)


@given(
    status=st.integers(100, 599),
    body=st.binary() | almost_an_answer,
    headers=st.fixed_dictionaries({}, optional={"content-type": st.text(), "retry-after": st.text()}),
    expected=st.sampled_from(EXPECTED),
)
@example(status=200, body=b'{"results": 5}', headers={}, expected="receipts")
@example(status=422, body=b'{"type": "urn:weighbridge:x", "errors": 1, "notes": [1]}', headers={}, expected="receipts")
@example(status=503, body=b"", headers={"retry-after": "Sun, 22 Nov 2026 06:32:30 +99999999999"}, expected="receipts")
def test_any_response(status: int, body: bytes, headers: dict[str, str], expected: Expected) -> None:
    """For every status, header and body without a receipt: no exception, and never "final"."""
    reply = read(status, body, headers, expected=expected)
    for result in (reply, *reply.results):
        assert not result.final
        assert result.again in ("later", "never", "after_repair")
        assert result.retry_after_s is None or 0 <= result.retry_after_s < 1e12
        assert isinstance(result.text, str)
        assert isinstance(result.blame, str)
        assert all(isinstance(error, dict) for error in result.errors)
        assert all(isinstance(text, str) for text in (*result.codes, *result.added, *result.changed))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("Sun, 22 Nov 2026 06:32:30 GMT", 90),
        ("Sun, 22 Nov 2026 07:32:00 +0100", 60),
        ("Sun, 22 Nov 2026 06:00:00 GMT", 0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1e3", None),
        ("Sun, 22 Nov 2026 06:32:30", None),
        ("99999999999", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    """Retry-After is a number of seconds or a date."""
    for body in (REJECTED, b"<html>"):
        assert read(503, body, {"retry-after": text}).retry_after_s == seconds


@pytest.mark.parametrize(("said", "seconds"), [(60, 60), (0, 0), (-1, None), (True, None), ("60", None), (1e12, None)])
def test_retry_after_of_a_problem(said: object, seconds: float | None) -> None:
    """The pause in a problem wins over the header."""
    assert read(503, REJECTED | {"retry_after_s": said}, {"retry-after": "7"}).retry_after_s == seconds


def test_repr() -> None:
    """No repr holds a measurement or a key."""
    reply = read(207, {"results": [REJECTED, RECEIPT]})
    shown = f"{reply!r} {reply.results!r} {Target('http://scale.lan', SecretStr(KEY))!r}"
    assert "81" not in shown
    assert KEY not in shown
    assert "reading-rejected" in shown


def test_own_problem() -> None:
    """A problem that a caller makes is like one of the function."""
    result = Result(
        problem("not-a-reading", "The message is not a reading", "It is a list.", blame="caller", again="never")
    )
    assert (result.kind, result.again, result.text) == (
        "not-a-reading",
        "never",
        "The message is not a reading. It is a list.",
    )


# --- where the function is ---


def test_settings_from_files(tmp_path: Path) -> None:
    """Address and key can come from files."""
    (tmp_path / "url").write_text("http://scale.lan:8080/\n")
    (tmp_path / "key").write_text(f"{KEY}\n")
    files = {"WEIGHBRIDGE_URL_FILE": str(tmp_path / "url"), "WEIGHBRIDGE_KEY_FILE": str(tmp_path / "key")}
    assert read_target(files) == Target("http://scale.lan:8080", SecretStr(KEY))


def test_key_of_this_machine(tmp_path: Path) -> None:
    """A function on this machine gets this machine's key, unless another is set; one elsewhere never does. The function
    may start after the program that calls it, and make the key then."""
    path = tmp_path / "key"
    here = {"WEIGHBRIDGE_LOCAL_KEY": str(path)}
    targets = [read_target(here | {"WEIGHBRIDGE_URL": f"http://{name}:8080"}) for name in ("localhost", "[::1]")]
    targets.append(read_target(here))
    assert targets[-1].url == "http://127.0.0.1:8080"
    assert [target.headers() for target in targets] == [{}] * 3
    for _ in range(2):
        bearer = {"Authorization": f"Bearer {local_key(path).get_secret_value()}"}
        assert [target.headers() for target in targets] == [bearer] * 3
        path.unlink()
    assert read_target(here | {"WEIGHBRIDGE_KEY": KEY}).headers() == {"Authorization": f"Bearer {KEY}"}
    local_key(path)
    assert read_target(here | {"WEIGHBRIDGE_URL": "http://scale.lan:8080"}).headers() == {}
    assert read_target(here | {"WEIGHBRIDGE_URL": "http://localhost.example.org"}).headers() == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEIGHBRIDGE_URL", "planted:8080"),
        ("WEIGHBRIDGE_URL", "ftp://planted"),
        ("WEIGHBRIDGE_URL", "http://user:planted@scale.lan"),
        ("WEIGHBRIDGE_URL", "http://scale.lan?key=planted"),
        ("WEIGHBRIDGE_KEY", "planted key"),
        ("WEIGHBRIDGE_KEY", "planted-ü"),
        ("WEIGHBRIDGE_KEY", "planted\n-"),
        ("WEIGHBRIDGE_KEY_FILE", "/nowhere/planted"),
    ],
)
def test_invalid_settings(name: str, value: str) -> None:
    """An invalid address or key is reported by its variable, and not repeated."""
    with pytest.raises(SettingsInvalid, match=name) as fault:
        read_target({name: value})
    assert "planted" not in str(fault.value)


# --- over the wire ---


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The real function, which keeps files, and wants a key."""
    folder = tmp_path_factory.mktemp("kept")
    with process({"WEIGHBRIDGE_FOLDER": folder, "WEIGHBRIDGE_API_KEYS": f"test={KEY}"}) as (address, _):
        yield Target(address, SecretStr(KEY))


def test_every_call(target: Target) -> None:
    """The function understands every call of the client."""
    with Client(target) as client:
        assert client.health().body["delivery"]["ready"] is True
        assert (client.post(READING, dry_run=True).status, client.post(READING).status) == ("checked", "kept")
        assert client.post(READING.replace("81.4", "814")).kind == "reading-rejected"
        lines = client.post_lines([READING.encode(), b"{}", b"81,4"], dry_run=True)
        assert [result.kind or result.status for result in lines.results] == [
            "checked",
            "reading-rejected",
            "not-json",
        ]
        assert [result.status for result in client.post(f"[{READING}, {READING}]", dry_run=True).results] == [
            "checked"
        ] * 2
        fit = client.fit(READING)
        assert fit.content[8:12] == b".FIT"
        assert fit.file_name.endswith(".fit")
        # It has no such weigh-in and no people configured, and says so.
        assert client.readings("2026-11-01", "2026-11-23").body["source"] == "folder"
        assert client.delete("1 2").kind == "not-found"
        assert client.readings("2026-11-01", "2026-11-23", person="Anna & Co").kind == "not-found"
        assert client.delete("12", person="Anna").kind == "not-found"


def test_async_client(target: Target) -> None:
    """The async client gives the same results."""

    async def ask() -> tuple[Reply, Reply]:
        async with AsyncClient(target) as client:
            return await client.post(READING), await client.post(READING.encode(), replace=True)

    assert [reply.status for reply in asyncio.run(ask())] == ["kept", "kept"]


def test_wrong_key(target: Target) -> None:
    """A wrong key is a problem that the owner can fix."""
    with Client(target._replace(key=SecretStr("another-planted-key"))) as client:
        reply = client.post(READING)
    assert (reply.kind, reply.again) == ("unauthorized", "after_repair")
    assert "planted" not in f"{reply!r} {reply.body}"


def test_half_a_character(target: Target) -> None:
    """Half a character is refused by the function, and raises nothing."""
    with Client(target) as client:
        assert client.post('{"weight": 81.4, "person": "\ud83d"}').again == "never"
        assert not client.readings("\ud83d", "", person="\ud83d").ok
        assert not client.delete("\ud83d").ok


@contextmanager
def server_that_says(said: bytes) -> Iterator[Target]:
    """A server that answers each connection with these bytes, once a request has come."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65_536)
                    connection.sendall(said)

        thread = threading.Thread(target=serve)
        thread.start()
        yield Target(f"http://127.0.0.1:{listener.getsockname()[1]}", SecretStr(KEY))
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


CUT = {
    "nothing": b"",
    "not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "less than announced": b"HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n" + json.dumps(RECEIPT).encode(),
    "half a chunk": b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{",
    "a broken compression": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
}


@pytest.mark.parametrize("said", CUT.values(), ids=CUT)
def test_incomplete_response(said: bytes) -> None:
    """A response that breaks off is a problem, and the reading may be sent again."""

    async def ask(target: Target) -> Reply:
        async with AsyncClient(target) as client:
            return await client.post(READING)

    with server_that_says(said) as target, Client(target) as client:
        replies = [client.post(READING), asyncio.run(ask(target))]
    for reply in replies:
        assert (reply.kind, reply.again, reply.http_status) == ("no-answer", "later", 0)
        assert "no complete response" in reply.text
        assert "81.4" not in reply.text


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"307 Temporary Redirect", b"308 Permanent Redirect"])
def test_redirect(status: bytes) -> None:
    """The key is not sent to the address of a redirect."""
    with server_that_says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as elsewhere:
        head = b"HTTP/1.1 " + status + b"\r\nLocation: " + elsewhere.url.encode() + b"\r\nContent-Length: 0\r\n\r\n"
        with server_that_says(head) as target, Client(target) as client:
            reply = client.post(READING)
    assert (reply.kind, reply.http_status) == ("not-the-function", int(status[:3]))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{port}", "http://not a host", "http://ü..ü", "http://no-such-host.invalid"]
)
def test_unreachable(url: str) -> None:
    """If nothing answers, the message names the address and what to do."""
    address = url.format(port=free_port())
    with Client(Target(address, SecretStr(KEY))) as client:
        reply = client.post(READING)
    assert (reply.kind, reply.again, reply.blame) == ("no-answer", "later", "owner")
    assert f"The function at {address} cannot be reached" in reply.text
    assert "weighbridge serve" in reply.text
    assert KEY not in f"{reply!r} {reply.body}"
