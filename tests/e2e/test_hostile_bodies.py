"""Bodies made to break the function: real ones with anything in them changed, and anything that Hypothesis makes.

Strategy: most go to the application in this process, as a server calls it, and some through a real socket. The changes
are drawn from a fixed seed, so a body that fails once fails again.
"""

from __future__ import annotations

import copy
import gzip
import http.client
import json
import random
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers

from tests.changes import PLANTED, SECRET, VALUES, damaged, with_change
from tests.e2e.test_serve import answer_of, serving
from tests.function_client import Answer, FunctionClient, client_of, local_headers
from tests.ports import free_port
from tests.test_bodies import DOCUMENTS
from tests.test_payloads import PEOPLE, REFUSED, TAKEN, WARNED
from weighbridge.http.app import Shell

EXAMPLES = Path(__file__).parents[2] / "examples"
#: Changed in this process, changed and sent through a socket, and made by Hypothesis: JSON, and bytes.
SIZES = CHANGED, THROUGH_A_SOCKET, ANY_JSON, ANY_BYTES = 10_000, 1_000, 1_000, 500
PARTS = 8

#: All that a line of the log may have, and only this.
IN_THE_LOG = {"severity", "method", "route", "key", "status", "duration_ms", "fault"}
STATUSES = {"checked", "present", "taken_back", "nothing", "accepted", "kept"}


class Body(NamedTuple):
    content: bytes
    media_type: str = "application/json"
    headers: Mapping[str, str] = {}


def real_bodies() -> list[object]:
    """Every shape of the examples and of the tests of payloads."""
    examples = [json.loads(path.read_bytes()) for path in sorted(EXAMPLES.glob("*.json"))]
    lines = [json.loads(line) for line in (EXAMPLES / "history.ndjson").read_text().splitlines()[:3]]
    rows = [row[0] for rows in (TAKEN, REFUSED, WARNED) for row in rows]
    return [*examples, lines, *rows]


REAL = real_bodies()
SIGN_IN: tuple[object, ...] = (
    {"email": f"{SECRET}@example.com", "password": SECRET},
    {"state": SECRET, "code": "123456"},
    {"ticket": f"ST-{SECRET}"},
)
SIGN_INS = 500
KEY = "a-key-of-sixteen-letters"


# -- changes ---------------------------------------------------------------------------------------------


def changed(dice: random.Random) -> Body:
    """A real body with one to three changes, in one of the forms in which bodies come; some are damaged, too."""
    document = copy.deepcopy(dice.choice(REAL))
    for _ in range(dice.randint(1, 3)):
        document = with_change(document, dice)
    body = dice.choice(FORMS)(document, dice)
    content = damaged(body.content, dice, dice.choice([*(6 * (0,)), 1, 3]))
    if dice.random() < 0.05:
        return body._replace(content=gzip.compress(content), headers={**body.headers, "content-encoding": "gzip"})
    if dice.random() < 0.02:
        return body._replace(content=content, headers={**body.headers, "content-encoding": "gzip"})
    return body._replace(content=content)


def as_json(document: object) -> bytes:
    return json.dumps(document).encode()


def ndjson(document: object, dice: random.Random) -> Body:
    others = [dice.choice(REAL) for _ in range(dice.randint(0, 3))]
    return Body(b"\n".join(map(as_json, [*others, document])), "application/x-ndjson")


def as_event(document: object, dice: random.Random) -> Body:
    event = {"specversion": "1.0", "type": "t", "source": "/s", "id": "1", "data": document}
    event |= {"time": dice.choice(VALUES)} if dice.random() < 0.3 else {}
    return Body(as_json(event), "application/cloudevents+json")


def as_event_in_headers(document: object, dice: random.Random) -> Body:
    time = dice.choice(["", "x", "2026-11-20T07:12:33Z", "9999-12-31T23:59:59-23:59", "0"])
    headers = {"ce-specversion": "1.0", "ce-type": "t", "ce-source": "/s", "ce-id": "1", "ce-time": time}
    return Body(as_json(document), "application/json", headers)


def as_push(document: object, _dice: random.Random) -> Body:
    return Body(as_json({"message": {"data": b64encode(as_json(document)).decode(), "messageId": "1"}}))


def as_form(document: object, _dice: random.Random) -> Body:
    fields = document if isinstance(document, dict) else {"weight": document}
    content = urlencode({str(name): str(value) for name, value in fields.items()}, errors="replace")
    return Body(content.encode(), "application/x-www-form-urlencoded")


def as_multipart(document: object, dice: random.Random) -> Body:
    fields = document if isinstance(document, dict) else {"weight": document}
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode(errors="replace")
        for name, value in fields.items()
    ]
    end = dice.choice([b"--x--\r\n", b"", b"--x"])
    return Body(b"".join(parts) + end, "multipart/form-data; boundary=x")


FORMS: tuple[Callable[[object, random.Random], Body], ...] = (
    *(3 * (lambda document, _: Body(as_json(document)),)),
    lambda document, dice: Body(as_json([document, dice.choice(REAL)])),
    lambda document, dice: Body(
        as_json(document), dice.choice(["", "text/plain", "text/json", "a/b", "application/json;"])
    ),
    *(ndjson, as_event, as_event_in_headers, as_push, as_form, as_multipart),
)


# -- the function ----------------------------------------------------------------------------------------


class Function:
    """The application with a log that is looked at."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.log: list[str] = []
        self.statuses = Counter[int]()
        self.client: FunctionClient = client_of(Shell(environment, self.log.append))

    def post(self, body: Body, address: str) -> None:
        answer = self.client.post(address, data=body.content, content_type=body.media_type, headers=body.headers)
        check(answer, address)
        self.statuses[answer.status_code] += 1

    def check_log(self, requests: int) -> None:
        assert len(self.log) == requests
        for line in self.log:
            check_line(line)


@pytest.fixture(params=["one person", "several people"])
def function(request: pytest.FixtureRequest, tmp_path: Path) -> Function:
    environment = {"WEIGHBRIDGE_FOLDER": str(tmp_path / "kept"), "WEIGHBRIDGE_TIMEZONE": "Europe/Berlin"}
    if request.param == "several people":
        (tmp_path / "people.toml").write_text(PEOPLE)
        environment["WEIGHBRIDGE_PEOPLE"] = str(tmp_path / "people.toml")
    return Function(environment)


ADDRESSES = (*(6 * ("/?dry_run=true",)), "/fit", "/", "/readings?replace=true", "/?dry_run=true&pretty=true")


def check(answer: Answer, address: str) -> None:
    """Whatever came: a file, receipts, or a problem that blames the caller."""
    assert answer.status_code < 500, answer.text
    if answer.mimetype == "application/vnd.ant.fit":
        assert address == "/fit"
        assert answer.data[8:12] == b".FIT"
        return
    kind = "application/problem+json" if answer.status_code >= 400 else "application/json"
    assert answer.mimetype == kind
    check_entry(answer.json)


def check_entry(entry: dict[str, Any]) -> None:
    if "results" in entry:
        for each in entry["results"]:
            check_entry(each)
    elif "type" in entry:
        assert entry["type"].startswith("urn:weighbridge:")
        assert (entry["blame"], 400 <= entry["status"] < 500) == ("caller", True), entry
        assert entry["again"] in ("never", "after_repair")
        assert entry["detail"]
    else:
        assert entry["status"] in STATUSES
        assert isinstance(entry["final"], bool)


def check_line(line: str) -> None:
    entry = json.loads(line)
    assert entry.keys() <= IN_THE_LOG, line
    assert entry["severity"] != "ERROR"
    assert not [planted for planted in PLANTED if planted in line], line


@pytest.mark.parametrize("part", range(PARTS))
def test_changed_bodies(function: Function, part: int) -> None:
    """Real bodies with anything changed are receipts or problems of the caller, and nothing private is in the log."""
    dice = random.Random(part)
    count = CHANGED // PARTS // 2
    for _ in range(count):
        function.post(changed(dice), dice.choice(ADDRESSES))
    function.check_log(count)
    assert {200, 207, 400, 415, 422} <= function.statuses.keys(), "bodies of every kind came"
    assert function.statuses[200] > count / 20


def test_any_json(tmp_path: Path) -> None:
    """Any JSON is receipts or a problem of the caller, and nothing private is in the log."""
    function = Function({"WEIGHBRIDGE_FOLDER": str(tmp_path / "kept")})

    @settings(max_examples=ANY_JSON, database=None)
    @given(document=DOCUMENTS, dice=st.integers(0, 2**32))
    def post(document: object, dice: int) -> None:
        body = random.Random(dice).choice(FORMS)(json.loads(json.dumps(document, default=str)), random.Random(dice))
        function.post(body, random.Random(dice).choice(ADDRESSES))

    post()
    assert len(function.log) >= ANY_JSON
    function.check_log(len(function.log))


def test_any_bytes(tmp_path: Path) -> None:
    """Any bytes of any type are receipts or a problem of the caller."""
    function = Function({"WEIGHBRIDGE_FOLDER": str(tmp_path / "kept")})
    kinds = st.sampled_from(["application/json", "application/x-ndjson", "multipart/form-data; boundary=x", "", "a/b"])

    @settings(max_examples=ANY_BYTES, database=None)
    @given(content=st.binary(), media_type=kinds | st.text(st.characters(codec="latin-1", exclude_categories=["Cc"])))
    def post(content: bytes, media_type: str) -> None:
        function.post(Body(content, media_type), "/")

    post()
    assert len(function.log) >= ANY_BYTES
    function.check_log(len(function.log))


def test_sign_in(tmp_path: Path) -> None:
    """A body of `POST /sign-in` with anything changed blames the caller, or Garmin, which is away here. Neither the
    answer nor the log repeats anything of it."""
    log: list[str] = []
    environment = {"WEIGHBRIDGE_DELIVERY": "garth", "WEIGHBRIDGE_TOKENS": str(tmp_path), "GARMIN_DOMAIN": "127.0.0.1:1"}
    environment["WEIGHBRIDGE_API_KEYS"] = f"admin:administer={KEY}"
    statuses = set()
    function = client_of(Shell(environment, log.append))
    dice = random.Random("sign-in")
    for _ in range(SIGN_INS):
        document = with_change(copy.deepcopy(dice.choice(SIGN_IN)), dice)
        content = damaged(as_json(document), dice, dice.choice([0, 0, 1]))
        answer = function.post("/sign-in", data=content, content_type="application/json", headers={"X-API-Key": KEY})
        assert 400 <= answer.status_code < 500 or answer.status_code == 503, answer.text
        assert answer.json["blame"] == ("garmin" if answer.status_code == 503 else "caller"), answer.text
        assert SECRET not in answer.text
        statuses.add(answer.status_code)
    assert {400, 422, 503} <= statuses
    assert not [line for line in log if SECRET in line or json.loads(line).keys() - IN_THE_LOG]


def test_through_a_socket(tmp_path: Path) -> None:
    """Through the server and its socket it is the same, and the server lives."""
    port = free_port()
    dice = random.Random("socket")
    with serving(tmp_path, "--port", str(port), WEIGHBRIDGE_FOLDER=tmp_path / "kept") as process:
        answer_of(f"http://127.0.0.1:{port}", process)
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            for _ in range(THROUGH_A_SOCKET):
                body, address = changed(dice), dice.choice(ADDRESSES)
                kind = {"content-type": body.media_type} if body.media_type else {}
                connection.request("POST", address, body.content, {**local_headers(), **kind, **body.headers})
                response = connection.getresponse()
                check(Answer(response.status, Headers(dict(response.getheaders())), response.read()), address)
        assert process.poll() is None
    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines) > THROUGH_A_SOCKET
    for line in lines:
        check_line(line)
    assert not [planted for planted in PLANTED if planted in (tmp_path / "said").read_text()]
