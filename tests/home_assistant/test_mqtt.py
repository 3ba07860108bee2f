"""Readings from MQTT: each message counts once, and a retained one never twice."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from homeassistant.components.mqtt import client as mqtt_client
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_mqtt_message
from pytest_homeassistant_custom_component.typing import MqttMockHAClientGenerator

from custom_components.weighbridge.const import CONF_HEIGHT, CONF_TOPIC
from custom_components.weighbridge.outcomes import SIGNAL_DELIVERY, Delivery
from custom_components.weighbridge.queue import State as ItemState

from .arrivals import choose, delivered, waiting
from .running import RunningFunction

Until = Callable[[Callable[[], object]], Awaitable[None]]
AT = datetime(2026, 11, 20, 7, 12, 33, tzinfo=UTC)
TWO = pytest.mark.parametrize("people", [("Anna", "Ben")])


@pytest.fixture
def expected_lingering_timers() -> bool:
    """The MQTT of the harness leaves its own."""
    return True


@pytest.fixture
def hass_storage() -> None:
    """The store is a real one, on a disk: see `_folder`."""


@pytest.fixture(autouse=True)
def _folder(hass: HomeAssistant, tmp_path: Path) -> None:
    """A configuration of its own: MQTT reads it at each start."""
    hass.config.config_dir = str(tmp_path)
    (tmp_path / "configuration.yaml").touch()


@pytest.fixture
async def broker(hass: HomeAssistant, mqtt_mock_entry: MqttMockHAClientGenerator) -> None:
    await mqtt_mock_entry()


@pytest.fixture
async def topic(hass: HomeAssistant, entry: MockConfigEntry, broker: None) -> str:
    """The topic of the only person."""
    choose(hass, entry, {CONF_TOPIC: "scale/data"})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    return "scale/data"


def publish(hass: HomeAssistant, topic: str, payload: object, *, retain: bool = False) -> None:
    text = payload if isinstance(payload, str) else json.dumps(payload)
    async_fire_mqtt_message(hass, topic, text, retain=retain)


TIMED = {"weight": 81.4, "timestamp": AT.isoformat()}


async def test_mqtt(hass: HomeAssistant, entry: MockConfigEntry, topic: str, function: RunningFunction) -> None:
    """A message is a weigh-in, with the height of its person."""
    choose(hass, entry, {CONF_HEIGHT: 180})
    await hass.async_block_till_done()
    publish(hass, topic, TIMED)
    await delivered(entry, function, 1)
    assert function.weights()[0]["bmi"] == pytest.approx(25.1, abs=0.05)


@pytest.mark.parametrize("payload", ["online", "81.4", "", "[]", "[1]", "null", "{", '["a"]'])
async def test_mqtt_other_messages(hass: HomeAssistant, entry: MockConfigEntry, topic: str, payload: str) -> None:
    """A message that is not a JSON object is not a reading."""
    publish(hass, topic, payload)
    publish(hass, topic, payload)
    await hass.async_block_till_done()
    assert waiting(entry) == ()


async def test_mqtt_list(hass: HomeAssistant, entry: MockConfigEntry, topic: str, function: RunningFunction) -> None:
    """A list of objects is as many readings."""
    publish(hass, topic, [TIMED, {"weight": 81.6, "timestamp": (AT + timedelta(days=1)).isoformat()}])
    await delivered(entry, function, 2)


async def test_retained(hass: HomeAssistant, entry: MockConfigEntry, topic: str, function: RunningFunction) -> None:
    """A retained message with a time counts once, also after a restart and after it was deleted in Garmin."""
    publish(hass, topic, TIMED, retain=True)
    await delivered(entry, function, 1)
    function.garmin.weights.entries.clear()
    publish(hass, topic, TIMED, retain=True)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    publish(hass, topic, TIMED, retain=True)
    await hass.async_block_till_done()
    assert waiting(entry) == ()
    assert function.weights() == []


@pytest.mark.fault(7)
async def test_retained_without_a_time(
    hass: HomeAssistant, entry: MockConfigEntry, topic: str, function: RunningFunction, until: Until
) -> None:
    """Retained messages without a time are reported once for each message, and not again after a restart, even if the
    message came live before (two undated topics were reported after each restart)."""
    choose(hass, entry, {CONF_TOPIC: "scale/#"})
    await hass.async_block_till_done()

    def issues() -> list[str]:
        return [key for _, key in ir.async_get(hass).issues if ".unknown_time." in key]

    publish(hass, "scale/live", {"weight": 81.4})
    await delivered(entry, function, 1)
    publish(hass, "scale/live", {"weight": 81.4}, retain=True)
    publish(hass, "scale/one", {"weight": 81.4}, retain=True)
    publish(hass, "scale/two", {"weight": 81.4}, retain=True)
    await until(lambda: len(issues()) == 2 and not waiting(entry))
    for _ in range(2):
        assert await hass.config_entries.async_reload(entry.entry_id)
        await hass.async_block_till_done()
        for name in ("live", "one", "two"):
            publish(hass, f"scale/{name}", {"weight": 81.4}, retain=True)
        await hass.async_block_till_done()
    assert waiting(entry) == ()
    assert len(issues()) == 2
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    publish(hass, "scale/one", {"weight": 82}, retain=True)
    await until(lambda: len(issues()) == 3)
    assert len(function.weights()) == 1


async def test_live_again(hass: HomeAssistant, entry: MockConfigEntry, topic: str, function: RunningFunction) -> None:
    """Equal live messages within a minute are one weigh-in; a day later, it is another one."""
    for _ in range(3):
        publish(hass, topic, {"weight": 81.4})
    await delivered(entry, function, 1)
    publish(hass, topic, {"weight": 81.4, "timestamp": (AT - timedelta(days=1)).isoformat()})
    await delivered(entry, function, 2)


@pytest.mark.fault(13)
async def test_without_mqtt(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Without the MQTT integration, the entry is set up all the same."""
    choose(hass, entry, {CONF_TOPIC: "scale/data"})
    assert await hass.config_entries.async_setup(entry.entry_id)


async def test_mqtt_set_up_later(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    function: RunningFunction,
    until: Until,
    mqtt_mock_entry: MqttMockHAClientGenerator,
) -> None:
    """Once MQTT is set up, its messages count. After a reload of MQTT, each counts once."""
    choose(hass, entry, {CONF_TOPIC: "scale/data"})
    outcomes: list[object] = []
    async_dispatcher_connect(hass, f"weighbridge_outcome_{entry.entry_id}", outcomes.append)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await mqtt_mock_entry()
    await hass.async_block_till_done()
    publish(hass, "scale/data", TIMED)
    await delivered(entry, function, 1)
    mqtt_entry = hass.config_entries.async_entries("mqtt")[0]
    assert await hass.config_entries.async_reload(mqtt_entry.entry_id)
    await hass.async_block_till_done()
    publish(hass, "scale/data", {"weight": 81.6, "timestamp": (AT + timedelta(days=1)).isoformat()})
    await delivered(entry, function, 2)
    await until(lambda: len(outcomes) >= 2)
    await hass.async_block_till_done()
    assert len(outcomes) == 2


@TWO
@pytest.mark.fault(3)
async def test_person_in_the_topic(
    hass: HomeAssistant, entry: MockConfigEntry, broker: None, function: RunningFunction, until: Until
) -> None:
    """A topic of one person, and the word in a wildcard's place, say whose a reading is (all were mixed)."""
    choose(hass, entry, {CONF_TOPIC: "scale/+"}, {CONF_TOPIC: "of/ben"})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    publish(hass, "scale/anna", TIMED)
    publish(hass, "of/ben", {**TIMED, "weight": 70})
    await delivered(entry, function, 1, "Anna")
    await delivered(entry, function, 1, "Ben")
    publish(hass, "scale/ben", {"weight": 71, "timestamp": (AT + timedelta(days=1)).isoformat()})
    await delivered(entry, function, 2, "Ben")
    publish(hass, "scale/kitchen", {**TIMED, "weight": 75})
    await until(lambda: [item.state for item in waiting(entry)] == [ItemState.ASKING])


@TWO
async def test_shared_topic(
    hass: HomeAssistant, entry: MockConfigEntry, broker: None, function: RunningFunction, until: Until
) -> None:
    """A topic that two people have does not say whose a reading is: it is taken once, and asked or read from it."""
    choose(hass, entry, {CONF_TOPIC: "scale/data"}, {CONF_TOPIC: "scale/data"})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    publish(hass, "scale/data", {**TIMED, "user": "Ben"})
    await delivered(entry, function, 1, "Ben")
    publish(hass, "scale/data", TIMED)
    await until(lambda: [item.state for item in waiting(entry)] == [ItemState.ASKING])
    assert function.weights("Anna") == []


@TWO
async def test_rejected_of_nobody(
    hass: HomeAssistant, entry: MockConfigEntry, broker: None, function: RunningFunction, until: Until
) -> None:
    """What is rejected on a topic of two people is an issue, and a trigger for everybody, and no event of anybody."""
    choose(hass, entry, {CONF_TOPIC: "scale/data"}, {CONF_TOPIC: "scale/data"})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    deliveries: list[Delivery] = []
    async_dispatcher_connect(hass, SIGNAL_DELIVERY, deliveries.append)
    for n in range(3):
        publish(hass, "scale/data", {"weight": 8140 + n})

    def issues() -> list[ir.IssueEntry]:
        return [issue for issue in ir.async_get(hass).issues.values() if issue.translation_key == "rejected"]

    await until(lambda: len(issues()) == len(deliveries) == 3)
    assert {(issue.translation_placeholders or {})["source"] for issue in issues()} == {"scale/data"}
    assert [(each.subentry_id, each.outcome) for each in deliveries] == [("", "rejected")] * 3
    assert deliveries[0].message == "weight: 8140. The weight must be 2 to 400 kg."
    assert hass.states.get("sensor.anna_last_delivery").state == "unknown"


def test_weakness_holds() -> None:
    """Home Assistant's client acknowledges by itself and keeps no session. Should that change, queue.py can use it."""
    source = inspect.getsource(mqtt_client)
    assert "AsyncMQTTClient(" in source
    kept = r"manual_ack|SessionExpiryInterval|clean_(session|start)\s*=\s*False"
    assert not re.search(kept, source)
