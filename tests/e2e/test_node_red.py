"""A real Node-RED with the shipped flow: its branches, and what it must not send."""

from __future__ import annotations

import http.server
import json
import re
import shlex
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from tests.e2e.parts import find_program, wait_until
from tests.e2e.parts.mosquitto import Mosquitto, mosquitto
from tests.e2e.parts.node_red import FLOW, ROOT, WEBHOOK_KEY, NodeRed, node_red
from tests.function_client import Running, process
from tests.garmin.server import GarminStandIn
from tests.ports import free_port

KEY = "the-secret-key-of-this-test"
READING = {"weight": "81.4 kg", "body fat": "18.2 %"}
CONFIRMED, KEPT, REJECTED, LATER = "confirmed in Garmin", "kept: import by hand", "rejected", "later"
WHOSE = "whose is it?"


class House:
    def __init__(self, folder: Path, garmin: GarminStandIn, stack: ExitStack) -> None:
        self.garmin, self._stack, self.folder = garmin, stack, folder
        self.broker: Mosquitto = stack.enter_context(mosquitto())
        garmin.write_token(folder / "tokens")
        self.port = free_port()
        self.function: Running | None = None

    def start_function(self, delivery: str = "garth", **more: object) -> None:
        environment = {
            "WEIGHBRIDGE_DELIVERY": delivery,
            "WEIGHBRIDGE_FOLDER": self.folder / "weigh-ins",
            "WEIGHBRIDGE_TOKENS": self.folder / "tokens",
            "WEIGHBRIDGE_API_KEYS": f"house={KEY}",
            # The readings of these tests are equal and lie seconds apart. Each is to be a weigh-in of its own.
            "WEIGHBRIDGE_JOIN_SECONDS": "0",
            "GARMIN_DOMAIN": self.garmin.domain,
            "GARMIN_CA_BUNDLE": self.garmin.ca_bundle,
            **more,
        }
        self.function = self._stack.enter_context(process(environment, port=self.port))[1]

    def start_node_red(self, key: str = KEY, *, flow: str = "", in_the_tab: bool = False, **more: str) -> NodeRed:
        """`in_the_tab`: with its settings in the properties of the flow's tab, not in its environment."""
        folder = self.folder / "node-red"
        folder.mkdir()
        settings = {
            "WEIGHBRIDGE_URL": f"http://127.0.0.1:{self.port}",
            "WEIGHBRIDGE_KEY": key,
            "WEIGHBRIDGE_TOPIC": "scale/#",
            "MQTT_HOST": "127.0.0.1",
            "MQTT_PORT": str(self.broker.port),
            **more,
        }
        nodes = json.loads(flow or FLOW.read_text())
        if in_the_tab:
            (tab,) = (node for node in nodes if node["type"] == "tab")
            written = {name: {"name": name, "value": value, "type": "str"} for name, value in settings.items()}
            tab["env"] = [written.get(variable["name"], variable) for variable in tab["env"]]
        red = self._stack.enter_context(node_red(folder, json.dumps(nodes), **({} if in_the_tab else settings)))
        self.wait_until_it_listens(1)
        return red

    def wait_until_it_listens(self, times: int) -> None:
        wait_until("Node-RED listens to the scale", lambda: self.broker.log().count("\tscale/# (QoS") >= times)

    def publish(self, reading: object, *, retain: bool = False) -> None:
        self.broker.publish("scale/anna", json.dumps(reading), retain=retain)

    def weigh_ins(self) -> list[int]:
        return [entry.instant_s for entry in self.garmin.weights.visible()]


@pytest.fixture
def house(tmp_path: Path, garmin: GarminStandIn) -> Iterator[House]:
    with ExitStack() as stack:
        yield House(tmp_path, garmin, stack)


def wait_for(red: NodeRed, branch: str, times: int = 1) -> str:
    wait_until(f"{branch!r} is shown", lambda: len(red.debugged(branch)) >= times)
    return str(red.debugged(branch)[-1]["payload"])


def wait_until_it_says_that_the_time_is_unknown(red: NodeRed) -> None:
    words = "not sent: the broker had kept it, and its time is unknown"
    wait_until("the verdict is grey", lambda: words in [status.get("text") for status in red.statuses("verdict")])


def test_reading_is_one_weigh_in_or_rejected(house: House) -> None:
    """A reading from MQTT or the webhook is one weigh-in. A wrong one is rejected, with the problem."""
    house.start_function()
    red = house.start_node_red()
    house.publish(READING | {"time": "2026-11-22T06:31:00Z"})
    assert wait_for(red, CONFIRMED) == "81.4 kg, 18.2 % fat: confirmed in Garmin Connect."
    assert red.post(json.dumps(READING | {"time": "2026-11-22T06:32:00Z"}).encode()) == 202
    wait_for(red, CONFIRMED, 2)
    house.publish(READING | {"time": "2026-11-22T06:33:00Z", "weight": "814 kg"})
    said = wait_for(red, REJECTED)
    assert said.startswith("The reading cannot be right.")
    assert "weight: 814 kg" in said
    for nonsense in (b"[1]", b'"text"', b'{"weight": 81.4', b"", b"\xff\x00"):
        assert red.post(nonsense) == 400
        house.broker.publish("scale/nonsense", nonsense)
    for count, nonsense in enumerate((b"{}", b'{"weight": "unavailable"}', b'{"weight": null}')):
        assert red.post(nonsense) == 422
        house.broker.publish("scale/nonsense", nonsense)
        assert "weight" in wait_for(red, REJECTED, 2 * count + 3)
    house.publish(READING | {"time": "2026-11-22T06:34:00Z"})
    wait_for(red, CONFIRMED, 3)
    assert len(house.weigh_ins()) == 3
    assert red.debugged(LATER) == []
    assert KEY not in red.log()
    assert WEBHOOK_KEY not in red.log()
    assert "81.4" not in red.log()


def test_unclear_person_is_asked_for(house: House) -> None:
    """A reading that may be two people's leaves through its own branch and waits, also through a restart. With the
    answer it goes to that person."""
    for token in ("anna", "ben"):
        house.garmin.write_token(house.folder / "tokens", token)
    house.start_function(WEIGHBRIDGE_PEOPLE=ROOT / "examples" / "people.toml")
    # What a user wires: the message is kept, and goes to "address and key" when the answer comes.
    keep = "if (msg.said) { context.set('asked', msg); return null; }"
    answer = "return { ...context.get('asked'), person: msg.payload.person };"
    of_the_user = (
        {"id": "phone", "type": "http in", "url": "/whose", "method": "post", "wires": [["asked", "thanks"]]},
        {"id": "thanks", "type": "http response", "wires": []},
        {"id": "asked", "type": "function", "outputs": 1, "func": keep + answer, "wires": [["weighbridge-request"]]},
    )
    nodes = json.loads(FLOW.read_text())
    (verdict,) = [node for node in nodes if node["id"] == "weighbridge-verdict"]
    next(wires for wires in verdict["wires"] if "weighbridge-whose" in wires).append("asked")
    red = house.start_node_red(
        flow=json.dumps([*nodes, *({**node, "z": "weighbridge", "name": "mine"} for node in of_the_user)])
    )
    assert red.post(json.dumps({"weight": 68, "time": "2026-11-22T06:31:00Z"}).encode()) == 202
    assert wait_for(red, WHOSE) == "Whose weigh-in is this? Anna or Ben?"
    red.stop()
    red.start()
    wait_for(red, WHOSE, 2)
    httpx.post(f"{red.address}/whose", json={"person": "Anna"}).raise_for_status()
    wait_for(red, CONFIRMED)
    assert [len(house.garmin.weights_of[owner].visible()) for owner in ("anna", "ben")] == [1, 0]


@pytest.mark.parametrize("key", [WEBHOOK_KEY, ""], ids=["key", "no key"])
def test_webhook_needs_its_key(house: House, key: str) -> None:
    """The webhook answers 401 without its own key, and 403 as long as none is set; nothing is sent."""
    house.start_function()
    red = house.start_node_red(WEIGHBRIDGE_WEBHOOK_KEY=key)
    wrong = ("", KEY, WEBHOOK_KEY[:-1], WEBHOOK_KEY + "x", WEBHOOK_KEY * 2)
    body = json.dumps(READING | {"time": "2026-11-22T06:31:00Z"}).encode()
    for headers in ({}, *({"X-API-Key": each} for each in wrong)):
        assert red.post(body, headers) == (401 if key else 403)
    assert red.post(body, {"Authorization": f"Bearer {WEBHOOK_KEY}"}) == (202 if key else 403)
    if key:
        wait_for(red, CONFIRMED)
    assert len(house.weigh_ins()) == (1 if key else 0)


def test_kept_file_leaves_through_its_branch(house: House) -> None:
    """A kept file leaves through the branch for kept files."""
    house.start_function("folder")
    red = house.start_node_red()
    house.publish(READING | {"time": "2026-11-22T06:31:00Z"})
    assert wait_for(red, KEPT) == "81.4 kg, 18.2 % fat: kept as a file for import by hand."


def test_page_curl_command_works(house: House) -> None:
    """The page's curl command gets the answer shown there, and makes a weigh-in."""
    house.start_function()
    red = house.start_node_red()
    found = re.search(r"^ *\$ (curl .*)\n *(.*)$", (FLOW.parent / "README.md").read_text(), re.MULTILINE)
    assert found
    command = found[1].replace("localhost:1880", red.address).replace("$WEIGHBRIDGE_WEBHOOK_KEY", WEBHOOK_KEY)
    _, *arguments = shlex.split(command)
    curl = find_program("curl", package="curl")
    answer = subprocess.run([curl, "-s", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout == found[2]
    assert wait_for(red, CONFIRMED) == "81.4 kg, 18.2 % fat: confirmed in Garmin Connect."
    assert len(house.weigh_ins()) == 1


def test_reading_waits_and_survives_a_restart(house: House) -> None:
    """While the function is away a reading waits, survives a restart, and is then sent once."""
    red = house.start_node_red()
    house.publish(READING)
    assert "did not answer" in wait_for(red, LATER, 2)
    received_at = red.debugged(LATER)[0]["reading"]["received_at"]
    red.stop()
    house.start_function()
    red.start()
    wait_for(red, CONFIRMED)
    house.publish(READING | {"time": "2026-11-22T06:34:00Z"})
    wait_for(red, CONFIRMED, 2)
    assert sorted(house.weigh_ins())[1:] == [int(datetime.fromisoformat(received_at).timestamp())]


def test_retry_after_of_garmin_is_honored(house: House, garmin: GarminStandIn) -> None:
    """The next attempt waits as long as Garmin asked for."""
    house.start_function()
    red = house.start_node_red()
    garmin.faults.add("upload", "429", retry_after=4)
    house.publish(READING | {"time": "2026-11-22T06:31:00Z"})
    wait_for(red, LATER)
    since = time.monotonic()
    wait_for(red, CONFIRMED)
    assert time.monotonic() - since > 3
    assert len(house.weigh_ins()) == 1


def test_kept_message_is_never_sent_as_of_now(house: House) -> None:
    """A message that the broker kept is sent with its own time or not at all, never with the current time."""
    house.start_function()
    house.broker.publish("scale/dated", json.dumps(READING | {"time": "2026-11-22T06:31:00Z"}), retain=True)
    house.broker.publish("scale/undated", json.dumps(READING), retain=True)
    red = house.start_node_red()
    wait_for(red, CONFIRMED)
    wait_until_it_says_that_the_time_is_unknown(red)
    red.stop()
    red.start()
    house.wait_until_it_listens(2)
    wait_for(red, CONFIRMED, 2)
    house.publish(READING | {"time": "2026-11-22T06:32:00Z"})
    wait_for(red, CONFIRMED, 3)
    assert len(house.weigh_ins()) == 2


def test_kept_message_waits_for_the_function(house: House) -> None:
    """A message that the broker kept waits for the function. It is then sent with its own time, or not at all."""
    house.broker.publish("scale/dated", json.dumps(READING | {"time": "2026-11-22T06:31:00Z"}), retain=True)
    house.broker.publish("scale/undated", json.dumps(READING), retain=True)
    red = house.start_node_red()
    assert "did not answer" in wait_for(red, LATER, 2)
    assert red.post(json.dumps(READING | {"time": "2026-11-22T06:32:00Z"}).encode()) == 202
    house.start_function()
    wait_for(red, CONFIRMED, 2)
    wait_until_it_says_that_the_time_is_unknown(red)
    assert sorted(house.weigh_ins()) == [
        int(datetime.fromisoformat(f"2026-11-22T06:3{minute}:00Z").timestamp()) for minute in (1, 2)
    ]
    red.stop()
    assert json.loads((house.folder / "node-red/context/weighbridge/flow.json").read_text())["waiting"] == []


@pytest.mark.parametrize(
    ("status", "answer"), [(501, b"<html>"), (404, b'{"again": "never"}'), (200, b'{"final": true}')]
)
def test_reading_waits_while_something_else_answers(house: House, status: int, answer: bytes) -> None:
    """A reading waits while another program answers at the function's address, even in words that the function uses."""

    class Other(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(answer)

    with http.server.HTTPServer(("127.0.0.1", house.port), Other) as not_our_answer:
        threading.Thread(target=not_our_answer.serve_forever, daemon=True).start()
        red = house.start_node_red()
        house.publish(READING)
        assert wait_for(red, LATER).startswith(f"Something else answered (HTTP {status}).")
        not_our_answer.shutdown()
    house.start_function()
    wait_for(red, CONFIRMED)
    assert len(house.weigh_ins()) == 1


def test_needed_sign_in_is_named_and_reading_waits(house: House, garmin: GarminStandIn) -> None:
    """A needed sign-in is named, in red, and the reading waits for it."""
    garmin.sign_in.revoke()
    garmin.sign_in.expire_access_tokens()
    house.start_function()
    red = house.start_node_red()
    house.publish(READING | {"time": "2026-11-22T06:31:00Z"})
    assert "login" in wait_for(red, LATER)
    wait_until("the node is red", lambda: "red" in [status.get("fill") for status in red.statuses("verdict")])
    garmin.write_token(house.folder / "tokens")
    red.stop()
    red.start()  # otherwise it waits for the hour that the function asked for
    wait_for(red, CONFIRMED)
    assert len(house.weigh_ins()) == 1


def test_wrong_key_is_named_and_reading_waits(house: House) -> None:
    """A wrong key is named, and the reading waits."""
    house.start_function()
    red = house.start_node_red(key="a-wrong-key")
    house.publish(READING | {"time": "2026-11-22T06:31:00Z"})
    assert wait_for(red, LATER).startswith("A key is needed.")
    assert house.weigh_ins() == []
    assert "a-wrong-key" not in red.log()


def test_settings_in_the_tab(house: House) -> None:
    """Who cannot give Node-RED an environment, as in its app, writes the settings into the properties of the tab."""
    house.start_function()
    red = house.start_node_red(in_the_tab=True)
    house.publish(READING | {"time": "2026-11-22T06:31:00Z"})
    wait_for(red, CONFIRMED)
    assert len(house.weigh_ins()) == 1
