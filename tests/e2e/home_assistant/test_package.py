"""A real Home Assistant with the shipped package and its blueprint: what becomes a weigh-in, and what a person sees."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.parts import wait_until
from tests.e2e.parts.home_assistant import ROOT, SHIPPED, HomeAssistant, home_assistant
from tests.e2e.parts.mosquitto import mosquitto
from tests.function_client import Running, process
from tests.garmin.server import GarminStandIn
from tests.ports import free_port
from weighbridge.delivery.kept import kept_files

KEY = "the-secret-key-of-this-test"
READING = {"weight": "81.4 kg", "body fat": "18.2 %", "bone mass": "3.4 kg"}
PAGE = (SHIPPED / "README.md").read_text()
FORM = "input_number.weighbridge_form_"
#: A notification for each attempt that failed, so that they can be counted.
ATTEMPTS = {
    "id": "attempts",
    "mode": "parallel",
    "triggers": {"trigger": "event", "event_type": "weighbridge_outcome", "event_data": {"status": "waiting"}},
    "actions": {
        "action": "persistent_notification.create",
        "data": {"notification_id": "attempt_{{ trigger.event.context.id }}", "message": "It waits."},
    },
}
#: The lines of the package itself in the log.
AWAY, BACK = "[weighbridge] The function does not answer", "[weighbridge] The function answers again"


def example(name: str) -> Any:
    """The example that the page marks with this name."""
    found = re.search(rf"<!-- {name} -->\n```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert found, name
    return yaml.safe_load(found[1])


def automations() -> str:
    """The automations that the page describes. Notifications in Home Assistant replace those on the phone."""
    phone = json.dumps(example("example: phone"))
    assert "notify.mobile_app_your_phone" in phone
    scale = {
        "weight": "sensor.scale_weight",
        "body_fat": "sensor.scale_body_fat",
        "bone_mass": "sensor.scale_bone_mass",
    }
    sleepy = {"weight": "sensor.sleepy_weight", "sleepy": True, "settle": 1}
    return json.dumps(
        [
            {"id": "sensors", "use_blueprint": {"path": "weighbridge/sensors.yaml", "input": scale}},
            {"id": "sleepy", "use_blueprint": {"path": "weighbridge/sensors.yaml", "input": sleepy}},
            {
                "id": "script",
                "triggers": {"trigger": "event", "event_type": "somebody_weighed"},
                "actions": example("example: script"),
            },
            ATTEMPTS,
            {"id": "phone", **json.loads(phone.replace("mobile_app_your_phone", "persistent_notification"))},
        ]
    )


class House:
    """Function, Garmin stand-in and Home Assistant, connected as the README says."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._stack, self._folder = stack, folder
        self.garmin = stack.enter_context(GarminStandIn())
        self.tokens = folder / "tokens"
        self.garmin.write_token(self.tokens)
        self.port = free_port()
        self._function: Running | None = None
        self.start_function()
        home = folder / "home"
        home.mkdir()
        self.home: HomeAssistant = stack.enter_context(
            home_assistant(
                home,
                mqtt_port=stack.enter_context(mosquitto()).port,
                automations=automations(),
                weighbridge_readings_url=f"http://127.0.0.1:{self.port}/readings",
                weighbridge_health_url=f"http://127.0.0.1:{self.port}/health",
                weighbridge_key=KEY,
            )
        )

    def start_function(self, **settings: object) -> None:
        self.stop_function()
        environment = {
            "WEIGHBRIDGE_DELIVERY": "garth",
            "WEIGHBRIDGE_FOLDER": self._folder / "weigh-ins",
            "WEIGHBRIDGE_TOKENS": self.tokens,
            "WEIGHBRIDGE_API_KEYS": f"house={KEY}",
            # The readings of these tests are equal and lie seconds apart. Each is to be a weigh-in of its own.
            "WEIGHBRIDGE_JOIN_SECONDS": "0",
            "GARMIN_DOMAIN": self.garmin.domain,
            "GARMIN_CA_BUNDLE": self.garmin.ca_bundle,
        }
        self._function = self._stack.enter_context(process(environment | settings, port=self.port))[1]

    def stop_function(self) -> None:
        if self._function:
            self._function.kill()

    def look_at_the_health(self) -> None:
        self.home.call("homeassistant.update_entity", entity_id="sensor.weighbridge_health")

    def weigh_in(self, reading: object, **more: object) -> Any:
        """Call the script and return what it answers."""
        data = json.dumps({"reading": reading, **more}).encode()
        answer = self.home.request("POST", "/api/services/script/weighbridge_weigh_in?return_response", data)
        return answer["service_response"]

    def begin_to_weigh_in(self, reading: object) -> None:
        self.home.call("script.turn_on", entity_id="script.weighbridge_weigh_in", variables={"reading": reading})

    def weigh_ins_at(self, instant: str) -> int:
        seconds = datetime.fromisoformat(instant).timestamp()
        return sum(entry.instant_s == seconds for entry in self.garmin.weights.visible())

    def shown(self) -> dict[str, str]:
        return {k: v for k, v in self.home.notifications().items() if k.startswith("weighbridge_")}

    def attempts(self) -> int:
        """How many attempts have failed so far."""
        return sum(shown.startswith("attempt_") for shown in self.home.notifications())

    def wait_for_notification(self, words: str) -> None:
        wait_until(f"it shows {words!r}", lambda: any(words in message for message in self.shown().values()), 60)


def wait_for_the_next_second() -> None:
    """Garmin has one weigh-in a second."""
    now = int(time.time())
    wait_until("the next second", lambda: int(time.time()) > now)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with ExitStack() as stack:
        house = House(tmp_path_factory.mktemp("house"), stack)
        yield house
        assert house.garmin.unexpected == []
        log = house.home.log()
        assert KEY not in log, "the key is in Home Assistant's log"
        assert "81.4" not in log, "a measurement is in Home Assistant's log"
        assert "blocking call" not in log
        assert [line for line in house.home.complaints() if AWAY not in line] == []


@pytest.fixture
def house(shared: House) -> House:
    shared.garmin.faults.clear()
    for shown in shared.shown():
        shared.home.call("persistent_notification.dismiss", notification_id=shown)
    return shared


def test_listens_on_this_machine_only_and_for_good(house: House) -> None:
    """It listens on 127.0.0.1 alone, also after a restart, and no trial of its address is pending, after which it would
    restart on all addresses."""
    for restart in (True, False):
        house.home.check_address()
        http = house.home.ask(type="http/config")
        assert (http["active_config_type"], http["revert_at"]) == ("stable", None)
        if restart:
            house.home.restart()


def test_it_is_the_expected_version(house: House) -> None:
    """The tests run against the Home Assistant version that the Makefile names."""
    wanted = re.search(r"^HOME_ASSISTANT = \S+ \S+ (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert wanted
    assert house.home.get("/api/config")["version"] == wanted[1]


@pytest.mark.fault(12)
def test_script_answers_with_the_receipt(house: House) -> None:
    """The script sends a reading and returns its receipt. Its notification is replaced by that of the next one."""
    days = ("2026-11-21T06:31:00+00:00", "2026-11-22T06:31:00+00:00")
    for day in days:  # equal numbers on two days are two weigh-ins
        outcome = house.weigh_in(READING | {"time": day})
        assert (outcome["status"], outcome["final"]) == ("confirmed", True)
        assert len(outcome["receipt"]["fields"]) >= 3
    assert [house.weigh_ins_at(day) for day in days] == [1, 1]
    assert house.shown() == {"weighbridge_": "81.4 kg, 18.2 % fat: confirmed in Garmin Connect."}


@pytest.mark.fault(2)
def test_equal_readings_without_a_time_are_two(house: House) -> None:
    """The same numbers without a time, sent twice, are two weigh-ins, each at the time at which it came in."""
    before = len(list(house.garmin.weights.visible()))
    outcomes = [house.weigh_in({"weight": "80.9 kg"})]
    wait_for_the_next_second()
    outcomes.append(house.weigh_in({"weight": "80.9 kg"}))
    assert len({outcome["receipt"]["measured_at"] for outcome in outcomes}) == 2
    assert len(list(house.garmin.weights.visible())) == before + 2


@pytest.mark.fault(5)
def test_each_rejected_reading_is_shown(house: House) -> None:
    """Of readings that are rejected within a second, each is shown with its reason, and none stops another one."""
    at = "2026-11-22T06:42:00+00:00"
    for kg in (901, 902, 903):
        house.begin_to_weigh_in({"weight": f"{kg} kg"})
    house.begin_to_weigh_in(READING | {"time": at})
    for kg in (901, 902, 903):
        house.wait_for_notification(f"weight: {kg} kg")
    house.wait_for_notification("confirmed")
    assert len(house.shown()) == 4
    assert house.weigh_ins_at(at) == 1


@pytest.mark.fault(6)
def test_form_keeps_what_was_rejected(house: House) -> None:
    """The form keeps its values while they are rejected, and is empty once they were sent."""
    wait_for_the_next_second()
    before = len(list(house.garmin.weights.visible()))
    press = {"entity_id": "input_button.weighbridge_send_form"}
    for name, value in (("weight", 0), ("body_fat", 18.2), ("visceral_fat", 7)):
        house.home.call("input_number.set_value", entity_id=FORM + name, value=value)
    house.home.call("input_button.press", **press)
    house.wait_for_notification("weight")
    wait_until("the form can be sent", lambda: house.home.attribute("automation.weighbridge_the_form", "current") == 0)
    assert [house.home.state(FORM + name) for name in ("body_fat", "visceral_fat")] == ["18.2", "7.0"]
    house.home.call("input_number.set_value", entity_id=FORM + "weight", value=81.35)
    house.home.call("input_button.press", **press)
    house.wait_for_notification("81.35 kg, 18.2 % fat: confirmed")
    wait_until("the form is empty", lambda: house.home.state(FORM + "visceral_fat") == "0.0")
    assert len(list(house.garmin.weights.visible())) == before + 1


@pytest.mark.fault(9, 12)
def test_weigh_ins_wait_for_the_function(house: House) -> None:
    """A function that is down is noticed before anybody weighs in. Weigh-ins wait, and are then delivered once; what
    was shown is then gone. The log has one line when it goes away and one when it is back, however often it is tried.
    """
    days = [f"2026-11-{day}T06:33:00+00:00" for day in (16, 17, 18)]
    before = len(house.home.log())
    house.stop_function()
    house.look_at_the_health()
    house.wait_for_notification("It does not answer.")
    attempts = house.attempts()
    for day in days:
        house.begin_to_weigh_in(READING | {"time": day})
    wait_until("each was tried", lambda: house.attempts() >= attempts + len(days), 30)
    house.wait_for_notification("The function did not answer.")
    house.start_function()
    house.look_at_the_health()
    wait_until("all are there", lambda: [house.weigh_ins_at(day) for day in days] == [1, 1, 1], 60)
    house.wait_for_notification("81.4 kg, 18.2 % fat: confirmed in Garmin Connect.")
    wait_until("nothing else is shown", lambda: list(house.shown()) == ["weighbridge_"], 30)
    lines = house.home.log()[before:].splitlines()
    assert [next((own for own in (AWAY, BACK) if own in line), line) for line in lines] == [AWAY, BACK]


def test_retry_after_of_garmin_is_honored(house: House) -> None:
    """The next attempt waits as long as Garmin asked for."""
    at = "2026-11-22T06:43:00+00:00"
    house.garmin.faults.add("upload", "429", retry_after=4)
    asked = datetime.now().astimezone()
    assert house.weigh_in(READING | {"time": at})["status"] == "confirmed"
    assert (datetime.now().astimezone() - asked).total_seconds() > 3
    assert house.weigh_ins_at(at) == 1


@pytest.mark.fault(8)
def test_refused_sign_in_is_a_problem_until_it_is_renewed(house: House) -> None:
    """A sign-in that Garmin has ended is a problem from the first delivery that meets it, although its date is good.
    Once somebody has signed in, the weigh-in arrives, and nothing else is shown any more."""
    at = "2026-11-22T06:45:00+00:00"
    house.garmin.revoke()
    house.garmin.expire_access_tokens()
    house.begin_to_weigh_in(READING | {"time": at})
    wait_until("the weigh-in says so", lambda: "weighbridge_" in house.shown(), 60)
    house.look_at_the_health()
    wait_until("it is a problem", lambda: house.home.state("binary_sensor.weighbridge_problem") == "on", 60)
    house.wait_for_notification("login")
    house.garmin.write_token(house.tokens)
    house.look_at_the_health()
    house.wait_for_notification("confirmed")
    wait_until("it is no longer shown", lambda: list(house.shown()) == ["weighbridge_"], 60)
    assert house.home.state("binary_sensor.weighbridge_problem") == "off"
    assert house.weigh_ins_at(at) == 1


@pytest.mark.fault(10)
def test_wrong_key_is_shown_before_it_is_needed(house: House) -> None:
    """A wrong key is shown before a weigh-in needs it, until it is right again."""
    house.start_function(WEIGHBRIDGE_API_KEYS="house=another-key-of-this-test")
    house.look_at_the_health()
    house.wait_for_notification("key")
    house.start_function()
    house.look_at_the_health()
    wait_until("it is no longer shown", lambda: house.shown() == {}, 30)


@pytest.mark.fault(3, 11)
def test_each_person_has_their_own_notification(house: House) -> None:
    """With several people, each has their own account and notification, and the days of the sign-in are known."""
    for name in ("anna", "ben"):
        house.garmin.write_token(house.tokens, name)
    house.start_function(WEIGHBRIDGE_PEOPLE=ROOT / "examples" / "people.toml")
    at = "2026-11-22T06:44:00+00:00"
    for person, kg in (("anna", 61), ("ben", 82)):
        assert house.weigh_in({"weight": f"{kg} kg", "time": at}, person=person)["status"] == "confirmed"
    assert sorted(house.shown()) == ["weighbridge_anna", "weighbridge_ben"]
    assert [len(house.garmin.weights_of[name].visible()) for name in ("anna", "ben")] == [1, 1]
    house.look_at_the_health()
    assert house.home.attribute("sensor.weighbridge_health", "delivery")["token_days_left"] > 14
    assert house.weigh_in({"weight": "68 kg", "time": at})["receipt"]["candidates"] == ["Anna", "Ben"]
    house.start_function()


def test_kept_file_is_shown_with_import_page(house: House) -> None:
    """A kept file is shown with its name and the page where to import it."""
    house.start_function(WEIGHBRIDGE_DELIVERY="folder")
    assert house.weigh_in(READING | {"time": "2026-11-22T06:47:00+00:00"})["status"] == "kept"
    (shown,) = house.shown().values()
    (kept,) = kept_files(house.tokens.parent / "weigh-ins")
    assert kept.name in shown
    assert "(https://connect.garmin.com/app/import-data)" in shown
    house.start_function()


def test_page_examples_work(house: House) -> None:
    """The page's examples make one weigh-in of two sensors, and notify the phone."""
    home = house.home
    home.set_state("sensor.bathroom_weight", "82.6")
    home.set_state("sensor.bathroom_fat", "18.4")
    home.fire("somebody_weighed")
    words = "82.6 kg, 18.4 % fat: confirmed in Garmin Connect."
    wait_until("here and on the phone", lambda: list(home.notifications().values()).count(words) == 2, 60)


def test_blueprint_sensors_make_one_weigh_in(house: House) -> None:
    """The sensors of the blueprint make one weigh-in, once they have settled. A weight that comes back after a restart
    is one only if the scale sleeps between weigh-ins."""
    home, before = house.home, len(list(house.garmin.weights.visible()))
    for value in ("unavailable", "80.2", "unavailable", "79.0"):
        home.set_state("sensor.scale_weight", value, unit_of_measurement="kg")
    home.set_state("sensor.scale_weight", "179.5", unit_of_measurement="lb")
    home.set_state("sensor.scale_body_fat", "18.2", unit_of_measurement="%")
    home.set_state("sensor.scale_bone_mass", "unknown", unit_of_measurement="kg")
    house.wait_for_notification("81.42 kg, 18.2 % fat: confirmed")
    home.set_state("sensor.sleepy_weight", "unavailable")
    home.set_state("sensor.sleepy_weight", "79.3", unit_of_measurement="kg")
    house.wait_for_notification("79.3 kg: confirmed")
    assert len(list(house.garmin.weights.visible())) == before + 2
