"""The whole bridge: a functions-framework process of its own, garth over real TLS, and the stand-in for Garmin.

Claims: one reading is one weigh-in, however often and however badly it is sent; every final answer is true.
"""

from __future__ import annotations

import contextlib
import json
import random
import selectors
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.parts.probe import ANSWER_WITHIN_S, Probe
from tests.function_client import local_headers, process
from tests.garmin.server import GarminStandIn
from tests.ports import free_port
from weighbridge.delivery.kept import kept_files
from weighbridge.http.app import DELIVERIES_WAITING

EXAMPLES = Path(__file__).parents[2] / "examples"
READING = json.loads((EXAMPLES / "fitdays.json").read_bytes()) | {"measured_at": "2026-11-22T06:31:00Z"}


@pytest.fixture
def environment(garmin: GarminStandIn, tmp_path: Path) -> dict[str, object]:
    garmin.write_token(tmp_path / "tokens")
    return {
        "WEIGHBRIDGE_DELIVERY": "garth",
        "WEIGHBRIDGE_TOKENS": tmp_path / "tokens",
        "WEIGHBRIDGE_CONFIRM_SECONDS": 5,
        "GARMIN_DOMAIN": garmin.domain,
        "GARMIN_CA_BUNDLE": garmin.ca_bundle,
    }


def call(address: str, payload: object = None, *, method: str = "POST", timeout_s: float = 60) -> tuple[int, Any]:
    body = None if payload is None else json.dumps(payload).encode()
    request = urllib.request.Request(
        address, data=body, method=method, headers={"Content-Type": "application/json", **local_headers()}
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as e:
        with e:
            return e.code, json.loads(e.read() or b"null")


def test_nine_values_arrive(garmin: GarminStandIn, environment: dict[str, object]) -> None:
    """The nine values of the Fitdays app arrive in Garmin and are read back."""
    with process(environment) as (address, _):
        status, receipt = call(address, READING)
        assert (status, receipt["status"]) == (201, "confirmed")
        (held,) = garmin.weigh_ins()
        assert (held["weight"], held["bodyFat"], held["bodyWater"]) == (81400.0, 18.2, 56.39)
        assert (held["boneMass"], held["muscleMass"], held["visceralFat"]) == (3400, 63200, 7)
        assert receipt["garmin"]["weight_kg"] == 81.4

        status, again = call(address, READING)
        assert (status, again["status"]) == (200, "present")
        assert garmin.uploads_received == 1

        status, listed = call(f"{address}/readings?from=2026-11-22&to=2026-11-22", method="GET")
        (entry,) = listed["readings"]
        assert status == 200
        assert entry["body_water_percent"] == 56.39
        assert entry["measured_at"] == "2026-11-22T06:31:00Z"

        assert call(f"{address}/readings/{entry['id']}", method="DELETE")[0] == 204
        assert garmin.weigh_ins() == []
        assert call(f"{address}/readings/{entry['id']}", method="DELETE")[0] == 404


def test_correction_needs_replace(garmin: GarminStandIn, environment: dict[str, object]) -> None:
    """A correction is a conflict until the caller asks to replace."""
    right = {"weight_kg": 80.9, "measured_at": READING["measured_at"]}
    with process(environment) as (address, _):
        call(address, READING)
        status, conflict = call(address, right)
        assert status == 409
        assert conflict["ours"]["weight_kg"] == 80.9
        assert conflict["theirs"][0]["weight_kg"] == 81.4
        assert len(garmin.weigh_ins()) == 1

        status, receipt = call(f"{address}?replace=true", right)
        assert (status, receipt["status"]) == (201, "confirmed")
        assert [held["weight"] for held in garmin.weigh_ins()] == [80900.0]


def test_accepted_then_present(garmin: GarminStandIn, environment: dict[str, object]) -> None:
    """A reading that Garmin shows only later is accepted, then present."""
    garmin.weights.show_delay_s = 3
    with process(environment | {"WEIGHBRIDGE_CONFIRM_SECONDS": 0.5}) as (address, _):
        status, receipt = call(address, READING)
        assert (status, receipt["status"]) == (202, "accepted")
        wait_until(lambda: len(garmin.weigh_ins()) == 1)
        assert call(address, READING)[1]["status"] == "present"


def test_several_are_one_upload(garmin: GarminStandIn, environment: dict[str, object]) -> None:
    """Several readings are one upload, and each is confirmed."""
    readings = [{"weight_kg": 80 + day / 10, "measured_at": 1_760_000_000 + 86_400 * day} for day in range(20)]
    with process(environment) as (address, _):
        status, answer = call(f"{address}/readings", readings)
        assert status == 200
        assert {result["status"] for result in answer["results"]} == {"confirmed"}
        assert (garmin.uploads_received, len(garmin.weigh_ins())) == (1, 20)


def test_kept_without_a_sign_in(garmin: GarminStandIn, environment: dict[str, object], tmp_path: Path) -> None:
    """Without a sign-in the file is kept, and the receipt names the reason."""
    garmin.revoke()
    garmin.expire_access_tokens()
    chain = {"WEIGHBRIDGE_DELIVERY": "garth,folder", "WEIGHBRIDGE_FOLDER": tmp_path / "kept"}
    with process(environment | chain) as (address, _):
        status, receipt = call(address, READING)
        assert (status, receipt["status"]) == (202, "kept")
        (warning,) = receipt["warnings"]
        assert warning["code"] == "fell-back"
        assert "weighbridge login" in warning["text"]
        assert len(kept_files(tmp_path / "kept")) == 1
    with process(environment) as (address, _):
        status, fault = call(address, READING)
        assert (status, fault["type"]) == (503, "urn:weighbridge:sign-in-needed")


def test_100_posts_are_one_weigh_in(garmin: GarminStandIn, environment: dict[str, object]) -> None:
    """100 posts from 8 threads are one weigh-in although a third of Garmin's answers are lost.

    Every post ends with a true answer; a 504 or 503 is sent again, as the contract says it may.
    """
    for route in ("upload", "weight"):
        garmin.faults.add(route, "drop-within" if route == "upload" else "drop-before", times=None, probability=1 / 3)
    finals: list[str] = []

    def post_until_final(_: int) -> None:
        deadline = time.monotonic() + 100
        while time.monotonic() < deadline:
            status, answer = call(address, READING)
            if status < 400:
                finals.append(answer["status"])
                return
            assert status in (503, 504), answer
        pytest.fail("no final answer within 100 s")

    with process(environment | {"WEIGHBRIDGE_CONFIRM_SECONDS": 2}) as (address, _), ThreadPoolExecutor(8) as pool:
        list(pool.map(post_until_final, range(100)))
    assert len(finals) == 100
    assert set(finals) <= {"confirmed", "present", "accepted"}
    assert len(garmin.weights.entries) == 1


def test_killed_and_sent_again(garmin: GarminStandIn, environment: dict[str, object]) -> None:
    """Killed at any moment, then sent again to a new process, a reading is one weigh-in.

    kill -9 comes between the first byte in and the last byte out.
    """
    dice = random.Random(20261123)
    garmin.weights.show_delay_s = 0.05
    for day in range(1, 9):
        reading = READING | {"measured_at": f"2026-11-{day:02}T06:31:00Z"}
        with process(environment) as (address, running):
            call(f"{address}/readings?from=2026-11-01&to=2026-11-01", method="GET")  # garth is imported by now
            sent = threading.Thread(target=ignoring_failure(lambda a=address, r=reading: call(a, r)))
            sent.start()
            time.sleep(dice.uniform(0, 0.12))
            running.kill()
            sent.join()
        with process(environment) as (address, _):
            status, receipt = call(address, reading)
        assert status in (200, 201), receipt
        assert len(garmin.weights.entries) == day


def ignoring_failure(function: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        with contextlib.suppress(OSError):  # that the connection broke is the point
            function()

    return run


def test_nothing_private_leaks(garmin: GarminStandIn, environment: dict[str, object], tmp_path: Path) -> None:
    """Neither a secret nor a measurement is in the log, or in the answer to a fault."""
    token = json.loads((tmp_path / "tokens" / "default.json").read_text())
    secrets = [token["access_token"], token["refresh_token"], "a-planted-key-of-letters"]
    measurements = ["77.77", "7777", "77770"]
    reading = {"weight_kg": 77.77, "measured_at": "2026-11-22T06:31:00Z"}
    keyed = environment | {"WEIGHBRIDGE_API_KEYS": f"home={secrets[2]}", "WEIGHBRIDGE_CONFIRM_SECONDS": 0}
    said: list[str] = []
    with process(keyed) as (address, running):
        for fault in (
            "",
            "500",
            "403-cloudflare",
            "drop-within",
            "firewall-html",
            "429-retry-after",
            "409",
            "truncated-json",
        ):
            if fault:
                garmin.faults.add("upload", fault)
            request = urllib.request.Request(
                address, json.dumps(reading).encode(), {"Authorization": f"Bearer {secrets[2]}"}
            )
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    answer.read()
            except urllib.error.HTTPError as e:
                with e:
                    said.append(e.read().decode())
        running.stop()
        log = running.log()
    assert log.count("\n") >= 8
    for planted in [*secrets, *measurements]:
        assert planted not in log
        assert planted not in "".join(said)
    assert all("77.77" not in request.path for request in garmin.requests)


def test_request_in_flight_is_finished(garmin: GarminStandIn, environment: dict[str, object]) -> None:
    """A request in flight is finished when the function is asked to stop."""
    garmin.faults.add("upload", "slow", delay_s=1.0)
    with process(environment) as (address, running):
        results: list[tuple[int, Any]] = []
        sent = threading.Thread(target=lambda: results.append(call(address, READING)))
        sent.start()
        wait_until(lambda: garmin.uploads_received == 1)
        running.stop()
        sent.join()
    assert results[0][0] == 201


def head() -> bytes:
    """The beginning of a POST, up to the fields that say how long its body is."""
    return f"POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: {local_headers()['Authorization']}\r\n".encode()


def test_slow_body_is_limited() -> None:
    """A chunked body, which has no length, is limited while it is read."""
    port = free_port()
    with process({}, port=port), socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head() + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        answer = b""
        try:
            for _ in range(17):
                connection.sendall(chunk)
            connection.sendall(b"0\r\n\r\n")
            answer = connection.recv(4096)
        except ConnectionError:
            answer = answer or connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("framing", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
def test_stalled_sender_gets_408(framing: bytes, tmp_path: Path) -> None:
    """A sender that stops in the middle of a body gets 408, and holds up nobody."""
    port = free_port()
    with process({"WEIGHBRIDGE_FOLDER": tmp_path}, port=port), ExitStack() as stack:
        waiting = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(20)]
        for connection in waiting:
            connection.sendall(head() + framing + b"\r\n\r\n5\r\n{")
        status, _ = call(f"http://127.0.0.1:{port}", READING)
        answers = [connection.makefile("rb").read() for connection in waiting]
    assert status == 202
    assert all(answer.startswith(b"HTTP/1.1 408") and b"urn:weighbridge:too-slow" in answer for answer in answers)


def test_waiting_for_garmin_starves_nobody(
    garmin: GarminStandIn, environment: dict[str, object], figure: Callable[[str], None]
) -> None:
    """While 100 readings wait for a Garmin that takes 25 s, all that delivers nothing is answered."""
    garmin.faults.add("weight", "slow", times=100, delay_s=25.0)
    port = free_port()
    body = json.dumps(READING).encode()
    with process(environment, port=port) as (address, running), ExitStack() as stack:
        for _ in range(100):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.sendall(head() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        probe = Probe(address)
        for _ in range(100):
            probe.ask()
            assert call(address, {"weight": "heavy"}, timeout_s=ANSWER_WITHIN_S)[0] == 422
        running.kill()
    figure(probe.figure("the wait of 100 readings for a slow Garmin"))


def test_full_queue(garmin: GarminStandIn, environment: dict[str, object]) -> None:
    """A delivery that finds the queue full is refused at once, and nothing of it is sent to Garmin."""
    garmin.faults.add("weight", "slow", times=None, delay_s=600.0)
    taken, refused = 1 + DELIVERIES_WAITING, 40
    port = free_port()
    with (
        process(environment | {"WEIGHBRIDGE_DELIVERIES_AT_ONCE": 1}, port=port) as (address, running),
        ExitStack() as stack,
        selectors.DefaultSelector() as selector,
    ):
        for number in range(taken + refused):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            body = json.dumps(READING | {"measured_at": 1_760_000_000 + 86_400 * number}).encode()
            connection.sendall(
                head() + b"Connection: close\r\n" + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
            )
            selector.register(connection, selectors.EVENT_READ)
        probe = Probe(address)
        for _ in range(refused):
            (key, _), *_ = selector.select(60)
            selector.unregister(key.fileobj)
            response = key.fileobj.makefile("rb").read()  # type: ignore[union-attr]
            fields, _, problem = response.partition(b"\r\n\r\n")
            assert fields.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 5\r\n" in fields.lower() + b"\r\n"
            assert (json.loads(problem)["type"], json.loads(problem)["again"]) == ("urn:weighbridge:busy", "later")
        for _ in range(20):
            probe.ask()
        wait_until(lambda: bool(garmin.requests))
        assert selector.select(0) == [], "the ones that were taken are still waiting"
        running.kill()
    assert [request.route for request in garmin.requests] == ["weight/range"], "only the first has asked Garmin"
    assert garmin.uploads_received == 0


def wait_until(condition: Callable[[], bool], within_s: float = 20) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("what was awaited did not happen")
        time.sleep(0.01)
