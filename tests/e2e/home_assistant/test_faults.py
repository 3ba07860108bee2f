"""The faults of the package of version 0.1 (tests/test_home_assistant_faults.py), in a real Home Assistant.

Home Assistant, Mosquitto and the function are real; Garmin is the stand-in. What is weighed comes over MQTT, from
another integration or from an action. What is seen is what a person or an automation sees.

Strategy: one Home Assistant for all tests. Each weighs on days of its own. The last one removes the integration.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.parts import wait_until
from tests.e2e.parts.home_assistant import ROOT, HomeAssistant, home_assistant
from tests.e2e.parts.mosquitto import mosquitto
from tests.garmin.server import GarminStandIn
from tests.home_assistant.running import RunningFunction

BODYMISCALE = ROOT / "tests" / "home_assistant" / "config" / "custom_components" / "bodymiscale"
CONNECTION, PROBLEM = "binary_sensor.weighbridge_connection", "binary_sensor.weighbridge_problem"
#: What an automation sees: the last outcome of each reading, and each weight that was current.
AUTOMATIONS = [
    {
        "id": "outcomes",
        "mode": "parallel",
        "max": 50,
        "triggers": {"trigger": "state", "entity_id": ["event.anna_weigh_in", "event.ben_weigh_in"]},
        "conditions": "{{ trigger.to_state is not none and trigger.to_state.attributes.get('item_id') is not none }}",
        "actions": {
            "action": "persistent_notification.create",
            "data": {
                "notification_id": "outcome {{ trigger.to_state.attributes.item_id }}",
                "message": "{{ trigger.to_state.attributes.event_type }}: {{ trigger.to_state.attributes.message }}",
            },
        },
    },
    {
        "id": "current",
        "mode": "parallel",
        "triggers": {"trigger": "state", "entity_id": "sensor.anna_weight"},
        "conditions": "{{ trigger.to_state is not none }}",
        "actions": {
            "action": "persistent_notification.create",
            "data": {"notification_id": "current {{ trigger.to_state.state }}", "message": "It is current."},
        },
    },
]
#: In the log of Home Assistant: each time when the function goes away, and its own line for each error of an action.
EXPECTED = re.compile(r"\[custom_components\.weighbridge\.health\]|\[homeassistant\.components\.websocket_api\.")
#: In the log of the broker.
SUBSCRIBED = "scale/# (QoS 1"


def day(number: int) -> datetime:
    """The morning of a day in November."""
    return datetime(2026, 11, number, 6, 31, tzinfo=UTC)


class House:
    """A Home Assistant with Anna and Ben. Their scale names them in its topics, and Anna has a bodymiscale, too."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        (folder / "function").mkdir()
        self.folder = folder / "home"
        self.folder.mkdir()
        self.garmin = stack.enter_context(GarminStandIn())
        self.broker = stack.enter_context(mosquitto())
        self.function = RunningFunction(self.garmin, folder / "function", ("Anna", "Ben"))
        self.function.reset()
        stack.callback(self.function.stop)
        self.home: HomeAssistant = stack.enter_context(
            home_assistant(
                self.folder,
                mqtt_port=self.broker.port,
                automations=json.dumps(AUTOMATIONS),
                configuration="recorder:\n",
                others={BODYMISCALE: {"title": "Scale of Anna", "data": {"timed": True}}},
            )
        )
        # Nobody listens yet.
        for number in (1, 2):
            self.publish(f"scale/ben/{number}", retain=True, weight=f"82.{number} kg")
        answers = {"next_step_id": "address"}, {"url": self.function.url, "api_key": self.function.key}
        self.entry_id = self.home.add("weighbridge", *answers)
        # What the device shows when it is chosen was weighed before.
        self.step_on_bodymiscale(day(1), weight=60)
        (device,) = (
            device["id"]
            for device in self.home.ask(type="config/device_registry/list")
            if ["bodymiscale", "bodymiscale"] in device["identifiers"]
        )
        with self.listening_again():
            self.home.change_person("Anna", self.entry_id, name_in_function="Anna", device=device, topic="scale/#")

    def subscriptions(self) -> int:
        return self.broker.log().count(SUBSCRIBED)

    @contextmanager
    def listening_again(self) -> Iterator[None]:
        """What is done here ends with another subscription to the scale."""
        before = self.subscriptions()
        yield
        wait_until("it listens to the scale", lambda: self.subscriptions() > before, 60)

    def reload(self) -> None:
        """Load the integration again, which asks for the health at once."""
        with self.listening_again():
            self.home.call("homeassistant.reload_config_entry", entry_id=self.entry_id)

    # -- weigh-ins ----------------------------------------------------------------------------------------

    def step_on_bodymiscale(self, at: datetime, **values: float) -> None:
        self.home.call("bodymiscale.weigh", last_measurement_time=at.isoformat(), **values)

    def publish(self, topic: str, at: datetime | None = None, *, retain: bool = False, **values: object) -> None:
        reading = values | ({"time": at.isoformat()} if at else {})
        self.broker.publish(topic, json.dumps(reading).encode(), retain=retain)

    def add_weigh_in(self, **values: object) -> dict[str, Any]:
        """What the action answers."""
        return self.home.answer(
            type="call_service",
            domain="weighbridge",
            service="add_weigh_in",
            service_data=values,
            return_response=True,
        )

    def in_garmin(self, person: str, at: datetime | None = None) -> list[dict[str, Any]]:
        """The weigh-ins of a person, or those at one time."""
        found = [dict(weight) for weight in self.function.weights(person)]
        return [weight for weight in found if at is None or weight["timestampGMT"] == at.timestamp() * 1000]

    def wait_for(self, person: str, *times: datetime) -> None:
        wait_until(f"Garmin has the weigh-ins of {person}", lambda: all(self.in_garmin(person, at) for at in times), 60)
        wait_until("nothing waits", lambda: not self.waiting(), 60)

    # -- what is seen --------------------------------------------------------------------------------------

    def outcomes(self, word: str = "") -> list[str]:
        shown = self.home.notifications().items()
        return [message for id_, message in shown if id_.startswith("outcome ") and word in message]

    def waiting(self) -> Any:
        """How many readings are on their way, as the diagnostics say."""
        path = f"/api/diagnostics/config_entry/{self.entry_id}"
        return self.home.get(path)["data"]["queue"]

    def issues(self, key: str = "") -> dict[str, str]:
        """The repairs of the integration, or those of one kind: its id -> what it is about."""
        return {
            issue["issue_id"]: issue["translation_key"]
            for issue in self.home.ask(type="repairs/list_issues")["issues"]
            if issue["domain"] == "weighbridge" and key in issue["translation_key"]
        }

    def is_shown(self, state: str, entity: str) -> None:
        wait_until(f"{entity} is {state}", lambda: self.home.state(entity) == state, 60)

    def statistics(self, name: str) -> dict[float, float]:
        """A series of long-term statistics: the beginning of its hours (Unix ms) -> their mean."""
        rows = self.home.ask(
            type="recorder/statistics_during_period",
            start_time=day(1).isoformat(),
            statistic_ids=[name],
            period="hour",
        )
        return {row["start"]: row["mean"] for row in rows.get(name, ())}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with ExitStack() as stack:
        house = House(tmp_path_factory.mktemp("house"), stack)
        yield house
        assert house.garmin.unexpected == []
        log = house.home.log()
        assert house.function.key not in log, "the key is in Home Assistant's log"
        assert "blocking call" not in log
        assert [entry for entry in house.home.complaints() if not EXPECTED.search(entry)] == []


@pytest.fixture
def house(shared: House) -> House:
    shared.function.reset()
    return shared


@pytest.mark.fault(3)
def test_people_are_apart(house: House) -> None:
    """The scale names the person in the topic only: each has their own account, device and sensors."""
    house.publish("scale/anna", day(2), weight="61.3 kg")
    house.publish("scale/ben", day(2), weight="82.4 kg")
    for person, kg in (("Anna", "61.3"), ("Ben", "82.4")):
        house.wait_for(person, day(2))
        assert [weight["weight"] for weight in house.in_garmin(person)] == [float(kg) * 1000]
        house.is_shown(kg, f"sensor.{person.lower()}_weight")


@pytest.mark.fault(2)
def test_equal_numbers(house: House) -> None:
    """The same numbers on another day are another weigh-in; within a minute they are the same one."""
    reading = {"weight": "61.4 kg", "body fat": "24.2 %"}
    for at in (day(3), day(4), day(4) + timedelta(seconds=20)):
        house.publish("scale/anna", at, **reading)
    house.wait_for("Anna", day(3), day(4))
    wait_until("each has an outcome", lambda: len(house.outcomes("61.4 kg")) == 3)
    assert [len(house.in_garmin("Anna", day(number))) for number in (3, 4)] == [1, 1]
    assert not house.in_garmin("Anna", day(4) + timedelta(seconds=20))


@pytest.mark.fault(5)
def test_each_rejection_is_seen(house: House) -> None:
    """Of readings that are rejected within a second, each is an event with its reason, and none stops the next."""
    for kg in (901, 902, 903):
        house.publish("scale/ben", day(5), weight=f"{kg} kg")
    house.publish("scale/ben", day(5), weight="82.5 kg")
    house.wait_for("Ben", day(5))
    wait_until("each is seen", lambda: len(house.outcomes("rejected: ")) == 3)


@pytest.mark.fault(6)
def test_rejected_value_is_named(house: House) -> None:
    """Who types a wrong value gets it back, with its field and the reason; once it is corrected, it arrives."""
    typed = {"person": "Ben", "measured_at": day(6).isoformat(), "weight_kg": 825, "body_fat_percent": 18.2}
    error = house.add_weigh_in(**typed)["error"]
    assert error["message"].endswith("weight_kg: received 825.0. The weight must be 2 to 400 kg.")
    assert house.waiting() == {}
    receipt = house.add_weigh_in(**typed | {"weight_kg": 82.5})["result"]["response"]
    assert receipt["status"] == "confirmed"
    (weight,) = house.in_garmin("Ben", day(6))
    assert (weight["weight"], weight["bodyFat"]) == (82_500, 18.2)


@pytest.mark.fault(4)
def test_late_weigh_in_is_not_current(house: House) -> None:
    """An older weigh-in that arrives late is in the statistics of its own hour, and never the current state."""
    house.publish("scale/anna", day(20), weight="61.2 kg")
    house.wait_for("Anna", day(20))
    house.is_shown("61.2", "sensor.anna_weight")
    house.publish("scale/anna", day(8), weight="64.0 kg")
    house.wait_for("Anna", day(8))
    hour = day(8).replace(minute=0).timestamp() * 1000
    wait_until("it is in its hour", lambda: house.statistics("weighbridge:anna_weight").get(hour) == 64.0, 60)
    assert house.home.state("sensor.anna_weight") == "61.2"
    assert house.home.state("sensor.anna_last_weigh_in") == day(20).isoformat()
    shown = house.home.notifications()
    assert "current 61.2" in shown
    assert "current 64.0" not in shown


@pytest.mark.fault(1)
def test_time_of_another_integration(house: House) -> None:
    """A weigh-in of bodymiscale arrives with all values, at its own time, which is a `datetime`."""
    values = {"weight": 61.5, "body_fat": 24.4, "water": 52.1, "bone_mass": 2.5, "muscle_mass": 43.2, "visceral_fat": 4}
    house.step_on_bodymiscale(day(9), **values)
    house.wait_for("Anna", day(9))
    (weight,) = house.in_garmin("Anna", day(9))
    found = {name: weight[name] for name in ("weight", "bodyFat", "bodyWater", "boneMass", "muscleMass", "visceralFat")}
    assert list(found.values()) == [61_500, 24.4, 52.1, 2_500, 43_200, 4]


@pytest.mark.fault(8)
def test_refused_sign_in(house: House) -> None:
    """A sign-in that Garmin has ended is a problem and a repair from the first delivery that meets it, although its
    date is good. Once somebody has signed in, the weigh-in arrives, and nothing is left to repair."""
    assert house.home.state(PROBLEM) == "off"
    house.garmin.revoke()
    house.garmin.expire_access_tokens()
    house.publish("scale/anna", day(10), weight="61.6 kg")
    wait_until("it is to be repaired", lambda: list(house.issues("sign_in").values()) == ["sign_in_ended"], 60)
    house.is_shown("on", PROBLEM)
    assert house.outcomes("repair_needed: ")
    for person in house.function.people:
        house.function.sign_in(person)
    house.reload()
    house.wait_for("Anna", day(10))
    wait_until("nothing is to be repaired", lambda: not house.issues("sign_in"))
    wait_until("the outcome is another one", lambda: not house.outcomes("repair_needed: "))
    house.is_shown("off", PROBLEM)


@pytest.mark.fault(9)
def test_function_goes_away(house: House) -> None:
    """That the function is away is seen before anybody weighs in; it is seen, too, when it is back."""
    assert house.home.state(CONNECTION) == "on"
    house.function.stop()
    house.home.call("homeassistant.update_entity", entity_id=CONNECTION)  # as it does every five minutes
    house.is_shown("off", CONNECTION)
    assert house.home.state(PROBLEM) == "unavailable"
    house.function.start()
    house.reload()
    house.is_shown("on", CONNECTION)
    assert house.home.state(PROBLEM) == "off"


@pytest.mark.fault(10)
def test_wrong_key(house: House) -> None:
    """A key that the function does not know is asked for before a weigh-in needs it, until it is right."""

    def flows() -> list[str]:
        return [
            flow["flow_id"]
            for flow in house.home.ask(type="config_entries/flow/progress")
            if (flow["handler"], flow["context"]["source"]) == ("weighbridge", "reauth")
        ]

    def type_key(flow_id: str) -> dict[str, Any]:
        typed = json.dumps({"api_key": house.function.key}).encode()
        return house.home.request("POST", f"/api/config/config_entries/flow/{flow_id}", typed)

    assert flows() == []
    house.function.start(WEIGHBRIDGE_API_KEYS="home:send+read=another-key-of-this-test")
    house.reload()
    wait_until("the key is asked for", lambda: len(flows()) == 1)
    (flow_id,) = flows()
    assert type_key(flow_id)["errors"] == {"base": "unauthorized"}
    house.function.start()
    with house.listening_again():
        assert type_key(flow_id)["reason"] == "reauth_successful"
    house.is_shown("on", CONNECTION)
    assert flows() == []


@pytest.mark.fault(11)
def test_days_of_each_person(house: House) -> None:
    """The function shows the sign-in that ends first, and each person their own."""
    house.function.sign_in("Anna", days=25)
    house.function.sign_in("Ben", days=20)
    house.reload()
    for person, days in (("weighbridge", "20.0"), ("anna", "25.0"), ("ben", "20.0")):
        house.is_shown(days, f"sensor.{person}_sign_in_remaining")


@pytest.mark.fault(7)
def test_retained_messages_without_a_time(house: House) -> None:
    """Messages without a time that came before Home Assistant listened are reported once, and not again after a
    restart. One that came live is a weigh-in, and no other one after the restart."""
    wait_until("both are reported", lambda: len(house.issues("unknown_time")) == 2)
    house.publish("scale/ben/live", retain=True, weight="82.6 kg")
    wait_until("it is one", lambda: bool(house.outcomes("confirmed: 82.6 kg")))
    reported, weigh_ins = house.issues("unknown_time"), len(house.in_garmin("Ben"))
    with house.listening_again():
        house.home.restart()
    # It comes after those that the broker has retained.
    house.publish("scale/ben", day(11), weight="82.7 kg")
    house.wait_for("Ben", day(11))
    assert house.issues("unknown_time") == reported
    assert len(house.in_garmin("Ben")) == weigh_ins + 1


@pytest.mark.fault(13)
def test_without_a_broker(house: House) -> None:
    """Without MQTT the integration is set up and sends weigh-ins. When MQTT is there, its messages count."""
    house.home.ask(type="config_entries/disable", entry_id="broker", disabled_by="user")
    subscriptions = house.subscriptions()
    house.home.call("homeassistant.reload_config_entry", entry_id=house.entry_id)
    (entry,) = house.home.ask(type="config_entries/get", domain="weighbridge")
    assert entry["state"] == "loaded"
    typed = {"person": "Ben", "measured_at": day(12).isoformat(), "weight_kg": 82.8}
    assert house.add_weigh_in(**typed)["result"]["response"]["status"] == "confirmed"
    assert house.subscriptions() == subscriptions
    with house.listening_again():
        house.home.ask(type="config_entries/disable", entry_id="broker", disabled_by=None)
    house.publish("scale/ben", day(13), weight="82.9 kg")
    house.wait_for("Ben", day(13))


def test_listens_on_this_machine_only_and_for_good(house: House) -> None:
    """Nothing of it listens beyond this machine, and no trial of its address is pending."""
    house.home.check_address()


@pytest.mark.fault(14)
def test_removal_leaves_nothing(house: House) -> None:
    """With the entry go its entities, devices, repairs, statistics and waiting readings, and no topic is left on the
    broker."""
    home = house.home

    def left() -> dict[str, list[Any]]:
        registry = home.ask(type="config/entity_registry/list")
        states = [state["entity_id"] for state in home.get("/api/states")]
        devices = home.ask(type="config/device_registry/list")
        series = home.ask(type="recorder/list_statistic_ids")
        return {
            "entities": [entity["entity_id"] for entity in registry if entity["platform"] == "weighbridge"],
            "states": [id_ for id_ in states if id_.partition(".")[2].startswith(("anna_", "ben_", "weighbridge_"))],
            "devices": [d["name"] for d in devices if house.entry_id in d["config_entries"]],
            "repairs": list(house.issues()),
            "statistics": [each["statistic_id"] for each in series if each["statistic_id"].startswith("weighbridge:")],
            "files": [path.name for path in (house.folder / ".storage").glob("*weighbridge*")],
        }

    house.publish("scale/ben", day(14), weight="83.0 kg")
    house.wait_for("Ben", day(14))
    house.function.sign_out("Ben")
    house.publish("scale/ben", day(15), weight="83.1 kg")
    wait_until("it is to be repaired", lambda: bool(house.issues("sign_in_ended")), 60)
    wait_until("there is something to remove", lambda: all(left().values()), 60)
    home.request("DELETE", f"/api/config/config_entries/entry/{house.entry_id}")
    wait_until("nothing is left", lambda: not any(left().values()), 60)
    published = [line for line in house.broker.log().splitlines() if "Received PUBLISH" in line]
    assert not [line for line in published if "weighbridge" in line]
