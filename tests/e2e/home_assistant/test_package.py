"""A real Home Assistant with the shipped files: what becomes a weigh-in, and what must not."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.parts import free_port, wait_until
from tests.e2e.parts.home_assistant import CURRENT, ROOT, SHIPPED, HomeAssistant, home_assistant
from tests.e2e.parts.mosquitto import Mosquitto, mosquitto
from tests.function_client import Running, process
from tests.garmin.server import GarminStandIn
from weighbridge.delivery.kept import kept_files

KEY = "the-secret-key-of-this-test"
NINE = {
    "weight": "81.4 kg",
    "body fat": "18.2 %",
    "fat mass": "14.8 kg",
    "fat free body weight": "66.6 kg",
    "muscle mass": "63.2 kg",
    "Bone mass": "3.4 kg",
    "water weight": "45.9 kg",
    "subcutaneous fat": "16.1 %",
    "visceral fat": "7",
}
PAGE = (SHIPPED / "README.md").read_text()


def example(name: str) -> Any:
    """The example that the page marks with this name."""
    found = re.search(rf"<!-- {name} -->\n```(?:yaml|json)\n(.*?)```", PAGE, re.DOTALL)
    assert found, name
    return yaml.safe_load(found[1])


def automations() -> str:
    """The automations that the page describes. Notifications in Home Assistant replace those on the phone."""
    phone = json.dumps(example("example: phone"))
    assert "notify.mobile_app_your_phone" in phone
    return json.dumps(
        [
            {
                "id": "sensors",
                "use_blueprint": {
                    "path": "weighbridge/sensors.yaml",
                    "input": {
                        "weight": "sensor.scale_weight",
                        "body_fat": "sensor.scale_body_fat",
                        "bone_mass": "sensor.scale_bone_mass",
                    },
                },
            },
            {
                "id": "sleepy",
                "use_blueprint": {
                    "path": "weighbridge/sensors.yaml",
                    "input": {"weight": "sensor.sleepy_weight", "sleepy": True},
                },
            },
            {
                "id": "script",
                "trigger": {"platform": "event", "event_type": "somebody_weighed"},
                "action": example("example: script"),
            },
            {"id": "phone", **json.loads(phone.replace("mobile_app_your_phone", "persistent_notification"))},
        ]
    )


class House:
    """Broker, function, Garmin stand-in and Home Assistant, connected as the READMEs say."""

    def __init__(self, folder: Path, stack: ExitStack, *, delivery: str = "garth", **secrets: str) -> None:
        self._stack, self._delivery, self._folder = stack, delivery, folder
        self.garmin = stack.enter_context(GarminStandIn())
        self.broker: Mosquitto = stack.enter_context(mosquitto())
        self.tokens = folder / "tokens"
        self.garmin.write_token(self.tokens)
        self.port = free_port()
        self._function: Running | None = None
        self.start_function()
        home = folder / "home"
        home.mkdir()
        address = f"http://127.0.0.1:{self.port}"
        given = {
            "weighbridge_readings_url": f"{address}/readings",
            "weighbridge_health_url": f"{address}/health",
            "weighbridge_key": KEY,
            "weighbridge_topic": "scale/#",
            "weighbridge_entity": "bodymiscale.anna",
        }
        self.home: HomeAssistant = stack.enter_context(
            home_assistant(home, mqtt_port=self.broker.port, automations=automations(), **given | secrets)
        )
        self._listens = 0
        self.wait_until_it_listens()

    def wait_until_it_listens(self) -> None:
        self._listens += 1
        wait_until(
            "Home Assistant listens to the scale", lambda: self.broker.log().count("\tscale/# (QoS") >= self._listens
        )

    def start_function(self) -> None:
        environment = {
            "WEIGHBRIDGE_DELIVERY": self._delivery,
            "WEIGHBRIDGE_FOLDER": self._folder / "weigh-ins",
            "WEIGHBRIDGE_TOKENS": self.tokens,
            "WEIGHBRIDGE_API_KEYS": f"house={KEY}",
            # The readings of these tests are equal and lie seconds apart. Each is to be a weigh-in of its own.
            "WEIGHBRIDGE_JOIN_SECONDS": "0",
            "GARMIN_DOMAIN": self.garmin.domain,
            "GARMIN_CA_BUNDLE": self.garmin.ca_bundle,
        }
        self._function = self._stack.enter_context(process(environment, port=self.port))[1]

    def stop_function(self) -> None:
        assert self._function
        self._function.kill()

    def publish(self, reading: object, *, topic: str = "scale/anna", retain: bool = False) -> None:
        self.broker.publish(topic, json.dumps(reading), retain=retain)

    def weigh_ins(self) -> list[datetime]:
        return [self.garmin.weights.local_time(entry) for entry in self.garmin.weights.visible()]

    def weigh_ins_at(self, instant: str) -> int:
        seconds = datetime.fromisoformat(instant).timestamp()
        return sum(entry.instant_s == seconds for entry in self.garmin.weights.visible())

    def wait_for_notification(self, words: str, within_s: float = 40) -> dict[str, str]:
        shown: dict[str, str] = {}

        def is_shown() -> bool:
            shown.clear()
            shown.update({k: v for k, v in self.home.notifications().items() if k.startswith("weighbridge_")})
            return any(words in message for message in shown.values())

        wait_until(f"Home Assistant shows {words!r}", is_shown, within_s)
        return shown

    def notifications_with(self, words: str) -> list[str]:
        return [message for message in self.home.notifications().values() if words in message]

    def waiting(self) -> str:
        return self.home.state("sensor.weighbridge_waiting")

    def wait_until_delivered(self, instant: str) -> None:
        """Wait until it is delivered and nothing is waiting, so that a duplicate would have been sent by now."""
        at = instant.replace("+00:00", "Z")
        wait_until(
            f"the weigh-in of {at} is delivered",
            lambda: self.home.state("sensor.weighbridge_last_weigh_in") == instant and self.waiting() == "0",
            40,
        )


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with ExitStack() as stack:
        house = House(tmp_path_factory.mktemp("house"), stack)
        yield house
        assert house.garmin.unexpected == []
        log = house.home.log()
        assert KEY not in log, "the key is in Home Assistant's log"
        assert "81.4" not in log, "a measurement is in Home Assistant's log"
        assert "Traceback" not in log, log
        assert "Error while executing automation" not in log, log


@pytest.fixture
def house(shared: House) -> House:
    shared.garmin.faults.clear()
    shared.garmin.weights.show_delay_s = 0
    return shared


def test_it_is_the_expected_version(house: House) -> None:
    """The tests run against the Home Assistant version that the Makefile names."""
    wanted = re.search(r"^HOME_ASSISTANT_CURRENT := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert wanted
    assert house.home.get("/api/config")["version"] == (wanted[1] if CURRENT else "2024.3.3")


def test_published_reading_is_one_weigh_in(house: House) -> None:
    """A reading published over MQTT becomes one weigh-in, and a notification shows the outcome in words."""
    at = "2026-11-22T06:31:00+00:00"
    house.publish(NINE | {"time": at})
    shown = house.wait_for_notification("confirmed")
    assert shown["weighbridge_2026_11_22t06_31_00z"] == "81.4 kg, 18.2 % fat: confirmed in Garmin Connect."
    house.wait_until_delivered(at)
    assert house.weigh_ins_at(at) == 1
    assert house.home.state("sensor.weighbridge_state") == "confirmed"
    wait_until("the token's days are shown", lambda: float(house.home.state("sensor.weighbridge_token_days")) > 1)
    assert house.home.state("binary_sensor.weighbridge_problem") == "off"


def test_nine_values_are_sensors_of_one_device(house: House) -> None:
    """The nine values are sensors of one device, announced as the page shows."""
    at = "2026-11-22T06:32:00+00:00"
    house.publish(NINE | {"time": at})
    house.wait_until_delivered(at)
    expected = {
        "sensor.weighbridge_weight": "81.4",
        "sensor.weighbridge_body_fat": "18.2",
        "sensor.weighbridge_fat_mass": "14.8",
        "sensor.weighbridge_fat_free_mass": "66.6",
        "sensor.weighbridge_muscle_mass": "63.2",
        "sensor.weighbridge_bone_mass": "3.4",
        "sensor.weighbridge_body_water": "45.9",
        "sensor.weighbridge_subcutaneous_fat": "16.1",
        "sensor.weighbridge_visceral_fat": "7",
    }
    wait_until(
        "the sensors show the values", lambda: {entity: house.home.state(entity) for entity in expected} == expected
    )
    registry: list[dict[str, Any]] = house.home.ask(type="config/entity_registry/list")
    assert len({entry["device_id"] for entry in registry if entry["entity_id"] in expected}) == 1
    announced = house.broker.retained("homeassistant/sensor/weighbridge/weight_kg/config")
    assert json.loads(announced) == example("example: discovery")


def test_page_cards_show_existing_entities(house: House) -> None:
    """Every entity in the cards of the page exists."""
    shown = set(re.findall(r"entity: (\S+)|^  - (\w+\.\w+)$", PAGE, re.MULTILINE))
    entities = {one or other for one, other in shown}
    assert len(entities) > 20
    assert [entity for entity in entities if house.home.state(entity) == "absent"] == []


def test_page_examples_work(house: House) -> None:
    """The page's examples make one weigh-in of two sensors, and notify the phone."""
    home, before = house.home, len(house.weigh_ins())
    home.set_state("sensor.bathroom_weight", "82.6")
    home.set_state("sensor.bathroom_fat", "18.4")
    home.fire("somebody_weighed")
    words = "82.6 kg, 18.4 % fat: confirmed in Garmin Connect."
    house.wait_for_notification(words)
    wait_until("the phone is notified, too", lambda: list(home.notifications().values()).count(words) == 2)
    assert len(house.weigh_ins()) == before + 1


def test_weigh_in_waits_for_the_function(house: House) -> None:
    """While the function is away a weigh-in waits. It is then delivered once."""
    at = "2026-11-22T06:33:00+00:00"
    house.stop_function()
    house.publish(NINE | {"time": at})
    assert "weighbridge_waiting" in house.wait_for_notification("did not answer")
    assert house.waiting() == "1"
    house.start_function()
    house.wait_until_delivered(at)
    assert house.weigh_ins_at(at) == 1
    assert "weighbridge_waiting" not in house.home.notifications()


def test_waiting_weigh_ins_survive_a_restart(house: House) -> None:
    """Waiting weigh-ins survive a restart of Home Assistant, and each is delivered once."""
    first, second = "2026-11-22T06:34:00+00:00", "2026-11-22T06:35:00+00:00"
    house.stop_function()
    house.publish(NINE | {"time": first})
    house.publish(NINE | {"time": second})
    wait_until("both wait", lambda: house.waiting() == "2")
    house.home.stop()
    house.start_function()
    house.home.start()
    house.wait_until_it_listens()
    house.wait_until_delivered(second)
    assert (house.weigh_ins_at(first), house.weigh_ins_at(second)) == (1, 1)


def test_retained_message_is_not_sent_twice(house: House) -> None:
    """After a restart, a retained message does not become a second weigh-in, and one of unknown time is not sent."""
    at = "2026-11-22T06:36:00+00:00"
    before = len(house.weigh_ins())
    house.publish(NINE | {"time": at}, retain=True, topic="scale/dated")
    house.wait_until_delivered(at)
    house.publish(NINE | {"weight": "81.5 kg", "fat free body weight": "66.7 kg"}, retain=True, topic="scale/undated")
    house.wait_for_notification("81.5 kg")
    wait_until("both are delivered", lambda: house.waiting() == "0")
    assert len(house.weigh_ins()) == before + 2
    kept = {"weight": "80.9 kg"}
    house.home.stop()
    house.publish(kept, retain=True, topic="scale/kept")
    house.home.start()
    house.wait_until_it_listens()
    # The broker sends its retained messages together, so by now Home Assistant has seen them all.
    shown = house.wait_for_notification("scale/kept")
    assert "time of the weigh-in is unknown" in shown["weighbridge_undated"]
    marker = "2026-11-22T06:37:00+00:00"
    house.publish(NINE | {"time": marker})
    house.wait_until_delivered(marker)
    assert len(house.weigh_ins()) == before + 3
    for topic in ("scale/dated", "scale/undated", "scale/kept"):
        house.broker.publish(topic, b"", retain=True)


def test_kept_message_waits_for_the_function(house: House) -> None:
    """A message that the broker kept waits for the function. It is then sent with its own time, or not at all."""
    at, kept = "2026-11-22T06:48:00+00:00", ("scale/kept dated", "scale/kept undated")
    before = len(house.weigh_ins())
    house.home.stop()
    house.stop_function()
    house.publish(NINE | {"time": at}, retain=True, topic=kept[0])
    house.publish({"weight": "80.8 kg"}, retain=True, topic=kept[1])
    house.home.start()
    house.wait_until_it_listens()
    wait_until("both wait", lambda: house.waiting() == "2")
    house.home.stop()
    house.start_function()
    house.home.start()
    house.wait_until_it_listens()
    house.wait_for_notification("scale/kept undated")
    house.wait_until_delivered(at)
    assert (house.weigh_ins_at(at), len(house.weigh_ins())) == (1, before + 1)
    for topic in kept:
        house.broker.publish(topic, b"", retain=True)


def test_burst_of_messages_is_taken_once_each(house: House) -> None:
    """Of messages that arrive at once, each is taken once and has its own notification."""
    instants = [f"2026-11-22T06:49:{second:02}+00:00" for second in range(10)]
    wrong = [json.dumps({"weight": f"{kg} kg", "time": instants[0]}) for kg in (901, 902, 903)]
    messages = [json.dumps(NINE | {"time": at}) for at in instants]
    house.broker.publish("scale/many", *wrong, *messages)
    at_those = "weighbridge_2026_11_22t06_49_"
    wait_until("all are shown", lambda: sum(id_.startswith(at_those) for id_ in house.home.notifications()) == 10, 90)
    wait_until("nothing waits", lambda: house.waiting() == "0")
    assert [house.weigh_ins_at(at) for at in instants] == [1] * 10
    shown = house.home.notifications()
    assert [shown[f"{at_those}{second:02}z"] for second in range(10)] == [
        "81.4 kg, 18.2 % fat: confirmed in Garmin Connect."
    ] * 10
    # In Home Assistant and on the phone.
    assert [len(house.notifications_with(f"weight: {kg} kg")) for kg in (901, 902, 903)] == [2, 2, 2]


def test_sensors_without_a_value_send_nothing(house: House) -> None:
    """Sensors and messages without a value send nothing and crash nothing."""
    home, before = house.home, len(house.weigh_ins())
    for value in ("unknown", "unavailable", "None", ""):
        home.set_state("bodymiscale.anna", "ok", weight=value, body_fat=value, last_measurement_time=value)
        home.set_state("sensor.scale_weight", value)
        house.publish({"weight": value, "body fat": "18.2"})
        house.publish({"impedance": 500, "time": "2026-11-22T06:30:00Z"})
    home.set_state("bodymiscale.anna", "unavailable")
    for nonsense in (b"not json", b"[1, 2]", b"81.4", b"null", b"\xff\xfe", b'{"weight": 1e400}', b"{}"):
        house.broker.publish("scale/nonsense", nonsense)
    # A sensor that comes back after a restart shows its previous value.
    home.set_state("sensor.scale_weight", "unavailable")
    home.set_state("sensor.scale_weight", "81.4", unit_of_measurement="kg")
    marker = "2026-11-22T06:38:00+00:00"
    time.sleep(5)  # the settling time of the shipped package, after which something would be sent
    house.publish(NINE | {"time": marker})
    house.wait_until_delivered(marker)
    assert len(house.weigh_ins()) == before + 1


def test_blueprint_sensors_make_one_weigh_in(house: House) -> None:
    """The sensors of the blueprint make one weigh-in, once they have settled."""
    home, before = house.home, len(house.weigh_ins())
    home.set_state("sensor.scale_weight", "79.0", unit_of_measurement="kg")
    home.set_state("sensor.scale_weight", "179.5", unit_of_measurement="lb")
    home.set_state("sensor.scale_body_fat", "18.2", unit_of_measurement="%")
    home.set_state("sensor.scale_bone_mass", "unknown", unit_of_measurement="kg")
    house.wait_for_notification("81.42 kg, 18.2 % fat: confirmed")
    assert len(house.weigh_ins()) == before + 1


def test_returning_weight_counts_if_scale_sleeps(house: House) -> None:
    """A weight that comes back is a weigh-in only if the scale is one that sleeps."""
    before = len(house.weigh_ins())
    for sensor, weight_kg in (("scale", 79.2), ("sleepy", 79.3)):
        house.home.set_state(f"sensor.{sensor}_weight", "unavailable")
        house.home.set_state(f"sensor.{sensor}_weight", weight_kg, unit_of_measurement="kg")
        house.home.set_state(f"sensor.{sensor}_weight", "unavailable")
    house.wait_for_notification("79.3 kg: confirmed")
    assert len(house.weigh_ins()) == before + 1


def test_bodymiscale_attributes_make_one_weigh_in(house: House) -> None:
    """The attributes of bodymiscale make one weigh-in, at their own time."""
    at = "2026-11-22T06:39:00+00:00"
    attributes = {"weight": 81.4, "bmi": 24.0, "problem": "none", "last_measurement_time": at}
    house.home.set_state("bodymiscale.anna", "ok", **attributes)
    house.home.set_state("bodymiscale.anna", "ok", **attributes, body_fat=18.2, friendly_name="Anna")
    house.home.set_state("bodymiscale.anna", "unavailable")  # the scale sleeps before the values have settled
    house.wait_until_delivered(at)
    assert house.weigh_ins_at(at) == 1


def test_form_sends_once_and_is_then_empty(house: House) -> None:
    """The form sends the typed values once, and is then empty. Without a weight, it says what is missing."""
    before = len(house.weigh_ins())
    form = "input_number.weighbridge_form_"
    for name, value in (("weight", 81.35), ("body_fat", 18.2), ("visceral_fat", 7)):
        house.home.call("input_number.set_value", entity_id=form + name, value=value)
    house.home.call("input_button.press", entity_id="input_button.weighbridge_send_form")
    house.wait_for_notification("81.35 kg, 18.2 % fat: confirmed")
    wait_until("the form is empty", lambda: house.home.state(form + "weight") == "0.0")
    house.home.call("input_button.press", entity_id="input_button.weighbridge_send_form")
    assert "weighbridge_form" in house.wait_for_notification("Type the weight")
    marker = "2026-11-22T06:40:00+00:00"
    house.publish(NINE | {"time": marker})
    house.wait_until_delivered(marker)
    assert len(house.weigh_ins()) == before + 2


def test_rejected_reading_stops_no_other(house: House) -> None:
    """A rejected reading is shown with its reason, and does not stop another one."""
    bad, good = "2026-11-22T06:41:00+00:00", "2026-11-22T06:42:00+00:00"
    house.stop_function()
    house.publish(NINE | {"time": bad, "weight": "814 kg"})
    house.publish(NINE | {"time": good})
    wait_until("both wait", lambda: house.waiting() == "2")
    house.start_function()
    shown = house.wait_for_notification("weight: 814 kg")
    assert any(message.startswith("The reading cannot be right.") for message in shown.values())
    house.wait_until_delivered(good)
    assert (house.weigh_ins_at(bad), house.weigh_ins_at(good)) == (0, 1)


def test_rejected_reading_may_come_again(house: House) -> None:
    """A reading that was rejected may come again, and is shown again."""
    for shown in (2, 4):  # in Home Assistant and on the phone
        house.publish({"weight": "904 kg"})
        wait_until("it is shown", partial(lambda n: len(house.notifications_with("weight: 904 kg")) == n, shown))
        wait_until("nothing waits", lambda: house.waiting() == "0")


def test_retry_after_of_garmin_is_honored(house: House) -> None:
    """The next attempt waits as long as Garmin asked for."""
    at = "2026-11-22T06:43:00+00:00"
    house.garmin.faults.add("upload", "429", retry_after=6)
    house.publish(NINE | {"time": at})
    house.wait_for_notification("asks to wait")
    since = time.monotonic()
    house.wait_until_delivered(at)
    assert time.monotonic() - since > 5
    assert house.weigh_ins_at(at) == 1


def test_accepted_weigh_in_is_checked_until_visible(house: House) -> None:
    """A weigh-in that Garmin took but does not show yet is reported so, and checked until it shows."""
    at = "2026-11-22T06:46:00+00:00"
    house.garmin.weights.show_delay_s = 9.5  # the function looks for 8 s
    house.publish(NINE | {"time": at})
    house.wait_for_notification("not visible there yet")
    house.wait_until_delivered(at)
    assert house.weigh_ins_at(at) == 1
    assert house.home.state("sensor.weighbridge_state") in ("present", "confirmed")


def test_lost_token_is_shown_before_it_is_needed(house: House) -> None:
    """A token that was lost is reported before a weigh-in needs it."""
    token = house.tokens / "default.json"
    content = token.read_bytes()
    token.unlink()
    house.home.call("homeassistant.update_entity", entity_id="sensor.weighbridge_health")
    shown = house.wait_for_notification("login")
    assert "weighbridge_repair" in shown
    token.touch(mode=0o600)
    token.write_bytes(content)
    house.home.call("homeassistant.update_entity", entity_id="sensor.weighbridge_health")
    wait_until("the sign-in is no longer asked for", lambda: "weighbridge_repair" not in house.home.notifications())


def test_needed_sign_in_is_shown_and_weigh_in_waits(house: House) -> None:
    """A needed sign-in is reported. After it, the waiting weigh-in is sent."""
    at = "2026-11-22T06:44:00+00:00"
    house.garmin.sign_in.revoke()
    house.garmin.sign_in.expire_access_tokens()
    house.publish(NINE | {"time": at})
    shown = house.wait_for_notification("login")
    assert shown["weighbridge_repair"].endswith("The weigh-in is waiting. It is sent once this is fixed.")
    assert house.home.titles()["weighbridge_repair"] == "Signing in to Garmin is needed"
    wait_until("the phone is notified, too", lambda: len(house.notifications_with("login")) == 2)
    house.garmin.write_token(house.tokens)
    house.home.call("input_button.press", entity_id="input_button.weighbridge_try_again")
    house.wait_until_delivered(at)
    assert house.weigh_ins_at(at) == 1
    wait_until("the sign-in is no longer asked for", lambda: "weighbridge_repair" not in house.home.notifications())


def test_wrong_key_is_shown_and_crashes_nothing(tmp_path: Path) -> None:
    """A wrong key is reported, crashes nothing, and is not in the log."""
    at = "2026-11-22T06:45:00+00:00"
    with ExitStack() as stack:
        house = House(tmp_path, stack, weighbridge_key="a-wrong-key")
        house.publish(NINE | {"time": at})
        house.wait_for_notification("A key is needed")
        assert house.waiting() == "1"
        assert house.weigh_ins() == []
        log = house.home.log()
        assert "a-wrong-key" not in log
        assert "81.4" not in log
        assert "Traceback" not in log


def test_kept_file_is_shown_with_import_page(tmp_path: Path) -> None:
    """A kept file is reported with its name and the page where to import it."""
    with ExitStack() as stack:
        house = House(tmp_path, stack, delivery="folder")
        house.publish(NINE | {"time": "2026-11-22T06:47:00+00:00"})
        shown = house.wait_for_notification("kept as a file for import by hand")["weighbridge_2026_11_22t06_47_00z"]
        (kept,) = kept_files(tmp_path / "weigh-ins")
        assert kept.name in shown
        assert "(https://connect.garmin.com/app/import-data)" in shown
        wait_until("nothing waits", lambda: house.waiting() == "0")
        assert house.home.state("sensor.weighbridge_last_weigh_in") == "unknown"
        wait_until("the values are shown", lambda: house.home.state("sensor.weighbridge_weight") == "81.4")
